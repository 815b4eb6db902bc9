/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "daemon/in-use-sources.h"
#include "daemon/open-files.h"
#include "daemon/user.h"
#include "daemon/util.h"

/* A device itself, once it has been asked for through its group (vfio_device_open_file()); which one, nothing tells. */
#define DEVICE_LINK "anon_inode:[vfio-device]"
/* Where nodes are; the one called vfio is the container's, which says nothing of groups. */
#define NODES "/dev/vfio/"
#define CONTAINER NODES "vfio"

struct search {
	struct user *user;
	char *text;
	bool certain;
};

/* Whether a process has nodes of VFIO, and so is known for what it has. */
static bool has_nodes(const char *pid)
{
	_cleanup_free_ char *path = strf("%s/%s/fd", in_use_proc, pid);
	_cleanup_closedir_ DIR *fds = NULL;
	struct dirent *entry;

	if (!path || open_files_folder(AT_FDCWD, path, &fds) < 0)
		return false;
	while ((entry = readdir(fds))) {
		char link[PATH_MAX];
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, link, sizeof(link) - 1);

		if (n < 0)
			continue;
		link[n] = '\0';
		if (strncmp(link, NODES, strlen(NODES)) == 0 && strcmp(link, CONTAINER) != 0)
			return true;
	}
	return false;
}

static int note(const struct open_files *files, const struct open_file *file)
{
	struct search *search = files->userdata;
	struct user *user = search->user;

	if (search->certain)
		return 1;
	/* It may be this group's where the process has closed the group's node, or was handed the device by another. */
	if (!file->node && (search->text || has_nodes(file->pid)))
		return 0;
	search->certain = file->node;
	free(search->text);
	*user = (struct user){ .pid = (pid_t)strtol(file->pid, NULL, 10), .fd = (int)strtol(file->fd, NULL, 10) };
	snprintf(user->link, sizeof(user->link), "%s", file->link);
	if (file->node)
		search->text = strf("%s (pid %s) has /dev/%s open", file->program, file->pid, file->node->path);
	else
		search->text = strf("%s (pid %s) has a VFIO device open, maybe one of this group", file->program,
				    file->pid);
	if (!search->text)
		return -ENOMEM;
	return 1;
}

int user_find(unsigned group, const char *const *addresses, size_t n, struct user *ret, char **ret_text)
{
	struct search search = { .user = ret };
	struct sysfs_below below;
	struct uses uses = {};
	struct open_files files = {
		.anonymous = DEVICE_LINK,
		.found = note,
		.userdata = &search,
		.uses = &uses,
	};
	int r;

	*ret = (struct user){};
	*ret_text = NULL;
	r = sysfs_read_vfio(group, addresses, n, &below);
	/* Nothing of it is any program's where no such driver has any of it. */
	if (r >= 0 && below.n_nodes) {
		files.nodes = below.nodes;
		files.n_nodes = below.n_nodes;
		r = open_files_scan(&files);
	}
	if (r >= 0 && search.text) {
		*ret_text = TAKE_PTR(search.text);
		r = 1;
	} else if (r >= 0 && uses.error) {
		r = uses.error;
		*ret_text = TAKE_PTR(uses.unknown);
	}
	free(search.text);
	uses_clear(&uses);
	sysfs_below_clear(&below);
	return r;
}

bool user_is_there(const struct user *user)
{
	_cleanup_free_ char *path = NULL;
	char link[sizeof(user->link)];
	ssize_t n;

	if (user->pid <= 0)
		return false;
	path = strf("%s/%d/fd/%d", in_use_proc, user->pid, user->fd);
	if (!path)
		return true;
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return errno != ENOENT && errno != ESRCH;
	link[n] = '\0';
	return strcmp(link, user->link) == 0;
}
