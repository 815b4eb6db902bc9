/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_GROUP_STORE_H
#define DAEMON_GROUP_STORE_H

#include "daemon/inventory.h"

/*
 * What must outlive the daemon but not the boot, per group, below /run: the
 * type at first sight, what SetGroupType asked for, what the daemon itself has
 * set. Numbers of groups are used again, so each file names its devices too.
 */
#define GROUP_STORE_DIR RUN_DIR "/group"
#define RECORD_DIR RUN_DIR "/transaction"

/* Fills in what is known of the group. A group that is not known has its type now for its boot type. */
void group_store_load(struct group *group);
/* Errors are logged: the daemon goes on, and knows less after a restart. */
void group_store_save(const struct group *group);
void group_store_remove(unsigned group);
/* Removes what is kept of groups that are not there any more. */
void group_store_clean(void);

#endif
