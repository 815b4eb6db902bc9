/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as the kernel's answers of interfaces, addresses and routes; then
 * each interface is asked after, whatever circles they stand in.
 */
#include <errno.h>
#include <netlink/msg.h>
#include <string.h>

#include "daemon/net-dump.h"
#include "tests/fuzz/fuzz.h"

/* So many make each input slow, and show nothing that fewer do not. */
enum { LINKS_MAX = 24 };

static void check_link(const struct net_dump *dump, const struct net_link *link)
{
	enum use_kind kind;
	char *text = NULL;
	int r;

	require(memchr(link->name, '\0', sizeof(link->name)));
	require(memchr(link->kind, '\0', sizeof(link->kind)));
	require(memchr(link->address, '\0', sizeof(link->address)));
	require(memchr(link->route, '\0', sizeof(link->route)));
	r = net_use_tell(dump->links, dump->n, link->index, &kind, &text);
	require(r == 0 || r == 1);
	require((r == 1) == (text && *text));
	free(text);
	/* It leaves by itself. */
	require(net_use_stands_on(dump->links, dump->n, link->index, link->index) == 1);
	for (size_t i = 0; i < dump->n; i++) {
		r = net_use_stands_on(dump->links, dump->n, link->index, dump->links[i].index);
		require(r == 0 || r == 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *message, *buffer;
	struct net_dump dump = {};
	int rest = (int)size;

	if (size == 0)
		return 0;
	/* Of its own and no byte longer, so that reading beyond it is seen. */
	buffer = malloc(size);
	require(buffer);
	memcpy(buffer, data, size);
	for (message = buffer; nlmsg_ok(message, rest) && dump.n < LINKS_MAX; message = nlmsg_next(message, &rest))
		net_dump_add(&dump, message);
	for (size_t i = 0; i < dump.n; i++)
		check_link(&dump, &dump.links[i]);
	net_dump_clear(&dump);
	free(buffer);
	return 0;
}
