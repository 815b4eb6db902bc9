/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ctl/describe.h"
#include "ctl/document.h"
#include "ctl/fields.h"
#include "ctl/util.h"

static int show_rule(const struct term *term, const char *label, const struct model_rule *rule)
{
	_cleanup_free_ char *place = model_rule_place(rule);

	if (!place)
		return -ENOMEM;
	if (!*place && !*rule->name)
		return field_print(term, label, STYLE_PLAIN, "");
	return field_printf(term, label, STYLE_PLAIN, "[%s] %s", rule->name, place);
}

static int show_members(const struct term *term, const struct model_group *group)
{
	int r = group->n_devices > 0 ? 0 : field_print(term, "Devices", STYLE_PLAIN, "");

	for (size_t i = 0; i < group->n_devices && r >= 0; i++) {
		const struct model_device *device = group->devices[i];
		const char *flags = describe_flags(device);
		_cleanup_free_ char *name = describe_name(device);

		if (!name)
			return -ENOMEM;
		r = field_printf(term, i == 0 ? "Devices" : NULL, STYLE_PLAIN,
				 "%s %04x:%04x class %06x %s%s%s%s%s", device->address, device->vendor,
				 device->device, device->class_code,
				 str_or(device->driver, "(no driver)"), *flags ? ", " : "", flags,
				 *name ? ": " : "", name);
	}
	return r;
}

static bool has_region(const struct model_group *group, const char *kind)
{
	for (size_t i = 0; i < group->n_regions; i++)
		if (strcmp(group->regions[i].kind, kind) == 0)
			return true;
	return false;
}

static int show_regions(const struct term *term, const struct model_group *group)
{
	int r = group->n_regions > 0 ? 0 : field_print(term, "Reserved", STYLE_PLAIN, "");

	for (size_t i = 0; i < group->n_regions && r >= 0; i++)
		r = field_printf(term, i == 0 ? "Reserved" : NULL, STYLE_PLAIN,
				 "0x%" PRIx64 "-0x%" PRIx64 " %s", group->regions[i].first,
				 group->regions[i].last, group->regions[i].kind);
	if (r >= 0 && group->requires_direct)
		r = field_print(term, NULL, STYLE_PLAIN,
				"(direct: the firmware does DMA there as long as the machine runs, which rules out "
				"'blocked')");
	else if (r >= 0 && has_region(group, "direct-relaxable"))
		r = field_print(term, NULL, STYLE_PLAIN,
				"(direct-relaxable: the firmware did DMA there until the system took over; 'blocked' is "
				"possible)");
	return r;
}

/* What a group is and why; the first half is what a device's description ends with. */
static int show_state(const struct term *term, const struct model_group *group)
{
	_cleanup_free_ char *changed = describe_time(group->changed_usec, realtime_usec());
	enum style style = outcome_style(group->state);
	int r;

	if (!changed)
		return -ENOMEM;
	r = field_printf(term, "Type", STYLE_PLAIN, "%s (at boot: %s)", str_or(group->type, "-"),
			 str_or(group->boot_type, "unknown"));
	if (r >= 0)
		r = field_print(term, "Target", STYLE_PLAIN, group->target);
	if (r >= 0)
		r = field_printf(term, "State", style, "%s%s%s", group->state,
				 *changed ? " since " : "", changed);
	if (r >= 0)
		r = field_print(term, "Reason", STYLE_PLAIN, group->reason);
	/* Mostly the last error is the reason, and its name is what is new. */
	if (r >= 0 && *group->error_name && streq(group->error_message, group->reason))
		r = field_print(term, "Last error", STYLE_BAD, group->error_name);
	else if (r >= 0 && *group->error_name)
		r = field_printf(term, "Last error", STYLE_BAD, "%s (%s)", group->error_message,
				 group->error_name);
	return r;
}

static int show_group(const struct term *term, const struct model_group *group)
{
	int r = field_printf(term, "Group", STYLE_BOLD, "%u", group->id);

	if (r >= 0)
		r = show_state(term, group);
	for (size_t i = 0; i < group->n_rules && r >= 0; i++)
		r = show_rule(term, i == 0 ? "Rules" : NULL, &group->rules[i]);
	if (r >= 0)
		r = field_print(term, "DMA owner", STYLE_PLAIN, group->owner);
	if (r >= 0)
		r = show_members(term, group);
	return r >= 0 ? show_regions(term, group) : r;
}

static int show_device(const struct term *term, const struct model_device *device)
{
	_cleanup_free_ char *name = describe_name(device);
	int r = name ? field_print(term, "Device", STYLE_BOLD, device->address) : -ENOMEM;

	if (r >= 0 && *name)
		r = field_print(term, "Name", STYLE_PLAIN, name);
	if (r >= 0)
		r = field_printf(term, "ID", STYLE_PLAIN, "%04x:%04x, subsystem %04x:%04x",
				 device->vendor, device->device, device->subvendor,
				 device->subdevice);
	if (r >= 0)
		r = field_printf(term, "Class", STYLE_PLAIN, "%06x%s%s", device->class_code,
				 *device->class_name ? ", " : "", device->class_name);
	if (r >= 0)
		r = field_print(term, "Driver", STYLE_PLAIN, device->driver);
	if (r >= 0)
		r = field_print(term, "Flags", STYLE_PLAIN, describe_flags(device));
	if (r >= 0)
		r = show_rule(term, "Rule", &device->rule);
	if (r < 0 || !device->group)
		return r < 0 ? r : field_print(term, "Group", STYLE_PLAIN, "");

	r = field_printf(term, "Group", STYLE_BOLD, "%u (%zu %s)", device->group->id,
			 device->group->n_devices,
			 device->group->n_devices == 1 ? "device" : "devices");
	return r >= 0 ? show_state(term, device->group) : r;
}

static int show_json(const struct ctl *ctl, const struct model_group *group,
		     const struct model_device *device)
{
	json_object *document = json_object_new_object();
	struct json_builder b = { 0 };

	if (device)
		document_device(&b, document, "device", device);
	else
		json_add_null(&b, document, "device");
	if (group)
		document_group(&b, document, "group", group);
	else
		json_add_null(&b, document, "group");
	return json_print(ctl, &b, document);
}

int verb_show(struct ctl *ctl, char **args, int n_args _unused_)
{
	_cleanup_(model_clear) struct model model = { 0 };
	const struct model_device *device;
	const struct model_group *group;
	struct target target;
	int r;

	r = ctl_parse_target(args[0], &target);
	if (r == 0)
		r = model_load(ctl, MODEL_OBJECTS | MODEL_MANAGER | MODEL_NAMES, &model);
	if (r == 0)
		r = model_find_target(ctl, &model, &target, &group, &device);
	if (r != 0)
		return r;

	if (json_wanted(ctl))
		return show_json(ctl, group, device);
	r = device ? show_device(&ctl->term, device) : show_group(&ctl->term, group);
	return r < 0 ? complain_memory() : EXIT_CODE_DONE;
}
