/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_AGENT_H
#define CTL_AGENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "ctl/ctl.h"

/*
 * polkit's agent for a terminal, pkttyagent(1), which asks for a password
 * where a change needs one. Started before the first change of somebody who is
 * not root and sits at a terminal, as systemctl(1) does; it is not missed where
 * it is not installed. Returns when it has registered: before that the daemon
 * would be told that nobody can be asked.
 */
void agent_open(struct ctl *ctl);

/* Ends it, and waits until the terminal is as it was. */
void agent_close(struct ctl *ctl);

/* Whether there is somebody to be asked. */
bool agent_wanted(const struct ctl *ctl, uid_t user, bool tty);

#endif
