/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_MACHINE_H
#define CTL_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/ctl.h"
#include "policy/decide.h"

/*
 * The groups that are plugged in, as /sys tells them: what the daemon would
 * decide from, without the daemon. Read by the daemon's own code (daemon/sysfs.c,
 * facts.c and way.c) and never written, so that both come to the same. What only
 * the daemon knows is missing until machine_know(): the type at boot, and that a
 * group of type DMA is in quarantine.
 */
struct machine_group;

struct machine {
	struct machine_group **groups; /* by number */
	size_t n_groups;
};

/* 0, also where there is no IOMMU; -ENOMEM or what reading /sys came back with. */
int machine_read(struct machine *ret);
/* machine_read(), which complains; returns 0 or another enum exit_code. machine_clear() is due then, too. */
int machine_load(const struct ctl *ctl, struct machine *ret);
void machine_clear(struct machine *machine);

/* NULL where there is none. */
struct machine_group *machine_group(const struct machine *machine, unsigned id);

unsigned machine_group_id(const struct machine_group *group);
const struct group_facts *machine_group_facts(const struct machine_group *group);
/* Of device I of the facts; NULL: none is bound. */
const char *machine_group_driver(const struct machine_group *group, size_t i);

/* What the daemon says of the group takes the place of what /sys does. DOMAIN_NONE: not known. */
void machine_know(struct machine_group *group, enum domain current, enum domain boot);

/* Which state and way a decision comes to, when nobody uses the devices. */
struct machine_outlook {
	const char *state; /* "unmanaged", "compliant", "pending" or "refused" */
	const char *way; /* as Plan() names it */
	char *reason; /* the decision's, or what it has to wait for; malloc'd */
};

/* 0 or -ENOMEM. */
int machine_outlook(const struct machine_group *group, const struct decision *decision,
		    struct machine_outlook *ret);

#endif
