/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_FIRST_PASS_H
#define DAEMON_FIRST_PASS_H

#include "daemon/manager.h"

/*
 * The pass over what is there at the start. Its end is when the service is
 * ready, and udev may load drivers; with --once it is the end of the program.
 */
int first_pass_start(struct manager *m);

/* With --once: the exit status. */
int first_pass_status(const struct manager *m);

#endif
