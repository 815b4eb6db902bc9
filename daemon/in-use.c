/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "daemon/in-use.h"
#include "daemon/sysfs.h"
#include "daemon/util.h"

#define PROC_MAX (16 << 20)

/*
 * PID 1's view: the daemon's own mount namespace may hide mounts, and a
 * service's private ones are found by the exclusive open below.
 */
#define MOUNTINFO "/proc/1/mountinfo"
#define SWAPS "/proc/swaps"

/* proc(5) writes space, tab, newline and backslash as three octal digits. */
static void unescape_octal(char *s)
{
	char *out = s;

	for (; *s; s++)
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
		    s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	*out = '\0';
}

/* 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue */
static int mounted(const char *mountinfo, const struct sysfs_block *block, char **ret)
{
	for (const char *line = mountinfo; line && *line; line = strchr(line, '\n'), line += line ? 1 : 0) {
		_cleanup_free_ char *point = NULL;
		unsigned major, minor;

		if (sscanf(line, "%*d %*d %u:%u %*s %ms", &major, &minor, &point) != 3 || !point)
			continue;
		if (major != block->major || minor != block->minor)
			continue;
		unescape_octal(point);
		*ret = strf("%s is mounted on %s", block->name, point);
		return *ret ? 1 : -ENOMEM;
	}
	return 0;
}

static int swapped(const char *swaps, const struct sysfs_block *block, char **ret)
{
	for (const char *line = swaps; line && *line; line = strchr(line, '\n'), line += line ? 1 : 0) {
		_cleanup_free_ char *path = NULL;
		struct stat st;

		if (sscanf(line, "%ms", &path) != 1 || path[0] != '/')
			continue;
		unescape_octal(path);
		if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode) || major(st.st_rdev) != block->major ||
		    minor(st.st_rdev) != block->minor)
			continue;
		*ret = strf("%s is used for swap", block->name);
		return *ret ? 1 : -ENOMEM;
	}
	return 0;
}

/*
 * Mounts of every namespace, swap, dm, md, bcache and ZFS all claim the device
 * exclusively (bd_prepare_to_claim() in block/bdev.c), and so find us out.
 */
static int claimed(const struct sysfs_block *block, char **ret)
{
	_cleanup_free_ char *path = strf("/dev/%s", block->name);
	_cleanup_close_ int fd = -1;

	if (!path)
		return -ENOMEM;
	/* The kernel's name has '!' where the node has a folder (cciss!c0d0). */
	for (char *c = path; *c; c++)
		if (*c == '!')
			*c = '/';
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0 && errno == EBUSY) {
		*ret = strf("%s is held by another file system, volume or program", block->name);
		return *ret ? 1 : -ENOMEM;
	}
	if (fd < 0)
		return errno == ENOENT || errno == ENXIO || errno == ENOMEDIUM ? 0 : -errno;
	return 0;
}

int in_use(const char *address, char **ret)
{
	_cleanup_free_ struct sysfs_block *blocks = NULL;
	_cleanup_free_ char *mountinfo = NULL;
	_cleanup_free_ char *swaps = NULL;
	size_t n = 0;
	int r;

	r = sysfs_block_below(address, &blocks, &n);
	if (r < 0 || n == 0)
		return r;
	r = read_file_at(AT_FDCWD, MOUNTINFO, PROC_MAX, &mountinfo);
	if (r < 0)
		return r;
	r = read_file_at(AT_FDCWD, SWAPS, PROC_MAX, &swaps);
	if (r < 0 && r != -ENOENT)
		return r;
	/* What a person knows best first: where it is mounted, then swap, then the claim that has no name. */
	for (size_t i = 0; i < n; i++)
		if ((r = mounted(mountinfo, &blocks[i], ret)) != 0)
			return r;
	for (size_t i = 0; i < n; i++)
		if ((r = swapped(swaps, &blocks[i], ret)) != 0)
			return r;
	for (size_t i = 0; i < n; i++)
		if ((r = claimed(&blocks[i], ret)) != 0)
			return r;
	return 0;
}
