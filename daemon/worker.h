/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include "daemon/manager.h"
#include "daemon/transaction.h"

/*
 * One process for one transaction: every write to sysfs may wait in the kernel
 * for as long as a driver likes, and the daemon must not.
 */

/* Takes T over, also on failure. GROUP may be NULL (a group that is gone). RECOVER: see transaction_recover(). */
int worker_start(struct manager *m, struct group *group, struct transaction *t, bool recover);

/* Whether GROUP's change is past its deadline, and has been reported so: nobody is to wait for its end. */
bool worker_is_late(const struct group *group);

/* Whether another may be started now. */
bool worker_available(const struct manager *m);

/*
 * Whether a worker is still at GROUP's number or devices that began when they
 * were another group's: it may undo what a new one does.
 */
bool worker_in_the_way(const struct manager *m, const struct group *group);

/* The group is going: its worker ends without it. */
void worker_detach(struct manager *m, struct group *group);

/* Forgets all workers; the processes go on to their end. */
void worker_free_all(struct manager *m);

#endif
