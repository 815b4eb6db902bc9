/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "ctl/describe.h"
#include "ctl/display.h"
#include "ctl/document.h"
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
		/* The first to keep its width: 8 columns hold an address without its domain. */
		{ "ADDRESS", TABLE_SHRINK },
		{ "GROUP", TABLE_RIGHT },
		{ "ID", TABLE_SHRINK },
		{ "CLASS", TABLE_SHRINK },
		{ "DRIVER", TABLE_SHRINK },
		{ "FLAGS", TABLE_SHRINK | TABLE_LIST },
		{ "RULE", TABLE_SHRINK },
		{ "NAME", TABLE_SHRINK },
	};
	_cleanup_(table_freep) struct table *table = table_new(columns, ARRAY_SIZE(columns));

	if (!table)
		return complain_memory();
	for (size_t i = 0; i < model->n_devices; i++) {
		const struct model_device *device = &model->devices[i];
		_cleanup_free_ char *name = describe_name(device);

		if (!name)
			return complain_memory();
		table_add_brief(table, STYLE_PLAIN, device->address, strlen(device->address),
				describe_short_address(device->address));
		if (device->group)
			table_addf(table, STYLE_PLAIN, "%u", device->group->id);
		else
			table_add(table, STYLE_PLAIN, "");
		table_addf(table, STYLE_PLAIN, "%04x:%04x", device->vendor, device->device);
		table_addf(table, STYLE_PLAIN, "%06x", device->class_code);
		table_add(table, STYLE_PLAIN, device->driver);
		table_add(table, STYLE_PLAIN, describe_flags(device));
		table_add(table, STYLE_PLAIN, device->rule.name);
		table_add(table, STYLE_PLAIN, name);
	}
	return table_print(table, stdout, &ctl->term) < 0 ? complain_memory() : EXIT_CODE_DONE;
}

/* "0000:00:1f.2 ahci: Intel Corporation 82801IR SATA Controller", as far as it fits. */
static int print_leaf(const struct term *term, const struct model_device *device, bool last)
{
	const char *branch = term_branch(term, last), *flags = describe_flags(device);
	_cleanup_free_ char *name = describe_name(device), *line = NULL, *escaped = NULL;
	_cleanup_free_ char *fit = NULL;
	size_t used = display_width(branch);

	if (!name || asprintf(&line, "%s %s%s%s%s%s%s", device->address,
			      str_or(device->driver, "(no driver)"), *flags ? " (" : "", flags,
			      *flags ? ")" : "", *name ? ": " : "", name) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	escaped = display_escape(line);
	if (!escaped)
		return -ENOMEM;
	fit = display_fit(escaped, term->width > used ? term->width - used : 1,
			  term_ellipsis(term));
	if (!fit)
		return -ENOMEM;
	printf("%s%s\n", branch, fit);
	return 0;
}

static int list_tree(const struct term *term, const struct model *model)
{
	for (size_t i = 0; i < model->n_groups; i++) {
		const struct model_group *group = &model->groups[i];
		enum style style = outcome_style(group->state);
		_cleanup_free_ char *change = describe_change(term, group->type, group->target);
		_cleanup_free_ char *safe = change ? display_escape(change) : NULL;
		_cleanup_free_ char *state = display_escape(group->state);

		if (!safe || !state)
			return complain_memory();
		printf("%sGroup %u%s: %s, %s%s%s\n", term_on(term, STYLE_BOLD), group->id,
		       term_off(term, STYLE_BOLD), safe, term_on(term, style), state,
		       term_off(term, style));
		for (size_t j = 0; j < group->n_devices; j++)
			if (print_leaf(term, group->devices[j], j + 1 == group->n_devices) < 0)
				return complain_memory();
	}
	return EXIT_CODE_DONE;
}

static int list_json(const struct ctl *ctl, const struct model *model, bool devices)
{
	json_object *document = json_object_new_array();
	struct json_builder b = { 0 };

	for (size_t i = 0; devices && i < model->n_devices; i++)
		document_device(&b, document, NULL, &model->devices[i]);
	for (size_t i = 0; !devices && i < model->n_groups; i++)
		document_group(&b, document, NULL, &model->groups[i]);
	return json_print(ctl, &b, document);
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
	if (devices && ctl->arguments.tree) {
		complain("--tree shows groups with their devices: leave out 'devices'");
		return EXIT_CODE_USAGE;
	}
	code = model_load(ctl, MODEL_OBJECTS | MODEL_MANAGER | MODEL_NAMES, &model);
	if (code != 0)
		return code;
	if (json_wanted(ctl))
		return list_json(ctl, &model, devices);
	if (ctl->arguments.tree)
		return list_tree(&ctl->term, &model);
	return devices ? list_devices(ctl, &model) : list_groups(ctl, &model);
}
