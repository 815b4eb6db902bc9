/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include <linux/genetlink.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "daemon/bus.h"
#include "daemon/gate.h"
#include "daemon/log.h"
#include "daemon/module-internal.h"
#include "daemon/owner.h"

/*
 * Two sockets. One asks, and the gate is its own: it is opened when the module
 * comes and closed when that goes. The other only listens, to the kernel's news
 * of families and to the module's events; a flood of these cannot make answers
 * get lost.
 *
 * The kernel handles what is sent before the sending returns, so the order of
 * requests is the order in which they take effect.
 */

/* Questions that are asked at once: an answer takes up to 6 KiB of the socket's 208. */
#define QUERY_BURST 16

bool module_is_there(const struct manager *m)
{
	return m->module && m->module->there;
}

uint32_t module_send(struct manager *m, struct module_request *request)
{
	struct module *module = m->module;
	int r;

	if (!module_is_there(m))
		return 0;
	if (++module->seq == 0)
		module->seq = 1;
	request->cookie = module->seq;
	r = module_socket_send(module->requests, module->family.id, module->seq, request);
	if (r < 0) {
		log_warning("Cannot ask the kernel module: %s", strerror(-r));
		return 0;
	}
	return module->seq;
}

/* Everything again: when the module has come, and after events have been lost. */
void module_dump(struct manager *m)
{
	struct module_request request = { .command = IOMMU_POLICY_CMD_GROUP_GET, .dump = true };
	struct module *module = m->module;

	/* A socket can have one at a time. */
	if (module->dump)
		module->dump_again = true;
	else
		module->dump = module_send(m, &request);
}

void module_query(struct manager *m, struct group *group)
{
	if (!module_is_there(m))
		return;
	group->query_due = true;
	sd_event_source_set_enabled(m->module->query_source, SD_EVENT_ONESHOT);
}

/*
 * The kernel answers before the sending returns, and drops what the socket has
 * no room for; what has been answered is read before more is asked.
 */
static int on_query(sd_event_source *s, void *userdata)
{
	struct manager *m = userdata;
	unsigned n = 0;

	for (size_t i = 0; i < m->inventory.n_groups; i++) {
		struct group *group = m->inventory.groups[i];
		struct module_request request = {
			.command = IOMMU_POLICY_CMD_GROUP_GET,
			.has_group = true,
			.group = group->id,
		};

		if (!group->query_due)
			continue;
		if (n++ == QUERY_BURST)
			return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
		group->query_due = false;
		module_send(m, &request);
	}
	return 0;
}

static void on_group(struct manager *m, struct nlmsghdr *message)
{
	struct module_group found;
	struct group *group;
	int r = module_parse_group(message, &found);

	if (r < 0) {
		log_debug("The kernel module's answer about a group is left aside: %s", strerror(-r));
		return;
	}
	group = inventory_group(&m->inventory, found.id);
	if (group && found.truncated && message->nlmsg_seq == m->module->dump)
		module_query(m, group);
	gate_note_group(m, &found);
	if (group)
		owner_update(m, group, &found);
	module_group_clear(&found);
}

/* What SEQ has asked for is not to be had. */
static void on_refusal(struct manager *m, uint32_t seq, int error, const char *text)
{
	log_debug("The kernel module refuses request %u: %s%s%s", seq, strerror(-error), *text ? ", " : "", text);
	gate_refused(m, seq, error);
	owner_refused(m, seq, error);
	if (error == -EPERM && m->module->dump && seq == m->module->dump)
		m->module->forbidden = true;
}

static void on_dump_end(struct manager *m)
{
	bool again = m->module->dump_again;

	m->module->dump = 0;
	m->module->dump_again = false;
	if (again)
		module_dump(m);
}

static int on_answer(struct nlmsghdr *message, void *userdata)
{
	struct manager *m = userdata;
	struct module *module = m->module;
	struct module_done done;
	struct module_info info;
	char text[128];
	int error;

	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		module->dump_again = true;
	if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
		if (message->nlmsg_type == NLMSG_ERROR && module_parse_ack(message, &error, text, sizeof(text)) >= 0) {
			if (error < 0)
				on_refusal(m, message->nlmsg_seq, error, text);
			else
				gate_accepted(m, message->nlmsg_seq);
		}
		if (module->dump && message->nlmsg_seq == module->dump)
			on_dump_end(m);
		return 0;
	}
	if (message->nlmsg_type != module->family.id || !genlmsg_valid_hdr(message, 0))
		return 0;
	switch (genlmsg_hdr(message)->cmd) {
	case IOMMU_POLICY_CMD_GROUP_GET:
		on_group(m, message);
		break;
	case IOMMU_POLICY_CMD_INFO_GET:
		if (module_parse_info(message, &info) >= 0)
			gate_info(m, &info);
		break;
	case IOMMU_POLICY_CMD_DONE:
		if (module_parse_done(message, &done) < 0)
			break;
		gate_done(m, &done);
		owner_done(m, &done);
		break;
	}
	return 0;
}

static int on_requests(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;
	int r = 1;

	(void)s;
	(void)fd;
	(void)revents;
	for (int i = 0; i < MODULE_BURST && r > 0; i++) {
		r = module_socket_receive(m->module->requests, on_answer, m);
		if (r == -ENOBUFS) {
			/* The rest is still to be read; asking now would only lose more. */
			m->module->lost = true;
			r = 1;
		}
	}
	if (m->module->forbidden) {
		log_warning("The kernel module iommu_policy may not be used by this process (CAP_SYS_ADMIN and "
			    "CAP_SYS_RAWIO are needed)");
		module_went(m);
	} else if (r == 0 && m->module->lost) {
		/*
		 * Which answers were lost is not known; whatever waits for one asks again in time. A dump goes on
		 * whenever something is read, so none is under way where there is nothing left.
		 */
		log_debug("Answers of the kernel module have been lost; everything is asked for again");
		m->module->lost = false;
		m->module->dump = 0;
		m->module->dump_again = false;
		module_dump(m);
	} else if (r < 0) {
		log_debug("Cannot hear the kernel module's answers: %s", strerror(-r));
	}
	return 0;
}

static void tell(struct manager *m, bool starting)
{
	struct log_fields fields = {
		.message_id = m->module->there ? MESSAGE_MODULE_CAME : MESSAGE_MODULE_WENT,
		.group = -1,
	};

	if (m->module->there)
		log_struct(starting ? LOG_INFO : LOG_NOTICE, &fields,
			   "The kernel module iommu_policy is %s and is used from now on",
			   starting ? "loaded" : "there");
	else
		log_struct(LOG_NOTICE, &fields,
			   "The kernel module iommu_policy has gone; everything but what it alone can do goes on "
			   "without it");
	bus_manager_changed(m);
}

static void close_requests(struct module *module)
{
	module->requests_source = sd_event_source_disable_unref(module->requests_source);
	nl_socket_free(module->requests);
	module->requests = NULL;
	module->dump = 0;
	module->dump_again = false;
	module->lost = false;
}

static int open_requests(struct manager *m)
{
	struct module *module = m->module;
	int r;

	module->requests = module_socket_new();
	if (!module->requests)
		return -errno;
	/* Before the worker processes' ends, which make use of what is known by then. */
	if ((r = sd_event_add_io(m->event, &module->requests_source, nl_socket_get_fd(module->requests), EPOLLIN,
				 on_requests, m)) < 0 ||
	    (r = sd_event_source_set_priority(module->requests_source, SD_EVENT_PRIORITY_NORMAL - 1)) < 0)
		close_requests(module);
	return r < 0 ? r : 0;
}

void module_went(struct manager *m)
{
	struct module *module = m->module;

	if (!module->there)
		return;
	close_requests(module);
	module->there = false;
	gate_module_went(m);
	owner_module_went(m);
	tell(m, false);
}

void module_came(struct manager *m, const struct module_family *family, bool starting)
{
	struct module *module = m->module;
	int r;

	if (module->there && module->family.id == family->id)
		return;
	module_went(m);
	if (family->version != IOMMU_POLICY_GENL_VERSION) {
		log_warning("The kernel module iommu_policy speaks version %u of its interface, and version %u is "
			    "needed: it is not used", family->version, IOMMU_POLICY_GENL_VERSION);
		return;
	}
	module->family = *family;
	module->forbidden = false;
	r = open_requests(m);
	if (r < 0) {
		log_warning("Cannot use the kernel module iommu_policy: %s", strerror(-r));
		return;
	}
	if (!family->events || nl_socket_add_membership(module->events, (int)family->events) < 0)
		log_warning("Cannot listen to the kernel module's events; what it tells may be late");
	module->there = true;
	/*
	 * No device is missed between the two: the uevents of those that came
	 * before the gate was armed have been listened to all the time.
	 */
	gate_update(m);
	module_dump(m);
	tell(m, starting);
}

int module_start(struct manager *m)
{
	struct module_family family;
	uint32_t notify;
	int r, found;

	m->module = calloc(1, sizeof(*m->module));
	if (!m->module)
		return -ENOMEM;
	if ((r = sd_event_add_defer(m->event, &m->module->query_source, on_query, m)) < 0 ||
	    (r = sd_event_source_set_enabled(m->module->query_source, SD_EVENT_OFF)) < 0 ||
	    (r = sd_event_source_set_priority(m->module->query_source, SD_EVENT_PRIORITY_NORMAL + 1)) < 0 ||
	    (r = gate_start(m)) < 0)
		return r;
	found = module_find(&family, &notify);
	r = notify ? module_listen(m, notify) : -EAFNOSUPPORT;
	/* Once more: it may have been loaded just before we listened. */
	if (r >= 0)
		found = module_find(&family, &notify);
	if (r < 0 || (found < 0 && found != -ENOENT && found != -EPROTONOSUPPORT)) {
		log_warning("Cannot tell whether the kernel module is loaded; going on without it: %s",
			    strerror(r < 0 ? -r : -found));
		return 0;
	}
	if (found != -ENOENT)
		module_came(m, &family, true);
	return 0;
}

void module_stop(struct manager *m)
{
	struct module *module = m->module;

	if (!module)
		return;
	gate_stop(m);
	close_requests(module);
	sd_event_source_disable_unref(module->events_source);
	sd_event_source_disable_unref(module->query_source);
	nl_socket_free(module->events);
	free(module);
	m->module = NULL;
}
