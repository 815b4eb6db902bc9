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

/* What the answer is made into: rows for people, or a document. */
struct results {
	struct table *table;
	json_object *array; /* NULL without --json */
	struct json_builder builder;
	enum exit_code code; /* the worst of all */
};

static int read_results(sd_bus_message *m, struct results *results)
{
	const char *state, *reason;
	uint32_t group;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "(uss)");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_read(m, "(uss)", &group, &state, &reason)) > 0) {
		results->code = outcome_worse(results->code, outcome_of_state(state));
		if (results->array) {
			change_document(&results->builder, results->array, group, state, reason);
			continue;
		}
		table_addf(results->table, STYLE_PLAIN, "%u", group);
		table_add(results->table, outcome_style(state), state);
		if (*reason && !streq(state, "compliant"))
			table_note(results->table, outcome_style(state), 0, reason);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int print_results(const struct ctl *ctl, const struct results *results)
{
	if (table_n_rows(results->table) == 0 && ctl->term.legend)
		printf("No rule names a group of this machine: nothing to apply.\n");
	if (table_print(results->table, stdout, &ctl->term) < 0)
		return complain_memory();
	return results->code;
}

static int print_document(const struct ctl *ctl, struct results *results, json_object *document)
{
	int code = json_print(ctl, &results->builder, document);

	return code == EXIT_CODE_DONE ? (int)results->code : code;
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
	struct results results = { .table = table, .code = EXIT_CODE_DONE };
	json_object *document = NULL;
	int r;

	if (!table)
		return complain_memory();
	r = bus_connect(ctl);
	if (r != 0)
		return r;
	if (json_wanted(ctl)) {
		document = json_object_new_object();
		results.array = json_add_array(&results.builder, document, "results");
		if (!results.array)
			return complain_memory();
	}

	r = bus_call_manager(ctl, "Apply", true, &error, &reply, NULL);
	if (r >= 0)
		r = read_results(reply, &results);
	if (r < 0) {
		json_object_put(document);
		return bus_complain(ctl, "applying the policy", &error, r);
	}
	return document ? print_document(ctl, &results, document) : print_results(ctl, &results);
}

int verb_apply(struct ctl *ctl, char **args, int n_args)
{
	return n_args > 0 ? apply_one(ctl, args[0]) : apply_all(ctl);
}
