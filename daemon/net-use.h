/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_NET_USE_H
#define DAEMON_NET_USE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "daemon/uses.h"

/* What the kernel tells of one interface; see rtnetlink(7). */
struct net_link {
	int index;
	int master; /* the bond, bridge, team or VRF that it is a part of; 0: none */
	int lower; /* the interface that it stands on (VLAN, macvlan, vxlan), in the same namespace; 0: none */
	bool up;
	bool default_route;
	bool pppoe; /* carries a session */
	char name[IFNAMSIZ];
	char kind[16]; /* "bond", "vlan"; "" for hardware */
	char address[64]; /* the first that is not link-local, with its prefix length, or "" */
	char route[64]; /* where a route leads to that follows from no address, or "" */
};

/*
 * Whether the interface INDEX is in use by what it has, what it is a part of,
 * or what stands on it. Pure, for any input, also for interfaces that stand on
 * one another in a circle. Returns 1 with *RET malloc'd ("eth0 is part of
 * bond0, which is up with 192.0.2.1/24"), 0, -ENODEV where INDEX is not among
 * LINKS, or -ENOMEM.
 */
int net_use_tell(const struct net_link *links, size_t n, int index, enum use_kind *kind, char **ret);

/*
 * Whether what the interface UPPER sends leaves by LOWER, or may: it is LOWER
 * itself, or stands on it as a VLAN, bond or bridge does. Pure, as above.
 * Returns 1, 0, -ENODEV where UPPER is not among LINKS, or -ENOMEM.
 */
int net_use_stands_on(const struct net_link *links, size_t n, int upper, int lower);

#endif
