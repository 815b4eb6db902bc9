/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_USER_H
#define DAEMON_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Programs that have a group for themselves by VFIO or iommufd, most of all
 * virtual machines, as /proc tells. Whoever has a group's node open, or that of
 * one of its devices, counts as its user: what it has not made its own yet it is
 * about to.
 */

/* One open file of one of them. Plain data: it crosses a pipe from the worker. */
struct user {
	pid_t pid; /* 0: none, or not known */
	int fd;
	char link[64]; /* what /proc/PID/fd/FD leads to */
};

/*
 * Returns 1 with *RET and with *RET_TEXT (malloc'd) naming it as a person knows
 * it ("qemu-system-x86 (pid 123) has /dev/vfio/7 open"), 0 where there is none,
 * or a negative errno with *RET_TEXT saying what could not be found out, or
 * NULL. ADDRESSES are the group's devices. Looks at all processes, and so is for
 * worker processes only.
 */
int user_find(unsigned group, const char *const *addresses, size_t n, struct user *ret, char **ret_text);

/* Whether that process still has that file. Never waits. */
bool user_is_there(const struct user *user);

#endif
