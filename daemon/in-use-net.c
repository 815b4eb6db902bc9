/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <string.h>

#include "daemon/in-use-sources.h"
#include "daemon/net-use.h"
#include "daemon/proc-text.h"

/* A dump is started again when what is dumped changed meanwhile (NLM_F_DUMP_INTR). */
#define DUMP_TRIES 5

#define PPPOE_MAX (16 << 20)

struct network {
	struct net_link *links;
	size_t n;
};

static struct net_link *find(struct network *net, int index)
{
	for (size_t i = 0; i < net->n; i++)
		if (net->links[i].index == index)
			return &net->links[i];
	return NULL;
}

static int read_links(struct nl_sock *socket, struct network *net)
{
	struct nl_cache *cache;
	int r;

	r = rtnl_link_alloc_cache(socket, AF_UNSPEC, &cache);
	if (r < 0)
		return r;
	net->links = calloc((size_t)nl_cache_nitems(cache) + 1, sizeof(*net->links));
	for (struct nl_object *o = net->links ? nl_cache_get_first(cache) : NULL; o; o = nl_cache_get_next(o)) {
		struct rtnl_link *link = (struct rtnl_link *)o;
		struct net_link *to = &net->links[net->n++];
		int32_t elsewhere;

		to->index = rtnl_link_get_ifindex(link);
		to->master = rtnl_link_get_master(link);
		/* The number of an interface in another namespace says nothing here. */
		if (rtnl_link_get_link_netnsid(link, &elsewhere) < 0)
			to->lower = rtnl_link_get_link(link);
		to->up = rtnl_link_get_flags(link) & IFF_UP;
		snprintf(to->name, sizeof(to->name), "%s", strempty(rtnl_link_get_name(link)));
		snprintf(to->kind, sizeof(to->kind), "%s", strempty(rtnl_link_get_type(link)));
	}
	nl_cache_free(cache);
	return net->links ? 0 : -NLE_NOMEM;
}

static int read_addresses(struct nl_sock *socket, struct network *net)
{
	struct nl_cache *cache;
	int r;

	r = rtnl_addr_alloc_cache(socket, &cache);
	if (r < 0)
		return r;
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		struct rtnl_addr *address = (struct rtnl_addr *)o;
		struct net_link *link = find(net, rtnl_addr_get_ifindex(address));
		struct nl_addr *local = rtnl_addr_get_local(address);

		if (!link || !local || *link->address)
			continue;
		/* IPv6 gives one to whatever is up, whether anybody wants it or not. */
		if (rtnl_addr_get_family(address) == AF_INET6 && rtnl_addr_get_scope(address) == RT_SCOPE_LINK)
			continue;
		nl_addr2str(local, link->address, sizeof(link->address));
	}
	nl_cache_free(cache);
	return 0;
}

struct next_hop {
	struct network *net;
	struct rtnl_route *route;
};

static void add_next_hop(struct rtnl_nexthop *hop, void *userdata)
{
	const struct next_hop *to = userdata;
	struct net_link *link = find(to->net, rtnl_route_nh_get_ifindex(hop));
	struct nl_addr *destination = rtnl_route_get_dst(to->route);

	if (!link)
		return;
	if (!destination || nl_addr_get_prefixlen(destination) == 0)
		link->default_route = true;
	/* What the kernel has made from an address is told as that. */
	else if (!*link->route && rtnl_route_get_protocol(to->route) != RTPROT_KERNEL)
		nl_addr2str(destination, link->route, sizeof(link->route));
}

/* One route at a time: there may be a million of them, and one per interface is kept. */
static int on_route(struct nl_msg *message, void *userdata)
{
	struct next_hop to = { .net = userdata };

	/* What is no route of IPv4 or IPv6 cannot be parsed and has nothing to say. */
	if (rtnl_route_parse(nlmsg_hdr(message), &to.route) < 0)
		return NL_OK;
	if (rtnl_route_get_type(to.route) == RTN_UNICAST && rtnl_route_get_table(to.route) != RT_TABLE_LOCAL)
		rtnl_route_foreach_nexthop(to.route, add_next_hop, &to);
	rtnl_route_put(to.route);
	return NL_OK;
}

static int read_routes(struct nl_sock *socket, struct network *net)
{
	struct rtmsg request = { .rtm_family = AF_UNSPEC };
	int r;

	r = nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, on_route, net);
	if (r < 0)
		return r;
	r = nl_send_simple(socket, RTM_GETROUTE, NLM_F_DUMP, &request, sizeof(request));
	return r < 0 ? r : nl_recvmsgs_default(socket);
}

static int read_once(struct network *net)
{
	struct nl_sock *socket = nl_socket_alloc();
	int r;

	if (!socket)
		return -NLE_NOMEM;
	r = nl_connect(socket, NETLINK_ROUTE);
	if (r >= 0 && (r = read_links(socket, net)) >= 0 && (r = read_addresses(socket, net)) >= 0)
		r = read_routes(socket, net);
	nl_socket_free(socket);
	return r;
}

static int read_network(struct network *net)
{
	int r = -NLE_DUMP_INTR;

	for (unsigned i = 0; r == -NLE_DUMP_INTR && i < DUMP_TRIES; i++) {
		free(net->links);
		*net = (struct network){};
		r = read_once(net);
	}
	return r;
}

/* The addresses and routes are those of an interface that says nothing of the one below. */
static int read_pppoe(struct network *net)
{
	_cleanup_free_ char *path = strf("%s/1/net/pppoe", in_use_proc);
	_cleanup_free_ char *text = NULL;
	const char *name;
	char *next;
	int r;

	if (!path)
		return -ENOMEM;
	r = read_file_at(AT_FDCWD, path, PPPOE_MAX, &text);
	if (r < 0)
		return r == -ENOENT ? 0 : r; /* a kernel without it */
	next = text;
	while ((name = pppoe_next(&next)))
		for (size_t i = 0; i < net->n; i++)
			if (strcmp(net->links[i].name, name) == 0)
				net->links[i].pppoe = true;
	return 0;
}

int in_use_net(const struct sysfs_interface *interfaces, size_t n, struct uses *uses)
{
	struct network net = {};
	int r = 0;

	if (n == 0)
		return 0;
	r = read_network(&net);
	if (r < 0) {
		free(net.links);
		return uses_unknown(uses, r == -NLE_NOMEM ? -ENOMEM : -EIO, "cannot tell how %s is used (%s)",
				    interfaces[0].name, nl_geterror(r));
	}
	r = read_pppoe(&net);
	if (r < 0)
		uses_unknown(uses, r, "cannot tell which interfaces carry PPPoE");
	r = 0;
	for (size_t i = 0; i < n && r >= 0; i++) {
		enum use_kind kind;
		char *text;

		r = net_use_tell(net.links, net.n, interfaces[i].index, &kind, &text);
		if (r > 0)
			r = uses_add(uses, kind, text);
		/* sysfs shows it: it came after the dump, or the dump is not of this namespace. */
		else if (r == -ENODEV)
			r = uses_unknown(uses, r, "cannot tell how %s is used", interfaces[i].name);
	}
	if (r >= 0)
		r = in_use_session(net.links, net.n, interfaces, n, uses);
	free(net.links);
	return r;
}
