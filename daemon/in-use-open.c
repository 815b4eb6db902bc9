/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "daemon/in-use-sources.h"
#include "daemon/open-files.h"
#include "daemon/proc-text.h"

#define SMALL_MAX 65536

/* Programs that only look (a monitor, a scan for volumes) are away when they are looked for again. */
#define LOOKS 3
#define LOOK_AGAIN_USEC (150 * 1000)
#define CLOSE_POLL_USEC (20 * 1000)

static int add_use(const struct open_files *files, const struct open_file *file)
{
	return uses_add(files->uses, USE_OPEN,
			strf("%s is open in %s (pid %s)", file->node->name, file->program, file->pid));
}

int in_use_open(const struct sysfs_node *nodes, size_t n, struct uses *uses)
{
	struct open_files files = { .nodes = nodes, .n_nodes = n, .found = add_use };
	int r = 0;

	if (n == 0)
		return 0;
	for (unsigned look = 1; r >= 0; look++) {
		struct uses found = {};

		files.uses = &found;
		r = open_files_scan(&files);
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

int in_use_await_closed(const struct sysfs_node *nodes, size_t n, uint64_t usec, char **ret)
{
	struct open_files files = { .nodes = nodes, .n_nodes = n, .udevs = true, .found = add_use };
	uint64_t until = now_usec(CLOCK_MONOTONIC) + usec;
	int r = 0;

	*ret = NULL;
	while (n > 0) {
		struct uses found = {};
		bool last = now_usec(CLOCK_MONOTONIC) >= until;

		files.uses = &found;
		r = open_files_scan(&files);
		if (r >= 0 && (last || (found.n == 0 && found.error == 0)))
			r = uses_tell(&found, ret);
		else if (r >= 0)
			r = 1;
		uses_clear(&found);
		if (r <= 0 || last)
			break;
		usleep(CLOSE_POLL_USEC);
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
