/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_MODULE_INTERNAL_H
#define DAEMON_MODULE_INTERNAL_H

#include "daemon/module-link.h"
#include "daemon/module.h"

/* What module.c and module-events.c share. */

/* Datagrams handled before other sources of the loop get their turn. */
#define MODULE_BURST 64

struct module {
	struct nl_sock *requests, *events;
	sd_event_source *requests_source, *events_source, *query_source;
	struct module_family family;
	bool there;
	uint32_t seq;
	uint32_t dump; /* number of the dump under way, 0: none */
	bool dump_again;
	bool lost; /* answers, of which nobody knows whose */
	bool forbidden; /* it does not serve us */
};

/* The module is there, as FAMILY; also where that is known already. STARTING: that is no news, the daemon is. */
void module_came(struct manager *m, const struct module_family *family, bool starting);
void module_went(struct manager *m);
/* Has everything asked for. */
void module_dump(struct manager *m);

/* Begins to listen to the kernel's news of families, in its multicast group NOTIFY. */
int module_listen(struct manager *m, uint32_t notify);

#endif
