/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trusted.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define EXPECTED "(expected a regular file, or a link to /dev/null)"

#define fail(error, fault, ...) (snprintf(fault, TRUSTED_FAULT_SIZE, __VA_ARGS__), -(error))

const char *trusted_distrust(const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "is owned by somebody else than root (expected owner root)";
	if (st->st_mode & S_IWOTH)
		return "is writable by everybody (expected to be writable by its owner only)";
	if (st->st_mode & S_IWGRP)
		return "is writable by its group (expected to be writable by its owner only)";
	return NULL;
}

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device node";
	}
}

/* By number (Documentation/admin-guide/devices.txt), wherever a link has found it. */
static bool is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

static int refuse_link(const char *path, char *fault)
{
	struct stat st;

	/* Asking needs no opening of what the link leads to. */
	if (stat(path, &st) == 0 && is_null(&st))
		return -ENODATA;
	return fail(ELOOP, fault, "is a link " EXPECTED);
}

static int check_opened(int fd, size_t bytes_max, char *fault)
{
	const char *distrusted;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(errno, fault, "cannot be looked at: %s " EXPECTED, strerror(errno));
	if (is_null(&st))
		return -ENODATA;
	if (!S_ISREG(st.st_mode))
		return fail(EPERM, fault, "is %s " EXPECTED, kind_of(st.st_mode));

	distrusted = trusted_distrust(&st);
	if (distrusted)
		return fail(EPERM, fault, "%s", distrusted);
	if (st.st_size > (off_t)bytes_max)
		return fail(EFBIG, fault, "the file is too big (expected at most %zu bytes)",
			    bytes_max);
	return st.st_size > 0 ? 0 : -ENODATA;
}

int trusted_open(const char *path, size_t bytes_max, char fault[static TRUSTED_FAULT_SIZE])
{
	int fd, r;

	/* O_NONBLOCK: opening a FIFO would wait for its writer. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ELOOP)
		return refuse_link(path, fault);
	if (fd < 0)
		return fail(errno, fault, "cannot be opened: %s " EXPECTED, strerror(errno));

	r = check_opened(fd, bytes_max, fault);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}
