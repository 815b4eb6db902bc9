/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_WAY_H
#define DAEMON_WAY_H

#include "daemon/inventory.h"

/*
 * Which way a decided group can go from what it is now, as design section 4
 * orders them. A pure function of the group (its decision included).
 */
struct way_options {
	bool rebind; /* asked for: every bound driver may be unbound */
};

/*
 * RET_REASON (malloc'd, NULL when out of memory or nothing to say) tells what
 * WAY_WAIT waits for, or what is lacking where WAY_NOTHING is not all right.
 * *RET_LACKING: nothing can be done, but the rule's driver is not there yet.
 */
enum way way_choose(const struct group *group, const struct way_options *options, bool *ret_lacking,
		    char **ret_reason);

/*
 * Why no way leads to the group's target, whatever the drivers do; NULL: one may.
 * Static storage.
 */
const char *way_refusal(const struct group *group);

/* Whether the group's decision gives a device another driver than its own, or takes that away for good. */
bool way_concerns_drivers(const struct group *group);

/* The request for a worker; NULL when out of memory. */
struct transaction *way_prepare(const struct group *group, enum way way, const struct way_options *options, bool force);

#endif
