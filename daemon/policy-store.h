/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_POLICY_STORE_H
#define DAEMON_POLICY_STORE_H

#include "daemon/manager.h"

/*
 * The policy in force: read from the folders, watched, and kept in
 * /var/lib/iommu-policyd/ for the start-up that finds errors in them.
 */

/* At start: the policy files, else the kept copy, else none. Tells of errors itself; negative only when out of memory. */
int policy_store_start(struct manager *m);

/*
 * Reads again. 0: a new policy is in force, and its groups are queued;
 * -EBADMSG: errors, listed in m->policy_errors, and the previous one stays.
 */
int policy_store_reload(struct manager *m);

/* Watches the folders; a change is followed by a reload once they are quiet for a moment. */
int policy_store_watch(struct manager *m);

/* Keeps the policy in force, if that has not been done. To be called once /var is there. */
void policy_store_keep(struct manager *m);

void policy_store_free(struct manager *m);

#endif
