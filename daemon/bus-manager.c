/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "config.h"
#include "daemon/bus.h"
#include "daemon/engine.h"
#include "daemon/group-store.h"
#include "daemon/kernel.h"
#include "daemon/log.h"
#include "daemon/policy-store.h"

/* A caller that floods us with requests must not fill the memory: each waits for its answer. */
#define WAITERS_MAX 256

/* A call whose answer waits for one group, or for all that had something to do. */
struct waiter {
	sd_bus_message *message;
	bool all; /* Apply() */
	unsigned *groups; /* still to come */
	size_t n_groups;
	struct waiter *next;
};

static void waiter_free(struct manager *m, struct waiter *waiter)
{
	for (struct waiter **w = &m->waiters; *w; w = &(*w)->next)
		if (*w == waiter) {
			*w = waiter->next;
			break;
		}
	sd_bus_message_unref(waiter->message);
	free(waiter->groups);
	free(waiter);
}

void bus_waiters_free(struct manager *m)
{
	while (m->waiters)
		waiter_free(m, m->waiters);
}

static int reply_all(const struct manager *m, sd_bus_message *message)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	r = sd_bus_message_new_method_return(message, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "(uss)");
	for (size_t i = 0; r >= 0 && i < m->inventory.n_groups; i++) {
		const struct group *group = m->inventory.groups[i];

		if (group->state != STATE_UNMANAGED)
			r = sd_bus_message_append(reply, "(uss)", group->id, state_to_string(group->state),
						  strempty(group->reason));
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_message_send(reply);
}

static int reply_group(sd_bus_message *message, const struct group *group)
{
	if (group->problem != PROBLEM_NONE)
		return sd_bus_reply_method_errorf(message, problem_to_bus_error(group->problem), "%s",
						  strempty(group->reason));
	return sd_bus_reply_method_return(message, "ss", state_to_string(group->state), strempty(group->reason));
}

static void waiter_group_done(struct manager *m, struct waiter *waiter, unsigned id, const struct group *group)
{
	int r = 0;

	for (size_t i = 0; i < waiter->n_groups; i++)
		if (waiter->groups[i] == id)
			waiter->groups[i] = waiter->groups[--waiter->n_groups];
	if (waiter->n_groups)
		return;
	if (waiter->all)
		r = reply_all(m, waiter->message);
	else if (group)
		r = reply_group(waiter->message, group);
	else
		r = sd_bus_reply_method_errorf(waiter->message, BUS_NAME ".Error.NoSuchGroup",
					       "group %u has gone meanwhile", id);
	if (r < 0)
		log_debug("Cannot answer %s: %s", sd_bus_message_get_member(waiter->message), strerror(-r));
	waiter_free(m, waiter);
}

static bool waits_for(const struct waiter *waiter, unsigned id)
{
	for (size_t i = 0; i < waiter->n_groups; i++)
		if (waiter->groups[i] == id)
			return true;
	return false;
}

static void tell_waiters(struct manager *m, unsigned id, const struct group *group)
{
	struct waiter *next;

	for (struct waiter *waiter = m->waiters; waiter; waiter = next) {
		next = waiter->next;
		if (waits_for(waiter, id))
			waiter_group_done(m, waiter, id, group);
	}
}

void bus_group_settled(struct manager *m, const struct group *group)
{
	/* A change that is past its deadline has been reported, and may never end. */
	if (manager_group_settled(m, group) || (group->worker && group->problem == PROBLEM_TIMEOUT))
		tell_waiters(m, group->id, group);
}

void bus_waiters_group_gone(struct manager *m, const struct group *group)
{
	tell_waiters(m, group->id, NULL);
}

static int wait_for(struct manager *m, sd_bus_message *message, bool all, const unsigned *groups, size_t n,
		    sd_bus_error *error)
{
	struct waiter *waiter;
	size_t n_waiters = 0;

	for (waiter = m->waiters; waiter; waiter = waiter->next)
		n_waiters++;
	if (n_waiters >= WAITERS_MAX)
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "too many calls wait for an answer");
	waiter = calloc(1, sizeof(*waiter));
	if (!waiter)
		return -ENOMEM;
	waiter->groups = reallocarray(NULL, n ? n : 1, sizeof(*groups));
	if (!waiter->groups) {
		free(waiter);
		return -ENOMEM;
	}
	memcpy(waiter->groups, groups, n * sizeof(*groups));
	waiter->n_groups = n;
	waiter->all = all;
	waiter->message = sd_bus_message_ref(message);
	waiter->next = m->waiters;
	m->waiters = waiter;
	return 1;
}

/* Reads a{sv} of booleans "rebind" and "force" into triggers. */
static int read_options(sd_bus_message *message, unsigned *ret_triggers, sd_bus_error *error)
{
	unsigned triggers = TRIGGER_REQUEST;
	const char *key;
	int value, r;

	r = sd_bus_message_enter_container(message, 'a', "{sv}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
		unsigned trigger;

		r = sd_bus_message_read(message, "s", &key);
		if (r < 0)
			return r;
		trigger = strcmp(key, "rebind") == 0 ? TRIGGER_REBIND : strcmp(key, "force") == 0 ? TRIGGER_FORCE : 0;
		if (!trigger)
			return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
						 "unknown option (expected rebind or force)");
		if (sd_bus_message_read(message, "v", "b", &value) < 0)
			return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "option %s: expected a boolean", key);
		if (value)
			triggers |= trigger;
		r = sd_bus_message_exit_container(message);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*ret_triggers = triggers;
	return sd_bus_message_exit_container(message);
}

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

static int method_reload(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	int r;

	r = bus_authorize(message, error);
	if (r < 0)
		return r;
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

static int request(struct manager *m, sd_bus_message *message, struct group *group, unsigned triggers,
		   sd_bus_error *error)
{
	int r;

	if (group->worker && group->problem == PROBLEM_TIMEOUT)
		return sd_bus_error_setf(error, BUS_NAME ".Error.Timeout", "%s", strempty(group->reason));
	r = wait_for(m, message, false, &group->id, 1, error);
	return r < 0 ? r : manager_queue_group(m, group->id, triggers) < 0 ? -ENOMEM : 1;
}

static int method_apply(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	_cleanup_free_ unsigned *groups = NULL;
	unsigned triggers;
	size_t n = 0;
	int r;

	if ((r = bus_authorize(message, error)) < 0 || (r = read_options(message, &triggers, error)) < 0)
		return r;
	groups = calloc(m->inventory.n_groups + 1, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < m->inventory.n_groups; i++)
		if (!m->inventory.groups[i]->worker || m->inventory.groups[i]->problem != PROBLEM_TIMEOUT)
			groups[n++] = m->inventory.groups[i]->id;
	if (n == 0)
		return reply_all(m, message);
	r = wait_for(m, message, true, groups, n, error);
	return r < 0 ? r : manager_queue_all(m, triggers) < 0 ? -ENOMEM : 1;
}

static int method_apply_group(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct group *group;
	unsigned triggers;
	uint32_t id;
	int r;

	if ((r = bus_authorize(message, error)) < 0 || (r = sd_bus_message_read(message, "u", &id)) < 0 ||
	    (r = read_options(message, &triggers, error)) < 0)
		return r;
	group = find_group(m, id, error);
	return group ? request(m, message, group, triggers, error) : -ENXIO;
}

static int set_type(struct manager *m, sd_bus_message *message, struct group *group, enum domain domain,
		    unsigned triggers, sd_bus_error *error)
{
	int r = replace_str(&group->override_key, group->decision_key);

	if (r < 0)
		return r;
	group->override = (struct decide_override){
		.domain = domain,
		.rebind = triggers & TRIGGER_REBIND ? REBIND_ALWAYS : REBIND_HOTPLUG,
		.force = triggers & TRIGGER_FORCE,
	};
	group->has_override = true;
	group_store_save(group);
	return request(m, message, group, triggers, error);
}

static int method_set_group_type(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct group *group;
	enum domain domain;
	const char *word;
	unsigned triggers;
	uint32_t id;
	int r;

	if ((r = bus_authorize(message, error)) < 0 || (r = sd_bus_message_read(message, "us", &id, &word)) < 0 ||
	    (r = read_options(message, &triggers, error)) < 0)
		return r;
	domain = domain_from_string(word);
	if (domain != DOMAIN_AUTO && !domain_is_type(domain))
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "unknown type (expected identity, DMA, DMA-FQ, auto or blocked)");
	group = find_group(m, id, error);
	return group ? set_type(m, message, group, domain, triggers, error) : -ENXIO;
}

static int method_restore(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct group *group;
	uint32_t id;
	int r;

	if ((r = bus_authorize(message, error)) < 0 || (r = sd_bus_message_read(message, "u", &id)) < 0)
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

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		    void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;
	const char *value = PACKAGE_VERSION;

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	if (strcmp(property, "Mode") == 0)
		value = m->settings.mode == MODE_AUDIT ? "audit" : "enforce";
	else if (strcmp(property, "Backend") == 0)
		value = "sysfs";
	return sd_bus_message_append(reply, "s", value);
}

static int get_files(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		     void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return sd_bus_message_append_strv(reply, (char **)policy_files(m->policy));
}

static int get_generation(sd_bus *bus, const char *path, const char *interface, const char *property,
			  sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return sd_bus_message_append(reply, "t", m->policy_generation);
}

static int get_errors(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;
	int r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	r = sd_bus_message_open_container(reply, 'a', "(suss)");
	for (size_t i = 0; r >= 0 && i < m->policy_errors.n_items; i++) {
		const struct policy_error *e = &m->policy_errors.items[i];

		r = sd_bus_message_append(reply, "(suss)", e->path, e->line, strempty(e->key), strempty(e->message));
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_features(sd_bus *bus, const char *path, const char *interface, const char *property,
			sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	_cleanup_strv_ char **features = NULL;
	int r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)userdata;
	(void)error;
	r = kernel_features(&features);
	return r < 0 ? r : sd_bus_message_append_strv(reply, features);
}

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
	SD_BUS_PROPERTY("Version", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Mode", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Backend", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("PolicyFiles", "as", get_files, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("PolicyGeneration", "t", get_generation, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("PolicyErrors", "a(suss)", get_errors, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("KernelFeatures", "as", get_features, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_SIGNAL_WITH_ARGS("Decided",
				SD_BUS_ARGS("u", group, "s", from, "s", to, "s", state, "s", reason), 0),
	SD_BUS_SIGNAL_WITH_ARGS("PolicyReloaded", SD_BUS_ARGS("t", generation, "b", ok), 0),
	SD_BUS_VTABLE_END,
};
