/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/group-lock.h"
#include "daemon/sysfs.h"
#include "daemon/util.h"

/* The kernel gives a directory's inode number to no other one (kernfs_ino() in include/linux/kernfs.h). */
static int name_lock(struct group_lock *lock, unsigned number)
{
	_cleanup_close_ int group = sysfs_open_group(number);
	struct stat st;

	if (group < 0)
		return group == -ENOENT ? -ENODEV : group;
	if (fstat(group, &st) < 0)
		return -errno;
	snprintf(lock->path, sizeof(lock->path), "%s/%u-%" PRIx64, GROUP_LOCK_DIR, number, (uint64_t)st.st_ino);
	return 0;
}

int group_lock(struct group_lock *lock, unsigned number, bool wait)
{
	int r;

	lock->fd = -1;
	r = name_lock(lock, number);
	if (r < 0)
		return r;
	for (;;) {
		_cleanup_close_ int fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		struct stat st;

		if (fd < 0)
			return -errno;
		while ((r = flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB))) < 0 && errno == EINTR)
			;
		if (r < 0)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		if (fstat(fd, &st) < 0)
			return -errno;
		/* Whoever had it before has taken the file away: another one may be locked by somebody else. */
		if (st.st_nlink == 0)
			continue;
		lock->fd = fd;
		fd = -1;
		return 0;
	}
}

void group_unlock(struct group_lock *lock)
{
	if (lock->fd < 0)
		return;
	unlink(lock->path);
	close(lock->fd);
	lock->fd = -1;
}
