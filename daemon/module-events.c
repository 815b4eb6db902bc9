/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include <linux/genetlink.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "daemon/gate.h"
#include "daemon/log.h"
#include "daemon/module-internal.h"

/* The socket that listens: to the kernel, for the module to come and go, and to the module. */

/* A hundred virtual functions that come at once are some thousand events. The system's limit may be lower. */
#define EVENTS_BUFFER (1 << 20)

static void on_family(struct manager *m, struct nlmsghdr *message)
{
	struct module_family family;
	uint8_t command;

	if (!genlmsg_valid_hdr(message, 0))
		return;
	command = genlmsg_hdr(message)->cmd;
	if (module_parse_family(message, IOMMU_POLICY_GENL_NAME, IOMMU_POLICY_MCGRP_EVENTS, &family) < 0 ||
	    !family.ours)
		return;
	if (command == CTRL_CMD_NEWFAMILY)
		module_came(m, &family, false);
	else if (command == CTRL_CMD_DELFAMILY && m->module->family.id == family.id)
		module_went(m);
}

static int on_event_message(struct nlmsghdr *message, void *userdata)
{
	struct manager *m = userdata;
	struct module_event event;
	struct group *group;

	if (message->nlmsg_type == GENL_ID_CTRL) {
		on_family(m, message);
		return 0;
	}
	if (!m->module->there || message->nlmsg_type != m->module->family.id || !genlmsg_valid_hdr(message, 0) ||
	    genlmsg_hdr(message)->cmd != IOMMU_POLICY_CMD_EVENT || module_parse_event(message, &event) < 0)
		return 0;
	gate_event(m, &event);
	group = event.has_group ? inventory_group(&m->inventory, event.group) : NULL;
	switch (event.event) {
	case IOMMU_POLICY_EVENT_OWNER:
		if (!event.has_group)
			module_dump(m); /* the module has lost count of whose it was */
		/* fallthrough */
	case IOMMU_POLICY_EVENT_RELEASED:
	case IOMMU_POLICY_EVENT_CLAIMED:
	case IOMMU_POLICY_EVENT_UNCLAIMED:
		/* An event is a hint: what is so by now is asked for. */
		if (group)
			module_query(m, group);
		break;
	default:
		break;
	}
	return 0;
}

/* News were lost: both the module itself and all that it told may be another by now. */
static void resync(struct manager *m)
{
	struct module_family family;
	uint32_t notify;
	int r = module_find(&family, &notify);

	log_warning("The kernel's queue of events ran over; asking the kernel module for everything again");
	if (r == 0 || r == -EPROTONOSUPPORT) {
		bool known = m->module->there && m->module->family.id == family.id;

		module_came(m, &family, false);
		if (known)
			module_dump(m);
	} else if (r == -ENOENT) {
		module_went(m);
	}
}

static int on_events(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;
	int r = 1;

	(void)s;
	(void)fd;
	(void)revents;
	for (int i = 0; i < MODULE_BURST && r > 0; i++)
		r = module_socket_receive(m->module->events, on_event_message, m);
	if (r == -ENOBUFS)
		resync(m);
	else if (r < 0)
		log_debug("Cannot hear the kernel module's events: %s", strerror(-r));
	return 0;
}

int module_listen(struct manager *m, uint32_t notify)
{
	struct module *module = m->module;
	int r;

	module->events = module_socket_new();
	if (!module->events)
		return -errno;
	nl_socket_disable_seq_check(module->events);
	nl_socket_set_buffer_size(module->events, EVENTS_BUFFER, 0);
	if (nl_socket_add_membership(module->events, (int)notify) < 0)
		return -EIO;
	r = sd_event_add_io(m->event, &module->events_source, nl_socket_get_fd(module->events), EPOLLIN, on_events, m);
	return r < 0 ? r : 0;
}
