/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_NET_DUMP_H
#define DAEMON_NET_DUMP_H

#include <linux/netlink.h>
#include <stddef.h>

#include "daemon/net-use.h"

/* The interfaces of one network namespace; all zero when nothing is known yet. */
struct net_dump {
	struct net_link *links;
	size_t n;
};

/*
 * Takes one message of the kernel's answer to RTM_GETLINK, RTM_GETADDR or
 * RTM_GETROUTE (rtnetlink(7)), in this order: addresses and routes of an
 * interface that is not there yet are nobody's. Messages of other kinds change
 * nothing. Reads no further than the message's own length, which the caller has
 * checked (nlmsg_ok()). Returns 0, or libnl's -NLE_* where an attribute is
 * not what it should be.
 */
int net_dump_add(struct net_dump *dump, struct nlmsghdr *message);

void net_dump_clear(struct net_dump *dump);

#endif
