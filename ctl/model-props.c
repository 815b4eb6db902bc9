/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/model-props.h"

#include <errno.h>

#include "ctl/model.h"
#include "ctl/util.h"

/* One more zeroed element of SIZE bytes at the end of *ITEMS. */
static void *append(void **items, size_t *n, size_t size)
{
	char *more = reallocarray(*items, *n + 1, size);

	if (!more)
		return NULL;
	*items = more;
	memset(more + *n * size, 0, size);
	return more + (*n)++ * size;
}

static int read_rule(sd_bus_message *m, void *field)
{
	struct model_rule *rule = field;
	const char *file, *name;
	int r;

	r = sd_bus_message_read(m, "(sus)", &file, &rule->line, &name);
	if (r <= 0)
		return r;
	r = prop_set_string(&rule->file, file);
	if (r >= 0)
		r = prop_set_string(&rule->name, name);
	return r < 0 ? r : 1;
}

/* The readers of arrays get the whole struct: pointer and number are two members of it. */

static int read_rules(sd_bus_message *m, void *base)
{
	struct model_group *group = base;
	int r = sd_bus_message_enter_container(m, 'a', "(sus)");

	if (r < 0)
		return r;
	while ((r = sd_bus_message_at_end(m, 0)) == 0) {
		struct model_rule *rule =
			append((void **)&group->rules, &group->n_rules, sizeof(*rule));

		if (!rule)
			return -ENOMEM;
		r = read_rule(m, rule);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_regions(sd_bus_message *m, void *base)
{
	struct model_group *group = base;
	uint64_t first, last;
	const char *kind;
	int r = sd_bus_message_enter_container(m, 'a', "(tts)");

	if (r < 0)
		return r;
	while ((r = sd_bus_message_read(m, "(tts)", &first, &last, &kind)) > 0) {
		struct model_region *region =
			append((void **)&group->regions, &group->n_regions, sizeof(*region));

		if (!region)
			return -ENOMEM;
		region->first = first;
		region->last = last;
		r = prop_set_string(&region->kind, kind);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_last_error(sd_bus_message *m, void *base)
{
	struct model_group *group = base;
	const char *name, *message;
	int r = sd_bus_message_read(m, "(ss)", &name, &message);

	if (r >= 0)
		r = prop_set_string(&group->error_name, name);
	return r < 0 ? r : prop_set_string(&group->error_message, message);
}

static int read_policy_errors(sd_bus_message *m, void *base)
{
	struct model_manager *manager = base;
	const char *file, *key, *message;
	uint32_t line;
	int r = sd_bus_message_enter_container(m, 'a', "(suss)");

	if (r < 0)
		return r;
	while ((r = sd_bus_message_read(m, "(suss)", &file, &line, &key, &message)) > 0) {
		struct model_policy_error *error =
			append((void **)&manager->errors, &manager->n_errors, sizeof(*error));

		if (!error)
			return -ENOMEM;
		error->line = line;
		r = prop_set_string(&error->file, file);
		if (r >= 0)
			r = prop_set_string(&error->key, key);
		if (r >= 0)
			r = prop_set_string(&error->message, message);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

#define MANAGER(member) offsetof(struct model_manager, member)
#define GROUP(member) offsetof(struct model_group, member)
#define DEVICE(member) offsetof(struct model_device, member)

const struct prop model_manager_props[] = {
	{ "InterfaceVersion", "u", prop_read_u32, MANAGER(interface_version) },
	{ "Version", "s", prop_read_string, MANAGER(version) },
	{ "Mode", "s", prop_read_string, MANAGER(mode) },
	{ "Backend", "s", prop_read_string, MANAGER(backend) },
	{ "PolicyFiles", "as", prop_read_strv, MANAGER(files) },
	{ "PolicyGeneration", "t", prop_read_u64, MANAGER(generation) },
	{ "PolicyErrors", "a(suss)", read_policy_errors, 0 },
	{ "KernelFeatures", "as", prop_read_strv, MANAGER(features) },
	{ 0 },
};

const struct prop model_group_props[] = {
	{ "Id", "u", prop_read_u32, GROUP(id) },
	{ "Type", "s", prop_read_string, GROUP(type) },
	{ "BootType", "s", prop_read_string, GROUP(boot_type) },
	{ "Target", "s", prop_read_string, GROUP(target) },
	{ "State", "s", prop_read_string, GROUP(state) },
	{ "Reason", "s", prop_read_string, GROUP(reason) },
	{ "Owner", "s", prop_read_string, GROUP(owner) },
	{ "ReservedRegions", "a(tts)", read_regions, 0 },
	{ "RequiresDirect", "b", prop_read_bool, GROUP(requires_direct) },
	{ "Rules", "a(sus)", read_rules, 0 },
	{ "SetAtRunTime", "b", prop_read_bool, GROUP(set_at_run_time) },
	{ "Drifted", "b", prop_read_bool, GROUP(drifted) },
	{ "LastError", "(ss)", read_last_error, 0 },
	{ "ChangedUSec", "t", prop_read_u64, GROUP(changed_usec) },
	{ 0 },
};

const struct prop model_device_props[] = {
	{ "Address", "s", prop_read_string, DEVICE(address) },
	{ "Vendor", "q", prop_read_u16, DEVICE(vendor) },
	{ "Device", "q", prop_read_u16, DEVICE(device) },
	{ "SubsystemVendor", "q", prop_read_u16, DEVICE(subvendor) },
	{ "SubsystemDevice", "q", prop_read_u16, DEVICE(subdevice) },
	{ "Class", "u", prop_read_u32, DEVICE(class_code) },
	{ "Driver", "s", prop_read_string, DEVICE(driver) },
	{ "Removable", "b", prop_read_bool, DEVICE(removable) },
	{ "VirtualFunction", "b", prop_read_bool, DEVICE(virtual_function) },
	{ "Bridge", "b", prop_read_bool, DEVICE(bridge) },
	{ "Group", "o", prop_read_string, DEVICE(group_path) },
	{ "Rule", "(sus)", read_rule, DEVICE(rule) },
	{ "Wish", "s", prop_read_string, DEVICE(wish) },
	{ 0 },
};
