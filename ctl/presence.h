/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_PRESENCE_H
#define CTL_PRESENCE_H

#include <stdbool.h>

#include "ctl/ctl.h"

/*
 * Whether the daemon runs, asked of the bus: an ordinary call would have the bus
 * start the daemon, which would then change what was only to be looked at. A
 * machine without a bus has no daemon. Complains and returns an enum exit_code
 * other than 0 where the answer cannot be had.
 */
int presence_check(struct ctl *ctl, bool *ret);

#endif
