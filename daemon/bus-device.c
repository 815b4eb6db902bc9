/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/bus.h"

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		    void *userdata, sd_bus_error *error)
{
	const struct device *device = userdata;

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	return sd_bus_message_append(reply, "s",
				     strcmp(property, "Driver") == 0 ? strempty(device->driver) : device->address);
}

static int get_number(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct sysfs_device *a = &((const struct device *)userdata)->attributes;
	unsigned value = strcmp(property, "Vendor") == 0	  ? a->vendor :
			 strcmp(property, "Device") == 0	  ? a->device :
			 strcmp(property, "SubsystemVendor") == 0 ? a->subvendor :
								    a->subdevice;

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	return sd_bus_message_append(reply, "q", (uint16_t)value);
}

static int get_class(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		     void *userdata, sd_bus_error *error)
{
	const struct device *device = userdata;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return sd_bus_message_append(reply, "u", device->attributes.class_code);
}

static int get_flag(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		    void *userdata, sd_bus_error *error)
{
	const struct sysfs_device *a = &((const struct device *)userdata)->attributes;
	bool value = strcmp(property, "Removable") == 0	      ? a->removable :
		     strcmp(property, "VirtualFunction") == 0 ? a->virtual_function :
								a->bridge;

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	return sd_bus_message_append(reply, "b", value);
}

static int get_group(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		     void *userdata, sd_bus_error *error)
{
	const struct device *device = userdata;
	_cleanup_free_ char *group = device->group ? bus_group_path(device->group) : strdup("/");

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return group ? sd_bus_message_append(reply, "o", group) : -ENOMEM;
}

/* The decision keeps its devices in the order of the group's. */
static const struct policy_rule *device_rule(const struct device *device)
{
	const struct group *group = device->group;

	for (size_t i = 0; group && group->decided && i < group->decision.n_devices && i < group->n_devices; i++)
		if (group->devices[i] == device)
			return group->decision.devices[i].rule;
	return NULL;
}

static int get_rule(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		    void *userdata, sd_bus_error *error)
{
	const struct policy_rule *rule = device_rule(userdata);

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return sd_bus_message_append(reply, "(sus)", rule ? rule->path : "", rule ? rule->line : 0,
				     rule ? rule->name : "");
}

/* What the rule asks for, as Explain() has it; what comes of it is the group's. */
static int get_wish(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		    void *userdata, sd_bus_error *error)
{
	const struct policy_rule *rule = device_rule(userdata);

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return sd_bus_message_append(reply, "s", rule ? domain_to_string(rule->domain) : "");
}

const sd_bus_vtable bus_device_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Address", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Vendor", "q", get_number, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Device", "q", get_number, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("SubsystemVendor", "q", get_number, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("SubsystemDevice", "q", get_number, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Class", "u", get_class, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Driver", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Removable", "b", get_flag, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("VirtualFunction", "b", get_flag, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Bridge", "b", get_flag, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Group", "o", get_group, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Rule", "(sus)", get_rule, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Wish", "s", get_wish, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_VTABLE_END,
};
