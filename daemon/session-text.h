/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_SESSION_TEXT_H
#define DAEMON_SESSION_TEXT_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the other end of a storage session is, as the kernel's drivers write it. Pure, for any input. */

struct session_address {
	int family; /* AF_INET or AF_INET6 */
	unsigned char bytes[sizeof(struct in6_addr)];
	size_t length;
	char text[INET6_ADDRSTRLEN]; /* without the scope */
	char scope[IFNAMSIZ]; /* an interface's name or number, or "" */
};

/* "192.0.2.2", "2001:db8::2", "fe80::2%eth0", each also in brackets. */
bool session_address_parse(const char *text, struct session_address *ret);

/* Whether its interface is no matter of routes, and so has to be known. */
bool session_address_is_link_local(const struct session_address *address);

/*
 * The value of KEY in "traddr=192.0.2.2,trsvcid=4420" (nvmf_get_address() in
 * drivers/nvme/host/fabrics.c). False where it is not there, empty, or does not
 * fit into SIZE.
 */
bool session_option(const char *text, const char *key, char *ret, size_t size);

/* The port's name in "nn-0x20000090fa942779:pn-0x10000090fa942779" (nvme_fc_parse_traddr()), or alone as "0x…". */
bool session_fc_port(const char *text, uint64_t *ret);

#endif
