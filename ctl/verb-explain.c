/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "ctl/bus.h"
#include "ctl/document.h"
#include "ctl/fields.h"
#include "ctl/plan.h"
#include "ctl/table.h"
#include "ctl/util.h"
#include "ctl/verdict.h"

/* All that there is to be said about one device, for people or as a document. */
struct explanation {
	struct model model;
	const struct model_device *device;
	const struct model_group *group; /* NULL where it has none */
	struct verdict verdict;
	char *way; /* by which a pending group would change, NULL for none */
	char **advice;
	struct table *table; /* of the rules tried */
	json_object *rules; /* the same for --json, NULL without it */
	struct json_builder builder;
};

static void explanation_clear(struct explanation *e)
{
	verdict_free_advice(e->advice);
	verdict_clear(&e->verdict);
	free(e->way);
	model_clear(&e->model);
	table_free(e->table);
	json_object_put(e->rules);
}

static void document_step(struct explanation *e, const struct model_rule *rule, bool matched,
			  const char *detail)
{
	json_object *object = json_add_object(&e->builder, e->rules, NULL);

	document_text(&e->builder, object, "name", rule->name);
	document_text(&e->builder, object, "file", rule->file);
	json_add_number(&e->builder, object, "line", rule->line);
	json_add_bool(&e->builder, object, "matched", matched);
	document_text(&e->builder, object, "detail", detail);
}

static int read_trace(sd_bus_message *m, struct explanation *e)
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

		if (e->rules) {
			document_step(e,
				      &(struct model_rule){ .name = (char *)name,
							    .file = (char *)file,
							    .line = line },
				      matched, detail);
			continue;
		}
		table_addf(e->table, STYLE_PLAIN, "[%s]", name);
		table_add(e->table, style, matched ? "yes" : "no");
		table_addf(e->table, STYLE_PLAIN, "%s:%u", file, line);
		if (*detail)
			table_note(e->table, STYLE_DIM, 0, detail);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* "identity by [gpu] /etc/.../50-gpu.conf:3", "keeps DMA, no rule matches" */
static char *describe_vote(const struct vote *vote)
{
	const struct model_rule *rule = &vote->device->rule;
	const char *type = vote->type == DOMAIN_NONE ? "what it has" : domain_to_string(vote->type);
	char *ret = NULL;
	int n = 0;

	switch (vote->kind) {
	case VOTE_WISH:
		n = asprintf(&ret, "%s%s%s%s by [%s] %s:%u", vote->device->wish,
			     streq(vote->device->wish, type) ? "" : " (",
			     streq(vote->device->wish, type) ? "" : type,
			     streq(vote->device->wish, type) ? "" : ")", rule->name, rule->file,
			     rule->line);
		break;
	case VOTE_KEEP:
		n = asprintf(&ret, "keeps %s by [%s] %s:%u", type, rule->name, rule->file,
			     rule->line);
		break;
	case VOTE_NO_RULE:
		n = asprintf(&ret, "keeps %s: no rule matches", type);
		break;
	case VOTE_ABSTAINS:
		n = asprintf(&ret, "none: a bridge that no rule names");
		break;
	}
	return n < 0 ? NULL : ret;
}

static const char *describe_result(const struct verdict *verdict, const struct vote *vote)
{
	if (vote->wins)
		return ", wins";
	if (vote_is_overruled(verdict, vote))
		return ", overruled";
	if (verdict->target != DOMAIN_NONE && vote->kind == VOTE_NO_RULE)
		return ", goes along";
	return "";
}

static int print_vote(const struct term *term, const struct verdict *verdict,
		      const struct vote *vote, const char *label, bool name)
{
	_cleanup_free_ char *text = describe_vote(vote);

	if (!text)
		return -ENOMEM;
	return field_printf(term, label, vote->wins ? STYLE_GOOD : STYLE_PLAIN, "%s%s%s%s",
			    name ? vote->device->address : "", name ? " " : "", text,
			    describe_result(verdict, vote));
}

/* The device that was asked about first, then those that it shares its fate with. */
static int print_votes(const struct term *term, const struct explanation *e)
{
	const char *label = "Others' votes";
	int r = 0;

	for (size_t i = 0; i < e->verdict.n_votes && r >= 0; i++)
		if (e->verdict.votes[i].device == e->device)
			r = print_vote(term, &e->verdict, &e->verdict.votes[i], "Device's vote",
				       false);
	for (size_t i = 0; i < e->verdict.n_votes && r >= 0; i++)
		if (e->verdict.votes[i].device != e->device) {
			r = print_vote(term, &e->verdict, &e->verdict.votes[i], label, true);
			label = NULL;
		}
	return r;
}

static int print_group(const struct term *term, const struct explanation *e)
{
	const struct model_group *group = e->group;
	const char *label = "To change that";
	int r;

	if (!group)
		return field_print(term, "Group", STYLE_PLAIN,
				   "none: no IOMMU translates what the device does");
	r = print_votes(term, e);
	if (r >= 0)
		r = field_printf(term, "Group's target", STYLE_BOLD, "%s%s",
				 str_or(group->target, "-"),
				 e->verdict.by_hand ? " (set by hand)" : "");
	if (r >= 0)
		r = field_print(term, "Group's type", STYLE_PLAIN, group->type);
	if (r >= 0)
		r = field_print(term, "Group's state", outcome_style(group->state), group->state);
	if (r >= 0)
		r = field_print(term, "Reason", STYLE_PLAIN, group->reason);
	for (char **p = e->advice; p && *p && r >= 0; p++) {
		r = field_print(term, label, STYLE_PLAIN, *p);
		label = NULL;
	}
	return r;
}

static int print_text(const struct ctl *ctl, const struct explanation *e)
{
	if (table_n_rows(e->table) == 0)
		printf("There are no rules.\n");
	if (table_print(e->table, stdout, &ctl->term) < 0)
		return complain_memory();
	putchar('\n');
	return print_group(&ctl->term, e) < 0 ? complain_memory() : EXIT_CODE_DONE;
}

static void document_vote(struct json_builder *b, json_object *votes, const struct vote *vote)
{
	json_object *object = json_add_object(b, votes, NULL);

	json_add_text(b, object, "device", vote->device->address);
	json_add_text(b, object, "kind", vote_kind_to_string(vote->kind));
	document_text(b, object, "wish", vote->device->wish);
	document_text(b, object, "type", domain_to_string(vote->type));
	json_add_bool(b, object, "wins", vote->wins);
	document_rule(b, object, "rule", &vote->device->rule);
}

static int print_json(const struct ctl *ctl, struct explanation *e)
{
	json_object *document = json_object_new_object(), *array;
	struct json_builder *b = &e->builder;

	json_add_text(b, document, "device", e->device->address);
	if (json_object_object_add(document, "rules", json_object_get(e->rules)) < 0)
		b->failed = true;
	if (e->group)
		json_add_number(b, document, "group", e->group->id);
	else
		json_add_null(b, document, "group");
	document_text(b, document, "type", e->group ? e->group->type : NULL);
	document_text(b, document, "target", e->group ? e->group->target : NULL);
	document_text(b, document, "state", e->group ? e->group->state : NULL);
	document_text(b, document, "reason", e->group ? e->group->reason : NULL);
	json_add_bool(b, document, "set_by_hand", e->verdict.by_hand);
	array = json_add_array(b, document, "votes");
	for (size_t i = 0; i < e->verdict.n_votes; i++)
		document_vote(b, array, &e->verdict.votes[i]);
	array = json_add_array(b, document, "advice");
	for (char **p = e->advice; p && *p; p++)
		json_add_text(b, array, NULL, *p);
	return json_print(ctl, b, document);
}

static int advise(struct ctl *ctl, struct explanation *e)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	if (streq(e->group->state, "pending")) {
		r = plan_ask_way(ctl, e->group->id, &error, &e->way);
		if (r < 0)
			return bus_complain(ctl, "asking for the plan", &error, r);
	}
	if (verdict_reach(e->group, &e->verdict) < 0)
		return complain_memory();
	e->verdict.mode = e->model.manager.mode;
	e->verdict.way = e->way;
	return verdict_advise(&e->verdict, e->device, &e->advice) < 0 ? complain_memory() : 0;
}

/* Trace and model are two answers; the device may have gone between them. */
static int gather(struct ctl *ctl, const struct target *target, struct explanation *e)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	char doing[64];
	int r;

	r = model_load(ctl, MODEL_OBJECTS | MODEL_MANAGER, &e->model);
	if (r == 0)
		r = model_find_target(ctl, &e->model, target, &e->group, &e->device);
	if (r != 0)
		return r;
	ctl->version_checked = true;

	snprintf(doing, sizeof(doing), "asking for the rules of %s", target->address);
	r = bus_call_manager(ctl, "Explain", false, &error, &reply, "s", target->address);
	if (r >= 0)
		r = read_trace(reply, e);
	if (r < 0)
		return bus_complain(ctl, doing, &error, r);
	return e->group ? advise(ctl, e) : 0;
}

int verb_explain(struct ctl *ctl, char **args, int n_args _unused_)
{
	static const struct table_column columns[] = {
		/* None is cut: a rule without its line number cannot be found. */
		{ "RULE", 0 },
		{ "MATCH", 0 },
		{ "WHERE", 0 },
	};
	_cleanup_(explanation_clear) struct explanation e = {
		.table = table_new(columns, ARRAY_SIZE(columns)),
		.rules = json_wanted(ctl) ? json_object_new_array() : NULL,
	};
	struct target target;
	int r;

	if (!e.table || (json_wanted(ctl) && !e.rules))
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
	r = gather(ctl, &target, &e);
	if (r != 0)
		return r;
	return e.rules ? print_json(ctl, &e) : print_text(ctl, &e);
}
