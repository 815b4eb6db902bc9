/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>

#include "ctl/display.h"
#include "ctl/json.h"
#include "ctl/plan.h"
#include "ctl/table.h"
#include "ctl/util.h"

struct counts {
	size_t settled; /* as the policy wants already */
	size_t waiting;
	size_t changing;
	size_t refused;
};

/* Prose beside the table, as wide as that. */
static int print_wrapped(const struct term *term, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int print_wrapped(const struct term *term, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (!text || display_print_wrapped(stdout, text,
					   &(struct display_wrap){ .width = term->width }) < 0)
		return complain_memory();
	return EXIT_CODE_DONE;
}

/* A group without anything to do is only news where that is not because all is well. */
static bool is_settled(const struct plan_side *side)
{
	return streq(side->way, "nothing") &&
	       (streq(side->state, "compliant") || streq(side->state, "unmanaged"));
}

static void count(struct counts *counts, const struct plan_side *side)
{
	if (is_settled(side))
		counts->settled++;
	else if (streq(side->way, "nothing"))
		counts->refused++;
	else if (streq(side->way, "wait"))
		counts->waiting++;
	else
		counts->changing++;
}

static enum style way_style(const char *way)
{
	return streq(way, "wait") ? STYLE_WAIT : streq(way, "nothing") ? STYLE_DIM : STYLE_GOOD;
}

static void note(struct table *table, const char *label, const char *text)
{
	_cleanup_free_ char *line = NULL;

	if (asprintf(&line, "%s: %s", label, text) < 0)
		line = NULL;
	table_note(table, STYLE_PLAIN, 0, str_or(line, text));
}

static int print_present(const struct ctl *ctl, const struct plan *plan, struct counts *counts)
{
	static const struct table_column columns[] = {
		{ "GROUP", TABLE_RIGHT },   { "TYPE", TABLE_SHRINK },
		{ "TARGET", TABLE_SHRINK }, { "WAY", TABLE_SHRINK },
		{ "STATE", TABLE_SHRINK },  { "DEVICES", TABLE_SHRINK | TABLE_LIST },
	};
	_cleanup_(table_freep) struct table *table = table_new(columns, ARRAY_SIZE(columns));

	if (!table)
		return complain_memory();
	for (size_t i = 0; i < plan->n_items; i++) {
		const struct plan_item *item = &plan->items[i];
		const struct plan_side *side = &item->in_force;

		count(counts, side);
		if (is_settled(side))
			continue;
		table_addf(table, STYLE_PLAIN, "%u", item->group);
		table_add(table, STYLE_PLAIN, item->type);
		table_add(table, STYLE_PLAIN, side->target);
		table_add(table, way_style(side->way), side->way);
		table_add(table, outcome_style(side->state), side->state);
		table_add(table, STYLE_PLAIN, item->devices);
		if (*side->reason)
			table_note(table, STYLE_PLAIN, 0, side->reason);
	}
	if (table_print(table, stdout, &ctl->term) < 0)
		return complain_memory();
	if (ctl->term.legend && table_n_rows(table) > 0)
		putchar('\n');
	return EXIT_CODE_DONE;
}

/* "identity -> DMA", one word where nothing changes; as colour needs it, without any. */
static void add_change(const struct ctl *ctl, struct table *table, enum style style,
		       const char *from, const char *to)
{
	if (streq(from, to))
		table_add(table, style, to);
	else
		table_addf(table, style, "%s %s %s", str_or(from, "-"), term_arrow(&ctl->term),
			   str_or(to, "-"));
}

static int print_difference(const struct ctl *ctl, const struct plan *plan)
{
	static const struct table_column columns[] = {
		{ "GROUP", TABLE_RIGHT },   { "TYPE", TABLE_SHRINK },
		{ "TARGET", TABLE_SHRINK }, { "STATE", TABLE_SHRINK },
		{ "WAY", TABLE_SHRINK },    { "DEVICES", TABLE_SHRINK | TABLE_LIST },
	};
	_cleanup_(table_freep) struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t n = 0;

	if (!table)
		return complain_memory();
	for (size_t i = 0; i < plan->n_items; i++) {
		const struct plan_item *item = &plan->items[i];
		const struct plan_side *from = &item->in_force, *to = &item->candidate;
		_cleanup_free_ char *before = plan_side_origin(from), *after = plan_side_origin(to);

		if (!item->differs)
			continue;
		if (!before || !after)
			return complain_memory();
		n++;
		table_addf(table, STYLE_PLAIN, "%u", item->group);
		table_add(table, STYLE_PLAIN, item->type);
		add_change(ctl, table, STYLE_BOLD, from->target, to->target);
		add_change(ctl, table, outcome_style(to->state), from->state, to->state);
		table_add(table, way_style(to->way), to->way);
		table_add(table, STYLE_PLAIN, item->devices);
		note(table, "in force", before);
		note(table, "instead", after);
		if (*to->reason)
			table_note(table, STYLE_PLAIN, 0, to->reason);
	}
	if (table_print(table, stdout, &ctl->term) < 0)
		return complain_memory();
	if (!ctl->term.legend)
		return EXIT_CODE_DONE;
	if (n > 0)
		putchar('\n');
	return print_wrapped(&ctl->term, "%zu %s would get another target or state; %zu would not.",
			     n, n == 1 ? "group" : "groups", plan->n_items - n);
}

static int print_summary(const struct term *term, const struct counts *counts)
{
	char todo[128] = "Nothing to do:";
	int code;

	if (counts->changing + counts->waiting + counts->refused > 0)
		snprintf(todo, sizeof(todo), "%zu would change, %zu would wait, %zu %s held back;",
			 counts->changing, counts->waiting, counts->refused,
			 counts->refused == 1 ? "is" : "are");
	code = print_wrapped(term, "%s %zu %s as the policy wants.", todo, counts->settled,
			     counts->settled == 1 ? "group is" : "groups are");
	if (code != EXIT_CODE_DONE || counts->waiting == 0)
		return code;
	return print_wrapped(
		term,
		"'iommu-policyctl apply --rebind' unbinds drivers instead of waiting for them.");
}

/* What the answer does not rest on, for whoever takes it for the daemon's. */
static int print_absence(const struct ctl *ctl, const struct plan *plan)
{
	int code = print_wrapped(
		&ctl->term,
		"iommu-policyd is not running: this is from %s policy files and /sys. The types "
		"at boot are not known, so that auto keeps what there is, and users of the devices "
		"were not looked for.",
		plan->folder ? "those" : "its");

	if (code != EXIT_CODE_DONE || !plan->no_policy)
		return code;
	return print_wrapped(&ctl->term,
			     "The policy files that it would read have errors (see: "
			     "iommu-policyctl check); this is compared with no policy.");
}

static void add_text(struct json_builder *b, json_object *parent, const char *key,
		     const char *text)
{
	json_add_text(b, parent, key, *text ? text : NULL);
}

static void add_side(struct json_builder *b, json_object *parent, const struct plan_side *side)
{
	json_object *rules;

	add_text(b, parent, "target", side->target);
	add_text(b, parent, "state", side->state);
	add_text(b, parent, "way", side->way);
	add_text(b, parent, "reason", side->reason);
	json_add_bool(b, parent, "set_by_hand", side->at_run_time);
	rules = json_add_array(b, parent, "rules");
	for (size_t i = 0; i < side->n_rules; i++) {
		json_object *rule = json_add_object(b, rules, NULL);

		json_add_text(b, rule, "name", side->rules[i].name);
		json_add_text(b, rule, "file", side->rules[i].file);
		json_add_number(b, rule, "line", side->rules[i].line);
	}
}

static int print_document(const struct ctl *ctl, const struct plan *plan)
{
	struct json_builder b = { 0 };
	json_object *document = json_object_new_object();
	json_object *groups;

	json_add_bool(&b, document, "daemon", plan->daemon);
	json_add_text(&b, document, "policy_dir", plan->folder);
	groups = json_add_array(&b, document, "groups");
	for (size_t i = 0; i < plan->n_items; i++) {
		const struct plan_item *item = &plan->items[i];
		json_object *group = json_add_object(&b, groups, NULL);
		json_object *devices;

		json_add_number(&b, group, "id", item->group);
		add_text(&b, group, "type", item->type);
		devices = json_add_array(&b, group, "devices");
		for (char **p = item->addresses; p && *p; p++)
			json_add_text(&b, devices, NULL, *p);
		if (plan->folder) {
			json_add_bool(&b, group, "differs", item->differs);
			add_side(&b, json_add_object(&b, group, "in_force"), &item->in_force);
			add_side(&b, json_add_object(&b, group, "candidate"), &item->candidate);
		} else {
			add_side(&b, group, &item->in_force);
		}
	}
	return json_print(ctl, &b, document);
}

int plan_print(const struct ctl *ctl, const struct plan *plan)
{
	struct counts counts = { 0 };
	int code;

	if (json_wanted(ctl))
		return print_document(ctl, plan);
	code = plan->folder ? print_difference(ctl, plan) : print_present(ctl, plan, &counts);
	if (code != EXIT_CODE_DONE || !ctl->term.legend)
		return code;
	if (!plan->folder)
		code = print_summary(&ctl->term, &counts);
	return code != EXIT_CODE_DONE || plan->daemon ? code : print_absence(ctl, plan);
}
