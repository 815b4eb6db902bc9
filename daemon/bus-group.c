/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/bus.h"
#include "daemon/owner.h"

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		    void *userdata, sd_bus_error *error)
{
	const struct group *group = userdata;
	const char *value = "";

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	if (strcmp(property, "Type") == 0)
		value = domain_to_string(group->type);
	else if (strcmp(property, "BootType") == 0)
		value = domain_to_string(group->boot_type);
	else if (strcmp(property, "Target") == 0)
		value = group->decided ? domain_to_string(group->decision.target) : "";
	else if (strcmp(property, "State") == 0)
		value = state_to_string(group->state);
	else if (strcmp(property, "Reason") == 0)
		value = strempty(group->reason);
	else if (strcmp(property, "Owner") == 0)
		value = owner_of(group);
	return sd_bus_message_append(reply, "s", value);
}

static int get_id(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		  void *userdata, sd_bus_error *error)
{
	const struct group *group = userdata;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return sd_bus_message_append(reply, "u", group->id);
}

static int get_devices(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct group *group = userdata;
	int r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	r = sd_bus_message_open_container(reply, 'a', "o");
	for (size_t i = 0; r >= 0 && i < group->n_devices; i++) {
		_cleanup_free_ char *device = bus_device_path(group->devices[i]->address);

		r = device ? sd_bus_message_append(reply, "o", device) : -ENOMEM;
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_regions(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct group *group = userdata;
	int r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	r = sd_bus_message_open_container(reply, 'a', "(tts)");
	for (size_t i = 0; r >= 0 && i < group->n_regions; i++)
		r = sd_bus_message_append(reply, "(tts)", group->regions[i].start, group->regions[i].end,
					  group->regions[i].kind);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_flag(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		    void *userdata, sd_bus_error *error)
{
	const struct group *group = userdata;
	bool value = false;

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	if (strcmp(property, "RequiresDirect") == 0)
		value = group->requires_direct;
	else if (strcmp(property, "SetAtRunTime") == 0)
		value = group->has_override;
	else if (strcmp(property, "Drifted") == 0)
		/* A quarantine whose claim somebody ended stays when its rule goes, and is still not whole. */
		value = group->drifted || group->claim_lost;
	return sd_bus_message_append(reply, "b", value);
}

static int get_rules(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		     void *userdata, sd_bus_error *error)
{
	const struct group *group = userdata;
	int r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	r = sd_bus_message_open_container(reply, 'a', "(sus)");
	for (size_t i = 0; r >= 0 && group->decided && i < group->decision.n_rules; i++) {
		const struct policy_rule *rule = group->decision.rules[i];

		r = sd_bus_message_append(reply, "(sus)", rule->path, rule->line, rule->name);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_last_error(sd_bus *bus, const char *path, const char *interface, const char *property,
			  sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct group *group = userdata;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return sd_bus_message_append(reply, "(ss)", problem_to_bus_error(group->problem), strempty(group->error));
}

static int get_changed(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct group *group = userdata;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return sd_bus_message_append(reply, "t", group->changed_usec);
}

const sd_bus_vtable bus_group_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Id", "u", get_id, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Type", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("BootType", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Target", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("State", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Reason", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Owner", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Devices", "ao", get_devices, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("ReservedRegions", "a(tts)", get_regions, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("RequiresDirect", "b", get_flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Rules", "a(sus)", get_rules, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("SetAtRunTime", "b", get_flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Drifted", "b", get_flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("LastError", "(ss)", get_last_error, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("ChangedUSec", "t", get_changed, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_VTABLE_END,
};
