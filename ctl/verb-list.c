/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/describe.h"
#include "ctl/display.h"
#include "ctl/table.h"
#include "ctl/util.h"

static int list_groups(struct ctl *ctl, const struct model *model)
{
	static const struct table_column columns[] = {
		{ "GROUP", TABLE_RIGHT },
		{ "TYPE", TABLE_SHRINK },
		{ "BOOT", TABLE_SHRINK },
		{ "TARGET", TABLE_SHRINK },
		{ "STATE", TABLE_SHRINK },
		{ "OWNER", TABLE_SHRINK },
		{ "DEVICES", TABLE_SHRINK | TABLE_LIST },
	};
	_cleanup_(table_freep) struct table *table = table_new(columns, ARRAY_SIZE(columns));

	if (!table)
		return complain_memory();
	for (size_t i = 0; i < model->n_groups; i++) {
		const struct model_group *group = &model->groups[i];
		_cleanup_free_ char *members = describe_members(group);

		if (!members)
			return complain_memory();
		table_addf(table, STYLE_PLAIN, "%u", group->id);
		table_add(table, STYLE_PLAIN, group->type);
		table_add(table, STYLE_PLAIN, group->boot_type);
		table_add(table, STYLE_PLAIN, group->target);
		table_add(table, outcome_style(group->state), group->state);
		table_add(table, STYLE_PLAIN, group->owner);
		table_add(table, STYLE_PLAIN, members);
	}
	return table_print(table, stdout, &ctl->term) < 0 ? complain_memory() : EXIT_CODE_DONE;
}

static int list_devices(struct ctl *ctl, const struct model *model)
{
	static const struct table_column columns[] = {
		{ "ADDRESS", 0 },
		{ "GROUP", TABLE_RIGHT },
		{ "ID", 0 },
		{ "CLASS", 0 },
		{ "DRIVER", TABLE_SHRINK },
		{ "FLAGS", TABLE_SHRINK | TABLE_LIST },
		{ "RULE", TABLE_SHRINK },
	};
	_cleanup_(table_freep) struct table *table = table_new(columns, ARRAY_SIZE(columns));

	if (!table)
		return complain_memory();
	for (size_t i = 0; i < model->n_devices; i++) {
		const struct model_device *device = &model->devices[i];

		table_add(table, STYLE_PLAIN, device->address);
		if (device->group)
			table_addf(table, STYLE_PLAIN, "%u", device->group->id);
		else
			table_add(table, STYLE_PLAIN, "");
		table_addf(table, STYLE_PLAIN, "%04x:%04x", device->vendor, device->device);
		table_addf(table, STYLE_PLAIN, "%06x", device->class_code);
		table_add(table, STYLE_PLAIN, device->driver);
		table_add(table, STYLE_PLAIN, describe_flags(device));
		table_add(table, STYLE_PLAIN, device->rule.name);
	}
	return table_print(table, stdout, &ctl->term) < 0 ? complain_memory() : EXIT_CODE_DONE;
}

int verb_list(struct ctl *ctl, char **args, int n_args)
{
	_cleanup_(model_clear) struct model model = { 0 };
	bool devices = n_args > 0 && streq(args[0], "devices");
	int code;

	if (n_args > 0 && !devices && !streq(args[0], "groups")) {
		_cleanup_free_ char *escaped = display_escape(args[0]);

		complain("'list' takes 'groups' or 'devices', not '%s'", str_or(escaped, "?"));
		return EXIT_CODE_USAGE;
	}
	code = model_load(ctl, MODEL_OBJECTS, &model);
	if (code != 0)
		return code;
	return devices ? list_devices(ctl, &model) : list_groups(ctl, &model);
}
