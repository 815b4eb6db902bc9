/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_RESUME_H
#define DAEMON_RESUME_H

#include "daemon/manager.h"

/*
 * After a sleep of the machine all is looked at again: devices may have come
 * back as others or not at all, and whatever ran on the way in or out may have
 * written types or bound drivers. What differs is applied or reported as at any
 * other time.
 */

/* By the clock, which is enough without anybody else. */
int resume_watch_clock(struct manager *m);
/* By logind's PrepareForSleep, on a connection that is being made. */
int resume_watch_bus(struct manager *m);
void resume_stop(struct manager *m);

#endif
