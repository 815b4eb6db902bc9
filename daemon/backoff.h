/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_BACKOFF_H
#define DAEMON_BACKOFF_H

#include "daemon/manager.h"

/*
 * A change that has failed is tried again for what may help: a person's word, a
 * changed policy, a driver that has let go. The last may come again and again
 * (a driver that is loaded and unloaded in a loop), and each try costs the
 * device its driver; so after each failure it has to wait longer.
 */

/* GROUP's change has failed, or (FAILED false) come to a better end. */
void backoff_note(struct group *group, bool failed);

/* Whether TRIGGERS have to wait. If so, GROUP is queued with them when their time has come. */
bool backoff_defer(struct manager *m, struct group *group, unsigned triggers);

#endif
