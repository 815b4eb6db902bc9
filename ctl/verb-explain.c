/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "ctl/bus.h"
#include "ctl/describe.h"
#include "ctl/fields.h"
#include "ctl/table.h"
#include "ctl/util.h"

/* The rule that won, as the trace has it: the last that matched. */
struct winner {
	char *name;
	char *place;
};

static void winner_clear(struct winner *winner)
{
	free(winner->name);
	free(winner->place);
}

static int remember(struct winner *winner, const char *name, const char *file, uint32_t line)
{
	winner_clear(winner);
	winner->name = strdup(name);
	if (asprintf(&winner->place, "%s:%u", file, line) < 0)
		winner->place = NULL;
	return winner->name && winner->place ? 0 : -ENOMEM;
}

static int read_trace(sd_bus_message *m, struct table *table, struct winner *winner)
{
	const char *name, *file, *detail;
	uint32_t line;
	int matched, r;

	r = sd_bus_message_enter_container(m, 'a', "(ssubs)");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_read(m, "(ssubs)", &name, &file, &line, &matched, &detail)) >
	       0) {
		enum style style = matched ? STYLE_GOOD : STYLE_DIM;

		table_addf(table, STYLE_PLAIN, "[%s]", name);
		table_add(table, style, matched ? "yes" : "no");
		table_addf(table, STYLE_PLAIN, "%s:%u", file, line);
		if (*detail)
			table_note(table, STYLE_DIM, 0, detail);
		if (matched) {
			r = remember(winner, name, file, line);
			if (r < 0)
				return r;
		}
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int print_result(const struct ctl *ctl, const struct winner *winner, const char *wish,
			const char *target, const char *state, const char *reason)
{
	int r;

	if (winner->name && *wish)
		r = field_printf(&ctl->term, "Device's wish", STYLE_BOLD,
				 "%s, by [%s] %s, the last that matches", wish, winner->name,
				 winner->place);
	else if (winner->name)
		r = field_printf(&ctl->term, "Device's wish", STYLE_PLAIN,
				 "none, although [%s] %s matched", winner->name, winner->place);
	else
		r = field_print(&ctl->term, "Device's wish", STYLE_PLAIN,
				*wish ? wish : "none: no rule matched");
	if (r >= 0)
		r = field_print(&ctl->term, "Group's target", STYLE_BOLD, target);
	if (r >= 0)
		r = field_print(&ctl->term, "Group's state", outcome_style(state), state);
	return r >= 0 ? field_print(&ctl->term, "Reason", STYLE_PLAIN, reason) : r;
}

int verb_explain(struct ctl *ctl, char **args, int n_args _unused_)
{
	static const struct table_column columns[] = {
		/* None is cut: a rule without its line number cannot be found. */
		{ "RULE", 0 },
		{ "MATCH", 0 },
		{ "WHERE", 0 },
	};
	_cleanup_(table_freep) struct table *table = table_new(columns, ARRAY_SIZE(columns));
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(winner_clear) struct winner winner = { 0 };
	const char *wish, *target_type, *state, *reason;
	struct target target;
	char doing[64];
	int r;

	if (!table)
		return complain_memory();
	r = ctl_parse_target(args[0], &target);
	if (r != 0)
		return r;
	if (target.kind != TARGET_DEVICE) {
		complain(
			"'explain' needs a device's PCI address; 'iommu-policyctl show %u' lists those of the group",
			target.group);
		return EXIT_CODE_USAGE;
	}
	r = bus_connect(ctl);
	if (r != 0)
		return r;

	snprintf(doing, sizeof(doing), "asking for the rules of %s", target.address);
	r = bus_call_manager(ctl, "Explain", false, &error, &reply, "s", target.address);
	if (r >= 0)
		r = read_trace(reply, table, &winner);
	if (r >= 0)
		r = sd_bus_message_read(reply, "ssss", &wish, &target_type, &state, &reason);
	if (r < 0)
		return bus_complain(ctl, doing, &error, r);

	if (table_n_rows(table) == 0)
		printf("There are no rules.\n");
	if (table_print(table, stdout, &ctl->term) < 0)
		return complain_memory();
	putchar('\n');
	return print_result(ctl, &winner, wish, target_type, state, reason) < 0 ? complain_memory()
										: EXIT_CODE_DONE;
}
