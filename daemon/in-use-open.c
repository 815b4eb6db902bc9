/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "daemon/in-use-sources.h"
#include "daemon/proc-text.h"

#define SMALL_MAX 65536

/*
 * Who has a node open is told by /proc/PID/fd alone, in two steps that ask for
 * a right each. The folder belongs to the process's user, so that another one's
 * takes CAP_DAC_READ_SEARCH (proc_fd_permission() in fs/proc/fd.c, which asks
 * for nothing else). What its links lead to takes CAP_SYS_PTRACE for each
 * process of another user and for each of root's that has a capability more
 * than we have (__ptrace_may_access() in kernel/ptrace.c,
 * cap_ptrace_access_check() in security/commoncap.c).
 */

/* Programs that only look (a monitor, a scan for volumes) are away when they are looked for again. */
#define LOOKS 3
#define LOOK_AGAIN_USEC (150 * 1000)
/* More processes and files than can be walked in this time are more than can be told about. */
#define SCAN_USEC (5 * USEC_PER_SEC)

struct scan {
	const struct sysfs_node *nodes;
	size_t n_nodes;
	uint64_t deadline; /* CLOCK_MONOTONIC */
	struct uses *uses;
};

static void read_name(int process, char *name, size_t size)
{
	_cleanup_free_ char *text = NULL;

	if (read_file_at(process, "comm", SMALL_MAX, &text) < 0 || !*text) {
		snprintf(name, size, "a program");
		return;
	}
	text[strcspn(text, "\n")] = '\0';
	snprintf(name, size, "%s", text);
}

/*
 * udev looks at whatever appears, with programs of its own, and is done by
 * itself; unplugging does not wait for it either. In the initramfs its
 * processes are in no control group of their own.
 */
static bool is_udevs(int process, const char *name)
{
	_cleanup_free_ char *groups = NULL;

	if (strcmp(name, "(udev-worker)") == 0 || strcmp(name, "systemd-udevd") == 0)
		return true;
	return read_file_at(process, "cgroup", SMALL_MAX, &groups) >= 0 && strstr(groups, "/systemd-udevd.service");
}

/*
 * Whether a descriptor may be a node, by the name of its file. Only these are
 * asked for their number: to ask others may wait for a file server. In a
 * container the path is that in there.
 */
static bool may_be_node(const struct scan *scan, const char *path)
{
	const char *base = strrchr(path, '/');

	if (path[0] != '/' || !base)
		return false;
	if (is_node_path(path))
		return true;
	for (size_t i = 0; i < scan->n_nodes; i++) {
		const char *name = strrchr(scan->nodes[i].path, '/');

		if (strcmp(base + 1, name ? name + 1 : scan->nodes[i].path) == 0)
			return true;
	}
	return false;
}

/* 1 with the node that a descriptor is of; 0: another file, or it is closed meanwhile. */
static int find_node(const struct scan *scan, int fds, const char *fd, const struct sysfs_node **ret)
{
	char path[PATH_MAX];
	struct stat st;
	ssize_t n;

	n = readlinkat(fds, fd, path, sizeof(path) - 1);
	if (n < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	path[n] = '\0';
	if (!may_be_node(scan, path))
		return 0;
	if (fstatat(fds, fd, &st, 0) < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return 0;
	for (size_t i = 0; i < scan->n_nodes; i++)
		if (makedev(scan->nodes[i].major, scan->nodes[i].minor) == st.st_rdev &&
		    scan->nodes[i].block == S_ISBLK(st.st_mode)) {
			*ret = &scan->nodes[i];
			return 1;
		}
	return 0;
}

static int open_folder(int parent, const char *name, DIR **ret)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret = fdopendir(fd);
	if (!*ret) {
		int saved = errno;

		close(fd);
		return -saved;
	}
	return 0;
}

static int cannot_look(const struct scan *scan, int process, const char *pid, int error)
{
	char name[64];

	read_name(process, name, sizeof(name));
	return uses_unknown(scan->uses, error, "cannot look at what %s (pid %s) has open", name, pid);
}

static int scan_process(struct scan *scan, int proc, const char *pid)
{
	_cleanup_close_ int process = openat(proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *fds = NULL;
	struct dirent *entry;
	char name[64];
	int r;

	if (process < 0)
		return 0;
	r = open_folder(process, "fd", &fds);
	if (r < 0)
		return r == -ENOENT || r == -ESRCH ? 0 : cannot_look(scan, process, pid, r);
	while ((entry = readdir(fds))) {
		const struct sysfs_node *node;

		if (entry->d_name[0] == '.')
			continue;
		r = find_node(scan, dirfd(fds), entry->d_name, &node);
		if (r < 0)
			return cannot_look(scan, process, pid, r);
		if (r == 0)
			continue;
		read_name(process, name, sizeof(name));
		if (is_udevs(process, name))
			return 0;
		r = uses_add(scan->uses, USE_OPEN, strf("%s is open in %s (pid %s)", node->name, name, pid));
		if (r < 0)
			return r;
	}
	return 0;
}

static int scan_all(struct scan *scan)
{
	_cleanup_closedir_ DIR *proc = NULL;
	struct dirent *entry;
	int r;

	r = open_folder(AT_FDCWD, in_use_proc, &proc);
	if (r < 0)
		return uses_unknown(scan->uses, r, "cannot look at the processes");
	while ((entry = readdir(proc))) {
		const char *pid = entry->d_name;

		if (pid[0] < '1' || pid[0] > '9')
			continue;
		if (now_usec(CLOCK_MONOTONIC) > scan->deadline)
			return uses_unknown(scan->uses, -ETIMEDOUT, "cannot look at all processes");
		r = scan_process(scan, dirfd(proc), pid);
		if (r < 0)
			return r;
	}
	return 0;
}

int in_use_open(const struct sysfs_node *nodes, size_t n, struct uses *uses)
{
	struct scan scan = { .nodes = nodes, .n_nodes = n };
	int r = 0;

	if (n == 0)
		return 0;
	for (unsigned look = 1; r >= 0; look++) {
		struct uses found = {};

		scan.uses = &found;
		scan.deadline = now_usec(CLOCK_MONOTONIC) + SCAN_USEC;
		r = scan_all(&scan);
		if (r < 0 || found.n == 0 || look == LOOKS) {
			for (size_t i = 0; i < found.n && r >= 0; i++)
				r = uses_add(uses, found.items[i].kind, TAKE_PTR(found.items[i].text));
			if (found.error)
				uses_unknown(uses, found.error, "%s", strempty(found.unknown));
			uses_clear(&found);
			break;
		}
		uses_clear(&found);
		usleep(LOOK_AGAIN_USEC);
	}
	return r;
}

int in_use_console(const struct sysfs_node *nodes, size_t n, struct uses *uses)
{
	_cleanup_free_ char *path = strf("%s/consoles", in_use_proc);
	_cleanup_free_ char *text = NULL;
	unsigned major, minor;
	const char *name;
	char *next;
	int r;

	if (n == 0)
		return 0;
	if (!path)
		return -ENOMEM;
	r = read_file_at(AT_FDCWD, path, SMALL_MAX, &text);
	if (r < 0)
		return r == -ENOENT ? 0 : uses_unknown(uses, r, "cannot tell where the kernel's console is");
	next = text;
	while (consoles_next(&next, &name, &major, &minor))
		for (size_t i = 0; i < n; i++)
			if (!nodes[i].block && nodes[i].major == major && nodes[i].minor == minor) {
				r = uses_add(uses, USE_CONSOLE, strf("%s is a console of the kernel", name));
				if (r < 0)
					return r;
			}
	return 0;
}
