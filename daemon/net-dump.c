/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/net-dump.h"

/*
 * By libnl's attributes and not its objects of routes and addresses: those
 * believe every length within.
 */
static struct nla_policy link_policy[IFLA_MAX + 1] = {
	[IFLA_IFNAME] = { .type = NLA_STRING, .maxlen = IFNAMSIZ },
	[IFLA_MASTER] = { .type = NLA_U32 },
	[IFLA_LINK] = { .type = NLA_U32 },
	[IFLA_LINK_NETNSID] = { .type = NLA_U32 },
	[IFLA_LINKINFO] = { .type = NLA_NESTED },
};

static struct nla_policy kind_policy[IFLA_INFO_MAX + 1] = {
	[IFLA_INFO_KIND] = { .type = NLA_STRING },
};

static struct nla_policy route_policy[RTA_MAX + 1] = {
	[RTA_OIF] = { .type = NLA_U32 },
	[RTA_TABLE] = { .type = NLA_U32 },
	[RTA_MULTIPATH] = { .type = NLA_UNSPEC },
};

static struct net_link *find(struct net_dump *dump, int index)
{
	for (size_t i = 0; i < dump->n; i++)
		if (dump->links[i].index == index)
			return &dump->links[i];
	return NULL;
}

static int get_index(struct nlattr *attribute)
{
	return attribute ? (int)nla_get_u32(attribute) : 0;
}

/* With or without a NUL at its end. */
static void get_string(char *to, size_t size, struct nlattr *attribute)
{
	if (attribute)
		snprintf(to, size, "%.*s", nla_len(attribute), (const char *)nla_data(attribute));
}

static int add_link(struct net_dump *dump, struct nlmsghdr *message)
{
	struct nlattr *with[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1] = {};
	const struct ifinfomsg *head = nlmsg_data(message);
	struct net_link *links, *to;
	int r;

	r = nlmsg_parse(message, sizeof(*head), with, IFLA_MAX, link_policy);
	if (r >= 0 && with[IFLA_LINKINFO])
		r = nla_parse_nested(info, IFLA_INFO_MAX, with[IFLA_LINKINFO], kind_policy);
	if (r < 0)
		return r;
	links = reallocarray(dump->links, dump->n + 1, sizeof(*links));
	if (!links)
		return -NLE_NOMEM;
	dump->links = links;
	to = &links[dump->n++];
	*to = (struct net_link){
		.index = head->ifi_index,
		.master = get_index(with[IFLA_MASTER]),
		/* The number of an interface in another namespace says nothing here. */
		.lower = with[IFLA_LINK_NETNSID] ? 0 : get_index(with[IFLA_LINK]),
		.up = head->ifi_flags & IFF_UP,
	};
	get_string(to->name, sizeof(to->name), with[IFLA_IFNAME]);
	get_string(to->kind, sizeof(to->kind), info[IFLA_INFO_KIND]);
	return 0;
}

/* "192.0.2.1/24"; "" if it is no address of that family. */
static void get_address(char *to, size_t size, int family, struct nlattr *attribute, unsigned length)
{
	int bytes = family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
	char text[INET6_ADDRSTRLEN];

	if (!attribute || bytes == 0 || nla_len(attribute) != bytes || length > 8 * (unsigned)bytes)
		return;
	if (inet_ntop(family, nla_data(attribute), text, sizeof(text)))
		snprintf(to, size, "%s/%u", text, length);
}

static int add_address(struct net_dump *dump, struct nlmsghdr *message)
{
	const struct ifaddrmsg *head = nlmsg_data(message);
	struct nlattr *with[IFA_MAX + 1];
	struct net_link *link;
	int r;

	r = nlmsg_parse(message, sizeof(*head), with, IFA_MAX, NULL);
	if (r < 0)
		return r;
	link = find(dump, (int)head->ifa_index);
	if (!link || *link->address)
		return 0;
	/* IPv6 gives one to whatever is up, whether anybody wants it or not. */
	if (head->ifa_family == AF_INET6 && head->ifa_scope == RT_SCOPE_LINK)
		return 0;
	/* Of a point-to-point interface IFA_ADDRESS is the other end's. */
	get_address(link->address, sizeof(link->address), head->ifa_family,
		    with[IFA_LOCAL] ? with[IFA_LOCAL] : with[IFA_ADDRESS], head->ifa_prefixlen);
	return 0;
}

static void add_next_hop(struct net_dump *dump, int index, const struct rtmsg *head, struct nlattr *destination)
{
	struct net_link *link = find(dump, index);

	if (!link)
		return;
	if (head->rtm_dst_len == 0)
		link->default_route = true;
	/* What the kernel has made from an address is told as that. */
	else if (!*link->route && head->rtm_protocol != RTPROT_KERNEL)
		get_address(link->route, sizeof(link->route), head->rtm_family, destination, head->rtm_dst_len);
}

/* One route at a time: there may be a million of them, and one per interface is kept. */
static int add_route(struct net_dump *dump, struct nlmsghdr *message)
{
	const struct rtmsg *head = nlmsg_data(message);
	struct nlattr *with[RTA_MAX + 1];
	struct rtnexthop *hop;
	int left, r;

	if (!nlmsg_valid_hdr(message, sizeof(*head)))
		return -NLE_MSG_TOOSHORT;
	if ((head->rtm_family != AF_INET && head->rtm_family != AF_INET6) || head->rtm_type != RTN_UNICAST)
		return 0;
	r = nlmsg_parse(message, sizeof(*head), with, RTA_MAX, route_policy);
	if (r < 0)
		return r;
	if ((with[RTA_TABLE] ? nla_get_u32(with[RTA_TABLE]) : head->rtm_table) == RT_TABLE_LOCAL)
		return 0;
	if (with[RTA_OIF])
		add_next_hop(dump, get_index(with[RTA_OIF]), head, with[RTA_DST]);
	if (!with[RTA_MULTIPATH])
		return 0;
	hop = nla_data(with[RTA_MULTIPATH]);
	left = nla_len(with[RTA_MULTIPATH]);
	while (left >= (int)sizeof(*hop) && RTNH_OK(hop, left)) {
		add_next_hop(dump, hop->rtnh_ifindex, head, with[RTA_DST]);
		left -= (int)RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
	return 0;
}

int net_dump_add(struct net_dump *dump, struct nlmsghdr *message)
{
	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
		return add_link(dump, message);
	case RTM_NEWADDR:
		return add_address(dump, message);
	case RTM_NEWROUTE:
		return add_route(dump, message);
	default:
		return 0;
	}
}

void net_dump_clear(struct net_dump *dump)
{
	free(dump->links);
	*dump = (struct net_dump){};
}
