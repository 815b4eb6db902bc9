/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/rtnl.h>
#include <string.h>

#include "daemon/in-use-sources.h"
#include "daemon/net-dump.h"
#include "daemon/proc-text.h"

/* A dump is started again when what is dumped changed meanwhile (NLM_F_DUMP_INTR). */
#define DUMP_TRIES 5

#define PPPOE_MAX (16 << 20)

static int on_message(struct nl_msg *message, void *userdata)
{
	int r = net_dump_add(userdata, nlmsg_hdr(message));

	return r < 0 ? r : NL_OK;
}

static int read_dump(struct nl_sock *socket, int type)
{
	int r = nl_rtgen_request(socket, type, AF_UNSPEC, NLM_F_DUMP);

	return r < 0 ? r : nl_recvmsgs_default(socket);
}

static int read_once(struct net_dump *net)
{
	struct nl_sock *socket = nl_socket_alloc();
	int r;

	if (!socket)
		return -NLE_NOMEM;
	r = nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, on_message, net);
	if (r >= 0)
		r = nl_connect(socket, NETLINK_ROUTE);
	if (r >= 0)
		r = read_dump(socket, RTM_GETLINK);
	if (r >= 0)
		r = read_dump(socket, RTM_GETADDR);
	if (r >= 0)
		r = read_dump(socket, RTM_GETROUTE);
	nl_socket_free(socket);
	return r;
}

static int read_network(struct net_dump *net)
{
	int r = -NLE_DUMP_INTR;

	for (unsigned i = 0; r == -NLE_DUMP_INTR && i < DUMP_TRIES; i++) {
		net_dump_clear(net);
		r = read_once(net);
	}
	return r;
}

/* The addresses and routes are those of an interface that says nothing of the one below. */
static int read_pppoe(struct net_dump *net)
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
	struct net_dump net = {};
	int r = 0;

	if (n == 0)
		return 0;
	r = read_network(&net);
	if (r < 0) {
		net_dump_clear(&net);
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
	net_dump_clear(&net);
	return r;
}
