/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/msg.h>
#include <netlink/route/route.h>
#include <string.h>

#include "daemon/in-use-sources.h"
#include "daemon/sysfs-session.h"

/* The device for which way a packet leaves, as the kernel answers for one address. */
struct lookup {
	int index;
	int error; /* the kernel's, negative */
};

static int on_route(struct nl_msg *message, void *userdata)
{
	struct lookup *lookup = userdata;
	struct rtnl_route *route;
	struct rtnl_nexthop *hop;

	if (rtnl_route_parse(nlmsg_hdr(message), &route) < 0)
		return NL_OK;
	hop = rtnl_route_nexthop_n(route, 0);
	if (hop)
		lookup->index = rtnl_route_nh_get_ifindex(hop);
	rtnl_route_put(route);
	return NL_OK;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *message, void *userdata)
{
	struct lookup *lookup = userdata;

	(void)from;
	lookup->error = message->error;
	return NL_STOP;
}

static int ask_route(struct nl_sock *socket, const struct session_address *address, struct lookup *lookup)
{
	struct rtmsg request = { .rtm_family = (unsigned char)address->family,
				 .rtm_dst_len = (unsigned char)(8 * address->length) };
	struct nl_msg *message = nlmsg_alloc_simple(RTM_GETROUTE, 0);
	int r;

	if (!message)
		return -ENOMEM;
	/* One message comes back: the route, or an error. */
	nl_socket_disable_auto_ack(socket);
	if (nlmsg_append(message, &request, sizeof(request), NLMSG_ALIGNTO) < 0 ||
	    nla_put(message, RTA_DST, (int)address->length, address->bytes) < 0)
		r = -ENOMEM;
	else if (nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, on_route, lookup) < 0 ||
		 nl_socket_modify_err_cb(socket, NL_CB_CUSTOM, on_error, lookup) < 0 ||
		 nl_connect(socket, NETLINK_ROUTE) < 0 || nl_send_auto(socket, message) < 0 ||
		 (nl_recvmsgs_default(socket) < 0 && !lookup->error))
		r = -EIO;
	else
		r = lookup->error;
	nlmsg_free(message);
	return r;
}

/* The interface's number; 0 where the kernel itself knows no way now, so that nothing is one. */
static int find_route(const struct session_address *address)
{
	struct nl_sock *socket = nl_socket_alloc();
	struct lookup lookup = {};
	int r;

	if (!socket)
		return -ENOMEM;
	r = ask_route(socket, address, &lookup);
	nl_socket_free(socket);
	if (r == -ENETUNREACH || r == -EHOSTUNREACH)
		return 0;
	if (r < 0)
		return r;
	return lookup.index > 0 ? lookup.index : -ENODEV;
}

/* As the kernel does it (inet6_pton() in net/core/utils.c): a name, or else a number. */
static int find_interface(const struct net_link *links, size_t n, const char *name)
{
	unsigned long number;
	char *end;

	for (size_t i = 0; i < n; i++)
		if (strcmp(links[i].name, name) == 0)
			return links[i].index;
	if (*name < '0' || *name > '9')
		return -ENODEV;
	number = strtoul(name, &end, 10);
	for (size_t i = 0; !*end && i < n; i++)
		if (links[i].index > 0 && (unsigned long)links[i].index == number)
			return links[i].index;
	return -ENODEV;
}

/* The interface that the session leaves by: its number, 0 where there is no way, or a negative errno. */
static int find_way(const struct net_link *links, size_t n, const struct sysfs_session *session)
{
	if (*session->interface) {
		int index = find_interface(links, n, session->interface);

		/* Adapters that do iSCSI by themselves have other names there (qedi_host_get_param(): "host3"). */
		if (index >= 0 || session->kind != SESSION_ISCSI)
			return index;
	}
	if (!session->has_remote)
		return -ENODATA;
	if (*session->remote.scope)
		return find_interface(links, n, session->remote.scope);
	if (session_address_is_link_local(&session->remote))
		return -ENODATA;
	return find_route(&session->remote);
}

static char *describe(const struct sysfs_session *session)
{
	const char *at = session->has_remote ? session->remote.text : "";

	if (session->kind == SESSION_ISCSI)
		return strf("the iSCSI session %s%s%s%s%s", session->name, *session->target ? " to " : "",
			    session->target, *at ? " at " : "", at);
	return strf("the NVMe over %s session %s%s%s", session->transport, session->name, *at ? " to " : "", at);
}

static int add_session(const struct net_link *links, size_t n_links, const struct sysfs_interface *interfaces, size_t n,
		       const struct sysfs_session *session, struct uses *uses)
{
	_cleanup_free_ char *what = describe(session);
	int way, r;

	if (!what)
		return -ENOMEM;
	way = find_way(links, n_links, session);
	if (way == 0 || way == -ENOMEM)
		return way;
	if (way < 0)
		return uses_unknown(uses, way, "cannot tell which way %s goes", what);
	for (size_t i = 0; i < n; i++) {
		r = net_use_stands_on(links, n_links, way, interfaces[i].index);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			uses_unknown(uses, r, "cannot tell which way %s goes", what);
		if (r > 0 && (r = uses_add(uses, USE_STORAGE, strf("%s carries %s", interfaces[i].name, what))) < 0)
			return r;
	}
	return 0;
}

int in_use_session(const struct net_link *links, size_t n_links, const struct sysfs_interface *interfaces, size_t n,
		   struct uses *uses)
{
	_cleanup_free_ struct sysfs_session *sessions = NULL;
	size_t n_sessions = 0;
	int r;

	r = sysfs_sessions(&sessions, &n_sessions);
	if (r < 0)
		return r == -ENOMEM ? r : uses_unknown(uses, r, "cannot tell which disks come over the network");
	for (size_t i = 0; r >= 0 && i < n_sessions; i++)
		if (sessions[i].kind != SESSION_NVME_FC)
			r = add_session(links, n_links, interfaces, n, &sessions[i], uses);
	return r;
}

int in_use_fc(const char *address, struct uses *uses)
{
	_cleanup_free_ struct sysfs_session *sessions = NULL;
	_cleanup_free_ struct sysfs_fc_host *hosts = NULL;
	size_t n_sessions = 0, n = 0;
	int r;

	r = sysfs_fc_hosts_below(address, &hosts, &n);
	if (r < 0)
		return r == -ENOMEM ? r : uses_unknown(uses, r, "cannot tell which Fibre Channel ports it has");
	if (n == 0)
		return 0;
	r = sysfs_sessions(&sessions, &n_sessions);
	if (r < 0)
		return r == -ENOMEM ? r : uses_unknown(uses, r, "cannot tell which disks come over Fibre Channel");
	for (size_t i = 0; r >= 0 && i < n_sessions; i++) {
		_cleanup_free_ char *what = describe(&sessions[i]);

		if (!what)
			return -ENOMEM;
		if (sessions[i].kind != SESSION_NVME_FC)
			continue;
		if (sessions[i].port == 0)
			uses_unknown(uses, -ENODATA, "cannot tell which way %s goes", what);
		for (size_t j = 0; r >= 0 && j < n; j++)
			if (hosts[j].port == sessions[i].port)
				r = uses_add(uses, USE_STORAGE, strf("%s carries %s", hosts[j].name, what));
	}
	return r;
}
