/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/bus.h"
#include "ctl/describe.h"
#include "ctl/table.h"
#include "ctl/util.h"

struct counts {
	size_t settled; /* as the policy wants already */
	size_t waiting;
	size_t changing;
	size_t refused;
};

static enum style way_style(const char *way)
{
	return streq(way, "wait") ? STYLE_WAIT : streq(way, "nothing") ? STYLE_DIM : STYLE_GOOD;
}

static int read_plan(sd_bus_message *m, struct table *table, struct counts *counts)
{
	const char *type, *target, *state, *way, *reason;
	uint32_t group;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "(usssss)");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_read(m, "(usssss)", &group, &type, &target, &state, &way,
					&reason)) > 0) {
		bool nothing = streq(way, "nothing");

		/*
		 * A group without anything to do is only news where that is not because all is
		 * well.
		 */
		if (nothing && (streq(state, "compliant") || streq(state, "unmanaged"))) {
			counts->settled++;
			continue;
		}
		if (nothing)
			counts->refused++;
		else if (streq(way, "wait"))
			counts->waiting++;
		else
			counts->changing++;

		table_addf(table, STYLE_PLAIN, "%u", group);
		table_add(table, STYLE_PLAIN, type);
		table_add(table, STYLE_PLAIN, target);
		table_add(table, way_style(way), way);
		table_add(table, outcome_style(state), state);
		if (*reason)
			table_note(table, STYLE_PLAIN, 0, reason);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static void print_summary(const struct counts *counts)
{
	if (counts->changing + counts->waiting + counts->refused == 0)
		printf("Nothing to do: ");
	else
		printf("%zu would change, %zu would wait, %zu %s held back; ", counts->changing,
		       counts->waiting, counts->refused, counts->refused == 1 ? "is" : "are");
	printf("%zu %s as the policy wants.\n", counts->settled,
	       counts->settled == 1 ? "group is" : "groups are");
	if (counts->waiting > 0)
		printf("'iommu-policyctl apply --rebind' unbinds drivers instead of waiting for them.\n");
}

int verb_plan(struct ctl *ctl, char **args _unused_, int n_args _unused_)
{
	static const struct table_column columns[] = {
		{ "GROUP", TABLE_RIGHT }, { "TYPE", TABLE_SHRINK },  { "TARGET", TABLE_SHRINK },
		{ "WAY", TABLE_SHRINK },  { "STATE", TABLE_SHRINK },
	};
	_cleanup_(table_freep) struct table *table = table_new(columns, ARRAY_SIZE(columns));
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct counts counts = { 0 };
	int r;

	if (!table)
		return complain_memory();
	r = bus_connect(ctl);
	if (r != 0)
		return r;

	r = bus_call_manager(ctl, "Plan", false, &error, &reply, NULL);
	if (r >= 0)
		r = read_plan(reply, table, &counts);
	if (r < 0)
		return bus_complain(ctl, "asking for the plan", &error, r);

	if (table_print(table, stdout, &ctl->term) < 0)
		return complain_memory();
	if (ctl->term.legend) {
		if (table_n_rows(table) > 0)
			putchar('\n');
		print_summary(&counts);
	}
	return EXIT_CODE_DONE;
}
