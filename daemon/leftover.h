/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_LEFTOVER_H
#define DAEMON_LEFTOVER_H

#include "daemon/manager.h"

/*
 * Where an earlier change has left something behind that it could not put back
 * (a pin, a claim, a driver), its record is still there: nothing is begun, and
 * nothing is fine, before that is undone.
 */
bool leftover_is_there(const struct group *group);

/* Has it undone, if TRIGGERS may help. Returns whether there is nothing else to be done about the group for now. */
bool leftover_undo(struct manager *m, struct group *group, unsigned triggers);

#endif
