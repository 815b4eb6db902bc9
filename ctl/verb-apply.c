/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/change.h"
#include "ctl/table.h"
#include "ctl/util.h"

static int apply_one(struct ctl *ctl, const char *text)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct target target;
	uint32_t group;
	char doing[64];
	int r;

	r = ctl_parse_target(text, &target);
	if (r == 0)
		r = bus_connect(ctl);
	if (r == 0)
		r = bus_resolve_group(ctl, &target, &group);
	if (r != 0)
		return r;

	snprintf(doing, sizeof(doing), "applying the policy to group %u", group);
	r = bus_call_manager(ctl, "ApplyGroup", true, &error, &reply, "u", group);
	return change_print(ctl, group, doing, r, &error, reply);
}

static int read_results(sd_bus_message *m, struct table *table, enum exit_code *code)
{
	const char *state, *reason;
	uint32_t group;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "(uss)");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_read(m, "(uss)", &group, &state, &reason)) > 0) {
		table_addf(table, STYLE_PLAIN, "%u", group);
		table_add(table, outcome_style(state), state);
		if (*reason && !streq(state, "compliant"))
			table_note(table, outcome_style(state), 0, reason);
		*code = outcome_worse(*code, outcome_of_state(state));
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int apply_all(struct ctl *ctl)
{
	static const struct table_column columns[] = {
		{ "GROUP", TABLE_RIGHT },
		{ "STATE", 0 },
	};
	_cleanup_(table_freep) struct table *table = table_new(columns, ARRAY_SIZE(columns));
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	enum exit_code code = EXIT_CODE_DONE;
	int r;

	if (!table)
		return complain_memory();
	r = bus_connect(ctl);
	if (r != 0)
		return r;

	r = bus_call_manager(ctl, "Apply", true, &error, &reply, NULL);
	if (r >= 0)
		r = read_results(reply, table, &code);
	if (r < 0)
		return bus_complain(ctl, "applying the policy", &error, r);

	if (table_n_rows(table) == 0 && ctl->term.legend)
		printf("No rule names a group of this machine: nothing to apply.\n");
	if (table_print(table, stdout, &ctl->term) < 0)
		return complain_memory();
	return code;
}

int verb_apply(struct ctl *ctl, char **args, int n_args)
{
	return n_args > 0 ? apply_one(ctl, args[0]) : apply_all(ctl);
}
