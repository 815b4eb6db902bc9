/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/net-use.h"

/* The kernel nests interfaces eight deep (MAX_NEST_DEV in include/linux/netdevice.h). */
#define DEPTH_MAX 8

static const struct net_link *find(const struct net_link *links, size_t n, int index)
{
	for (size_t i = 0; i < n; i++)
		if (links[i].index == index)
			return &links[i];
	return NULL;
}

/*
 * The switch that all of Open vSwitch's ports are part of is no interface that
 * anybody uses: it is down as a rule, and what its ports carry is known to the
 * switch alone (ovs_netdev_link() in net/openvswitch/vport-netdev.c).
 */
static bool is_open_vswitch(const struct net_link *link)
{
	return strcmp(link->kind, "openvswitch") == 0;
}

/* A virtual machine's interface: it has its addresses in there. */
static bool is_a_guests(const struct net_link *link)
{
	return strcmp(link->kind, "macvtap") == 0 || strcmp(link->kind, "ipvtap") == 0;
}

static int tell_own(const struct net_link *link, enum use_kind *kind, char **ret)
{
	if (link->default_route) {
		*kind = USE_DEFAULT_ROUTE;
		*ret = strf("%s carries the default route", link->name);
	} else if (*link->address) {
		*kind = USE_ADDRESS;
		*ret = strf("%s is up with %s", link->name, link->address);
	} else if (*link->route) {
		*kind = USE_ROUTE;
		*ret = strf("%s carries a route to %s", link->name, link->route);
	} else if (link->pppoe) {
		*kind = USE_ROUTE;
		*ret = strf("%s carries a PPPoE session", link->name);
	} else if (is_a_guests(link)) {
		*kind = USE_STACKED;
		*ret = strf("%s is up", link->name);
	} else {
		return 0;
	}
	return *ret ? 1 : -ENOMEM;
}

static int tell(const struct net_link *links, size_t n, const struct net_link *link, unsigned depth,
		enum use_kind *kind, char **ret);

/* "eth0 is part of bond0, which is up with …", from what is said of bond0. */
static int tell_above(const struct net_link *links, size_t n, const struct net_link *link, const struct net_link *above,
		      const char *relation, unsigned depth, enum use_kind *kind, char **ret)
{
	_cleanup_free_ char *what = NULL;
	int r;

	r = tell(links, n, above, depth + 1, kind, &what);
	if (r <= 0)
		return r;
	*ret = strf("%s %s %s, which%s", link->name, relation, above->name, what + strlen(above->name));
	return *ret ? 1 : -ENOMEM;
}

static int tell(const struct net_link *links, size_t n, const struct net_link *link, unsigned depth,
		enum use_kind *kind, char **ret)
{
	const struct net_link *master;
	int r;

	if (!link->up || depth > DEPTH_MAX)
		return 0;
	r = tell_own(link, kind, ret);
	if (r != 0)
		return r;
	master = link->master ? find(links, n, link->master) : NULL;
	if (master) {
		r = tell_above(links, n, link, master, "is part of", depth, kind, ret);
		if (r != 0)
			return r;
	}
	for (size_t i = 0; i < n; i++) {
		if (links[i].lower != link->index || links[i].index == link->index)
			continue;
		r = tell_above(links, n, link, &links[i], "carries", depth, kind, ret);
		if (r != 0)
			return r;
	}
	if (master && is_open_vswitch(master)) {
		*kind = USE_STACKED;
		*ret = strf("%s is part of %s (Open vSwitch)", link->name, master->name);
		return *ret ? 1 : -ENOMEM;
	}
	/* A bridge without an address has its users behind its other ports; and the membership would be lost. */
	if (master && master->up) {
		*kind = USE_STACKED;
		*ret = strf("%s is part of %s, which is up", link->name, master->name);
		return *ret ? 1 : -ENOMEM;
	}
	return 0;
}

int net_use_tell(const struct net_link *links, size_t n, int index, enum use_kind *kind, char **ret)
{
	const struct net_link *link = find(links, n, index);

	return link ? tell(links, n, link, 0, kind, ret) : -ENODEV;
}

/* Whether the interface is a part of one that is marked, or one that is marked stands on it. */
static bool is_below(const struct net_link *links, size_t n, const bool *marked, const struct net_link *link)
{
	for (size_t i = 0; i < n; i++)
		if (marked[i] && ((link->master && links[i].index == link->master) ||
				  (links[i].lower && links[i].lower == link->index)))
			return true;
	return false;
}

int net_use_stands_on(const struct net_link *links, size_t n, int upper, int lower)
{
	const struct net_link *top = find(links, n, upper);
	_cleanup_free_ bool *marked = NULL;
	bool grew = true;

	if (!top)
		return -ENODEV;
	if (upper == lower)
		return 1;
	marked = calloc(n, sizeof(*marked));
	if (!marked)
		return -ENOMEM;
	marked[top - links] = true;
	/* Each round is one floor further down. */
	for (unsigned depth = 0; grew && depth <= DEPTH_MAX; depth++) {
		grew = false;
		for (size_t i = 0; i < n; i++) {
			if (marked[i] || !is_below(links, n, marked, &links[i]))
				continue;
			if (links[i].index == lower)
				return 1;
			marked[i] = true;
			grew = true;
		}
	}
	return 0;
}
