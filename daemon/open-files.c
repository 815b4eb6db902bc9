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
#include "daemon/open-files.h"
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

/* More processes and files than can be walked in this time are more than can be told about. */
#define SCAN_USEC (5 * USEC_PER_SEC)

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

/* What the kernel adds to the name of an open file that is no more. */
#define DELETED " (deleted)"

/* How long NAME is without that. */
static size_t name_length(const char *name)
{
	size_t length = strlen(name), ends = strlen(DELETED);

	return length > ends && strcmp(name + length - ends, DELETED) == 0 ? length - ends : length;
}

/*
 * Whether a descriptor may be a node, by the name of its file. Only these are
 * asked for their number: to ask others may wait for a file server. In a
 * container the path is that in there.
 */
static bool may_be_node(const struct open_files *files, const char *path)
{
	const char *base = strrchr(path, '/');
	size_t length;

	if (path[0] != '/' || !base)
		return false;
	if (is_node_path(path))
		return true;
	length = name_length(++base);
	for (size_t i = 0; i < files->n_nodes; i++) {
		const char *slash = strrchr(files->nodes[i].path, '/');
		const char *name = slash ? slash + 1 : files->nodes[i].path;

		if (strlen(name) == length && strncmp(base, name, length) == 0)
			return true;
	}
	return false;
}

/*
 * The device number, from what the kernel has at hand: no file server is asked.
 * FUSE shows root nothing of a mount that is another user's
 * (fuse_allow_current_process() in fs/fuse/dir.c). Such a mount has no device
 * nodes that could be opened, as whoever may not mount otherwise gets nodev;
 * and it must not let anybody keep us from telling.
 */
static int node_number(int fds, const char *fd, dev_t *ret, bool *block)
{
	struct statx st;

	if (statx(fds, fd, AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return errno == ENOENT || errno == ESRCH || errno == EACCES ? 0 : -errno;
	if (!(st.stx_mask & STATX_TYPE) || (!S_ISCHR(st.stx_mode) && !S_ISBLK(st.stx_mode)))
		return 0;
	*block = S_ISBLK(st.stx_mode);
	*ret = makedev(st.stx_rdev_major, st.stx_rdev_minor);
	return 1;
}

/* 1: the descriptor is of a file that is looked for, which *RET is then about; 0: another, or it is closed meanwhile. */
static int find_file(const struct open_files *files, int fds, const char *fd, char *link, size_t size,
		     const struct sysfs_node **ret)
{
	dev_t number = 0;
	bool block = false;
	ssize_t n;
	int r;

	*ret = NULL;
	n = readlinkat(fds, fd, link, size - 1);
	if (n < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	link[n] = '\0';
	if (files->anonymous && strcmp(link, files->anonymous) == 0)
		return 1;
	if (!may_be_node(files, link))
		return 0;
	r = node_number(fds, fd, &number, &block);
	if (r <= 0)
		return r;
	for (size_t i = 0; i < files->n_nodes; i++)
		if (makedev(files->nodes[i].major, files->nodes[i].minor) == number && files->nodes[i].block == block) {
			*ret = &files->nodes[i];
			return 1;
		}
	return 0;
}

int open_files_folder(int parent, const char *name, DIR **ret)
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

static int cannot_look(const struct open_files *files, int process, const char *pid, int error)
{
	char name[64];

	read_name(process, name, sizeof(name));
	return uses_unknown(files->uses, error, "cannot look at what %s (pid %s) has open", name, pid);
}

static int scan_process(const struct open_files *files, int proc, const char *pid)
{
	_cleanup_close_ int process = openat(proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *fds = NULL;
	char link[PATH_MAX], program[64];
	struct dirent *entry;
	int r;

	if (process < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : cannot_look(files, process, pid, -errno);
	r = open_files_folder(process, "fd", &fds);
	if (r < 0)
		return r == -ENOENT || r == -ESRCH ? 0 : cannot_look(files, process, pid, r);
	while ((entry = readdir(fds))) {
		struct open_file file = { .pid = pid, .fd = entry->d_name, .link = link, .program = program };

		if (entry->d_name[0] == '.')
			continue;
		r = find_file(files, dirfd(fds), entry->d_name, link, sizeof(link), &file.node);
		if (r < 0)
			return cannot_look(files, process, pid, r);
		if (r == 0)
			continue;
		read_name(process, program, sizeof(program));
		if (!files->udevs && is_udevs(process, program))
			return 0;
		r = files->found(files, &file);
		if (r)
			return r < 0 ? r : 0;
	}
	return 0;
}

int open_files_scan(const struct open_files *files)
{
	uint64_t deadline = now_usec(CLOCK_MONOTONIC) + SCAN_USEC;
	_cleanup_closedir_ DIR *proc = NULL;
	struct dirent *entry;
	int r;

	r = open_files_folder(AT_FDCWD, in_use_proc, &proc);
	if (r < 0)
		return uses_unknown(files->uses, r, "cannot look at the processes");
	while ((entry = readdir(proc))) {
		const char *pid = entry->d_name;

		if (pid[0] < '1' || pid[0] > '9')
			continue;
		if (now_usec(CLOCK_MONOTONIC) > deadline)
			return uses_unknown(files->uses, -ETIMEDOUT, "cannot look at all processes");
		r = scan_process(files, dirfd(proc), pid);
		if (r < 0)
			return r;
	}
	return 0;
}
