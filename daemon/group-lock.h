/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_GROUP_LOCK_H
#define DAEMON_GROUP_LOCK_H

#include <stdbool.h>

#include "daemon/state-file.h"

/*
 * One worker at a time has a group, also where an earlier daemon has left one
 * behind that the kernel still holds up. The lock is of the group rather than of
 * its number, and ends with the process, when that has come back from the kernel.
 * Its file is where nobody else can open, and so lock, it.
 */
#define GROUP_LOCK_DIR RUN_DIR "/lock.d"

struct group_lock {
	int fd; /* -1: not locked */
	char path[64];
};

/*
 * Locks the group that has NUMBER now. Returns 0; -EAGAIN where somebody else
 * has it and there is to be no WAIT; -ENODEV where there is no such group.
 */
int group_lock(struct group_lock *lock, unsigned number, bool wait);

/* Takes its file away, too. */
void group_unlock(struct group_lock *lock);

#endif
