/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/bus-auth.h"
#include "daemon/bus-manager.h"
#include "daemon/bus-options.h"
#include "daemon/engine.h"
#include "daemon/group-store.h"
#include "daemon/log.h"
#include "daemon/policy-store.h"
#include "daemon/worker.h"

static struct group *find_group(struct manager *m, uint32_t id, sd_bus_error *error)
{
	struct group *group = inventory_group(&m->inventory, id);

	if (!group)
		sd_bus_error_setf(error, BUS_NAME ".Error.NoSuchGroup", "there is no group %u", id);
	return group;
}

static struct device *find_device(struct manager *m, const char *address, sd_bus_error *error)
{
	struct device *device = address_is_valid(address) ? inventory_device(&m->inventory, address) : NULL;

	if (!device)
		sd_bus_error_setf(error, BUS_NAME ".Error.NoSuchDevice", "there is no PCI device of that address%s",
				  address_is_valid(address) ? "" : " (expected DDDD:BB:DD.F in lower case hex)");
	return device;
}

static int do_reload(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	int r;

	manager_load_settings(m);
	r = policy_store_reload(m);
	if (r == -EBADMSG) {
		const struct policy_error *first = &m->policy_errors.items[0];
		_cleanup_free_ char *text = policy_error_format(first);

		return sd_bus_error_setf(error, BUS_NAME ".Error.PolicyInvalid",
					 "%zu errors, the previous policy stays in force; the first: %s",
					 m->policy_errors.n_items + m->policy_errors.n_dropped, strempty(text));
	}
	return r < 0 ? r : sd_bus_reply_method_return(message, NULL);
}

static int late_error(const struct group *group, sd_bus_error *error)
{
	return sd_bus_error_setf(error, problem_to_bus_error(group->problem), "%s", strempty(group->reason));
}

static int request(struct manager *m, sd_bus_message *message, struct group *group, unsigned triggers,
		   sd_bus_error *error)
{
	int r;

	if (worker_is_late(group))
		return late_error(group, error);
	r = bus_wait_for(m, message, false, &group->id, 1, error);
	return r < 0 ? r : manager_queue_group(m, group->id, triggers) < 0 ? -ENOMEM : 1;
}

static int do_apply(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	_cleanup_free_ unsigned *groups = NULL;
	unsigned triggers;
	size_t n = 0;
	int r;

	r = bus_read_options(message, &triggers, error);
	if (r < 0)
		return r;
	groups = calloc(m->inventory.n_groups + 1, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < m->inventory.n_groups; i++)
		if (!worker_is_late(m->inventory.groups[i]))
			groups[n++] = m->inventory.groups[i]->id;
	if (n == 0)
		return bus_reply_all(m, message);
	r = bus_wait_for(m, message, true, groups, n, error);
	return r < 0 ? r : manager_queue_all(m, triggers) < 0 ? -ENOMEM : 1;
}

static int do_apply_group(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct group *group;
	unsigned triggers;
	uint32_t id;
	int r;

	if ((r = sd_bus_message_read(message, "u", &id)) < 0 ||
	    (r = bus_read_options(message, &triggers, error)) < 0)
		return r;
	group = find_group(m, id, error);
	return group ? request(m, message, group, triggers, error) : -ENXIO;
}

static int set_type(struct manager *m, sd_bus_message *message, struct group *group, enum domain domain,
		    unsigned triggers, sd_bus_error *error)
{
	struct decide_override override = {
		.domain = domain,
		.rebind = triggers & TRIGGER_REBIND ? REBIND_ALWAYS : REBIND_HOTPLUG,
		.force = triggers & TRIGGER_FORCE,
	};
	_cleanup_free_ char *reason = NULL, *key = NULL;
	enum problem problem;
	int r;

	/* What cannot be is not kept: it would be tried again behind the caller's back. */
	if (worker_is_late(group))
		return late_error(group, error);
	problem = engine_check_override(m, group, &override, &reason);
	if (problem != PROBLEM_NONE)
		return sd_bus_error_setf(error, problem_to_bus_error(problem), "%s", strempty(reason));
	r = replace_str(&key, group->decision_key);
	if (r < 0)
		return r;
	/* Nor is it where its caller is told that it was not taken. */
	r = bus_wait_for(m, message, false, &group->id, 1, error);
	if (r < 0)
		return r;
	free(group->override_key);
	group->override_key = TAKE_PTR(key);
	group->override = override;
	group->has_override = true;
	group_store_save(group);
	bus_group_changed(m, group);
	return manager_queue_group(m, group->id, triggers) < 0 ? -ENOMEM : 1;
}

static int do_set_group_type(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct group *group;
	enum domain domain;
	const char *word;
	unsigned triggers;
	uint32_t id;
	int r;

	if ((r = sd_bus_message_read(message, "us", &id, &word)) < 0 ||
	    (r = bus_read_options(message, &triggers, error)) < 0)
		return r;
	domain = domain_from_string(word);
	if (domain != DOMAIN_AUTO && !domain_is_type(domain))
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "unknown type (expected identity, DMA, DMA-FQ, auto or blocked)");
	group = find_group(m, id, error);
	return group ? set_type(m, message, group, domain, triggers, error) : -ENXIO;
}

static int do_restore(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct group *group;
	uint32_t id;
	int r;

	r = sd_bus_message_read(message, "u", &id);
	if (r < 0)
		return r;
	group = find_group(m, id, error);
	/* An explicit wish for this group by name: its drivers may be taken away for it, unless they are in use. */
	return group ? set_type(m, message, group, DOMAIN_AUTO, TRIGGER_REQUEST | TRIGGER_REBIND, error) : -ENXIO;
}

static int method_get_group_by_device(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	_cleanup_free_ char *path = NULL;
	struct device *device;
	const char *address;
	int r;

	r = sd_bus_message_read(message, "s", &address);
	if (r < 0)
		return r;
	device = find_device(m, address, error);
	if (!device)
		return -ENXIO;
	if (!device->group)
		return sd_bus_error_setf(error, BUS_NAME ".Error.NoSuchGroup", "%s has no IOMMU group", address);
	path = bus_group_path(device->group);
	return path ? sd_bus_reply_method_return(message, "o", path) : -ENOMEM;
}

static int append_trace(const struct policy_rule *rule, bool matched, const char *detail, void *userdata)
{
	if (matched && !*detail && rule->description)
		detail = rule->description;
	return sd_bus_message_append(userdata, "(ssubs)", rule->name, rule->path, rule->line, matched, detail);
}

static int method_explain(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const struct policy_rule *rule;
	const struct group *group;
	struct device_facts facts;
	struct device *device;
	const char *address;
	int r;

	r = sd_bus_message_read(message, "s", &address);
	if (r < 0)
		return r;
	device = find_device(m, address, error);
	if (!device)
		return -ENXIO;
	device_facts_make(device, &facts);
	rule = policy_match(m->policy, &facts);
	group = device->group;
	if ((r = sd_bus_message_new_method_return(message, &reply)) < 0 ||
	    (r = sd_bus_message_open_container(reply, 'a', "(ssubs)")) < 0 ||
	    (r = policy_trace(m->policy, &facts, append_trace, reply)) < 0 ||
	    (r = sd_bus_message_close_container(reply)) < 0 ||
	    (r = sd_bus_message_append(reply, "ssss", rule ? domain_to_string(rule->domain) : "",
				       group && group->decided ? domain_to_string(group->decision.target) : "",
				       group ? state_to_string(group->state) : state_to_string(STATE_UNMANAGED),
				       group ? strempty(group->reason) : "the device has no IOMMU group")) < 0)
		return r;
	return sd_bus_message_send(reply);
}

static int append_plan(struct manager *m, sd_bus_message *reply, const struct group *group)
{
	_cleanup_free_ char *reason = NULL;
	enum way way = engine_plan(m, group, &reason);
	const char *text = reason ? reason : group->decision.reason;

	return sd_bus_message_append(reply, "(usssss)", group->id, domain_to_string(group->type),
				     domain_to_string(group->decision.target), state_to_string(group->state),
				     way_to_string(way), strempty(text));
}

static int method_plan(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	(void)error;
	r = sd_bus_message_new_method_return(message, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "(usssss)");
	for (size_t i = 0; r >= 0 && i < m->inventory.n_groups; i++) {
		const struct group *group = m->inventory.groups[i];

		if (group->decided && group->decision.verdict != VERDICT_UNMANAGED)
			r = append_plan(m, reply, group);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_message_send(reply);
}

/* Whether the options, after the arguments in BEFORE, have one that takes devices in use away. */
static bool has_force(sd_bus_message *message, const char *before)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	unsigned triggers;

	/* What cannot be read is an error of the member's. */
	return (!*before || sd_bus_message_skip(message, before) >= 0) &&
	       bus_read_options(message, &triggers, &error) >= 0 && (triggers & TRIGGER_FORCE);
}

/* The caller may do the member's own action. */
static int go_on(struct manager *m, sd_bus_message *message, const char *before, sd_bus_message_handler_t handler,
		 sd_bus_error *error)
{
	bool force = has_force(message, before);
	int r = sd_bus_message_rewind(message, true);

	if (r < 0)
		return r;
	return force ? bus_authorize(m, message, BUS_ACTION_FORCE, handler, error) : handler(message, m, error);
}

/* Each member that changes something is one of these, and does nothing before its caller may. */
#define AUTHORIZED(name, action)                                                             \
	static int method_##name(sd_bus_message *message, void *userdata, sd_bus_error *error) \
	{                                                                                    \
		return bus_authorize(userdata, message, action, do_##name, error);           \
	}

/* With options, after the arguments in BEFORE: their "force" is an action besides. */
#define AUTHORIZED_WITH_OPTIONS(name, before, action)                                           \
	static int do_or_force_##name(sd_bus_message *message, void *userdata, sd_bus_error *error) \
	{                                                                                       \
		return go_on(userdata, message, before, do_##name, error);                      \
	}                                                                                       \
	static int method_##name(sd_bus_message *message, void *userdata, sd_bus_error *error)  \
	{                                                                                       \
		return bus_authorize(userdata, message, action, do_or_force_##name, error);     \
	}

AUTHORIZED(reload, BUS_ACTION_RELOAD)
AUTHORIZED_WITH_OPTIONS(apply, "", BUS_ACTION_APPLY)
AUTHORIZED_WITH_OPTIONS(apply_group, "u", BUS_ACTION_APPLY)
AUTHORIZED_WITH_OPTIONS(set_group_type, "us", BUS_ACTION_SET_TYPE)
AUTHORIZED(restore, BUS_ACTION_RESTORE)

/*
 * UNPRIVILEGED throughout: sd-bus's own check wants CAP_SYS_ADMIN, and who may
 * do what is decided by bus_authorize(), in one place.
 */
#define METHOD(name, args, result, handler) \
	SD_BUS_METHOD_WITH_ARGS(name, SD_BUS_ARGS args, SD_BUS_RESULT result, handler, SD_BUS_VTABLE_UNPRIVILEGED)

const sd_bus_vtable bus_manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload, SD_BUS_VTABLE_UNPRIVILEGED),
	METHOD("Apply", ("a{sv}", options), ("a(uss)", results), method_apply),
	METHOD("ApplyGroup", ("u", group, "a{sv}", options), ("s", state, "s", reason), method_apply_group),
	METHOD("SetGroupType", ("u", group, "s", type, "a{sv}", options), ("s", state, "s", reason),
	       method_set_group_type),
	METHOD("Restore", ("u", group), ("s", state, "s", reason), method_restore),
	METHOD("GetGroupByDevice", ("s", device), ("o", group), method_get_group_by_device),
	METHOD("Explain", ("s", device),
	       ("a(ssubs)", trace, "s", wish, "s", target, "s", state, "s", reason), method_explain),
	SD_BUS_METHOD_WITH_ARGS("Plan", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(usssss)", plan), method_plan,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Version", "s", bus_manager_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("InterfaceVersion", "u", bus_manager_number, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Mode", "s", bus_manager_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Backend", "s", bus_manager_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("PolicyFiles", "as", bus_manager_files, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("PolicyGeneration", "t", bus_manager_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("PolicyErrors", "a(suss)", bus_manager_errors, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("KernelFeatures", "as", bus_manager_features, 0, 0),
	SD_BUS_PROPERTY("Transactions", "a(stt)", bus_manager_transactions, 0, 0),
	SD_BUS_PROPERTY("PolicyReloads", "(tt)", bus_manager_reloads, 0, 0),
	SD_BUS_SIGNAL_WITH_ARGS("Decided",
				SD_BUS_ARGS("u", group, "s", from, "s", to, "s", state, "s", reason), 0),
	SD_BUS_SIGNAL_WITH_ARGS("PolicyReloaded", SD_BUS_ARGS("t", generation, "b", ok), 0),
	SD_BUS_VTABLE_END,
};
