/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/plan.h"

#include <errno.h>

#include "ctl/machine.h"
#include "ctl/props.h"
#include "ctl/util.h"

static void rule_clear(struct model_rule *rule)
{
	free(rule->file);
	free(rule->name);
}

static void side_clear(struct plan_side *side)
{
	free(side->target);
	free(side->state);
	free(side->way);
	free(side->reason);
	for (size_t i = 0; i < side->n_rules; i++)
		rule_clear(&side->rules[i]);
	free(side->rules);
}

void plan_clear(struct plan *plan)
{
	for (size_t i = 0; i < plan->n_items; i++) {
		struct plan_item *item = &plan->items[i];

		for (char **p = item->addresses; p && *p; p++)
			free(*p);
		free(item->addresses);
		free(item->devices);
		free(item->type);
		side_clear(&item->in_force);
		side_clear(&item->candidate);
	}
	free(plan->items);
	*plan = (struct plan){ 0 };
}

struct plan_item *plan_add(struct plan *plan, uint32_t group)
{
	struct plan_item *more =
		reallocarray(plan->items, plan->n_items + 1, sizeof(*plan->items));

	if (!more)
		return NULL;
	plan->items = more;
	more += plan->n_items++;
	*more = (struct plan_item){ .group = group };
	return more;
}

static int describe_devices(struct plan_item *item, const struct machine_group *group, FILE *f)
{
	const struct group_facts *facts = machine_group_facts(group);
	size_t n = 0;

	/* As the model has them: those that do DMA by themselves before bridges. */
	for (size_t k = 0; k < 2 * facts->n_devices; k++) {
		size_t i = k % facts->n_devices;
		const char *address = facts->devices[i]->address;

		if (facts->devices[i]->bridge != (k >= facts->n_devices))
			continue;
		fprintf(f, "%s%s %s", n > 0 ? ", " : "", address,
			str_or(machine_group_driver(group, i), "(no driver)"));
		item->addresses[n] = strdup(address);
		if (!item->addresses[n++])
			return -ENOMEM;
	}
	return 0;
}

int plan_item_describe(struct plan_item *item, const struct machine_group *group)
{
	const struct group_facts *facts = machine_group_facts(group);
	size_t size;
	FILE *f;
	int r;

	item->addresses = calloc(facts->n_devices + 1, sizeof(*item->addresses));
	f = item->addresses ? open_memstream(&item->devices, &size) : NULL;
	if (!f)
		return -ENOMEM;
	r = describe_devices(item, group, f);
	if (fclose(f) != 0 || r < 0)
		return -ENOMEM;
	return prop_set_string(&item->type, domain_to_string(facts->current));
}

static int side_add_rule(struct plan_side *side, const struct policy_rule *rule)
{
	struct model_rule *r = &side->rules[side->n_rules];

	for (size_t i = 0; i < side->n_rules; i++)
		if (side->rules[i].line == rule->line && streq(side->rules[i].file, rule->path))
			return 0;
	*r = (struct model_rule){ .line = rule->line };
	side->n_rules++;
	if (prop_set_string(&r->file, rule->path) < 0 || prop_set_string(&r->name, rule->name) < 0)
		return -ENOMEM;
	return 0;
}

/* A refusal, too, has rules behind it. */
static int side_take_rules(struct plan_side *side, const struct decision *decision)
{
	int r = 0;

	side->rules = calloc(decision->n_rules + decision->n_devices + 1, sizeof(*side->rules));
	if (!side->rules)
		return -ENOMEM;
	for (size_t i = 0; i < decision->n_rules && r == 0; i++)
		r = side_add_rule(side, decision->rules[i]);
	if (decision->n_rules > 0)
		return r;
	for (size_t i = 0; i < decision->n_devices && r == 0; i++)
		if (decision->devices[i].rule)
			r = side_add_rule(side, decision->devices[i].rule);
	return r;
}

int plan_side_decide(struct plan_side *side, const struct machine_group *group,
		     const struct policy *policy)
{
	struct machine_outlook outlook = { 0 };
	struct decision decision;
	int r;

	r = policy_decide(policy, machine_group_facts(group), NULL, &decision);
	if (r < 0)
		return r;
	r = machine_outlook(group, &decision, &outlook);
	side->reason = outlook.reason;
	if (r == 0)
		r = side_take_rules(side, &decision);
	if (r == 0 && (prop_set_string(&side->target, domain_to_string(decision.target)) < 0 ||
		       prop_set_string(&side->state, outlook.state) < 0 ||
		       prop_set_string(&side->way, outlook.way) < 0))
		r = -ENOMEM;
	decision_clear(&decision);
	return r;
}

bool plan_differs(const struct plan_side *in_force, const struct plan_side *candidate)
{
	if (!streq(in_force->target, candidate->target))
		return true;
	/* What failed, or what a user holds, does so under the same decision of other files, too. */
	return !in_force->foreign && !streq(in_force->state, candidate->state);
}

static bool is_rule_of(const struct policy_rule *rule, const struct model_device *device)
{
	return streq(rule->name, device->rule.name) &&
	       streq(domain_to_string(rule->domain), device->wish);
}

static bool rule_stays(const struct device_facts *facts, const struct model_device *device,
		       const struct policy *files, const struct policy *candidate)
{
	const struct policy_rule *then = policy_match(candidate, facts);
	const struct policy_rule *now = files ? policy_match(files, facts) : NULL;

	if (!then)
		return !*device->rule.name;
	if (!is_rule_of(then, device))
		return false;
	if (!now || !is_rule_of(now, device))
		return true;
	return now->rebind == then->rebind && now->force == then->force &&
	       streq(str_or(now->driver, ""), str_or(then->driver, ""));
}

bool plan_rules_stay(const struct machine_group *group, const struct model_group *known,
		     const struct policy *files, const struct policy *candidate)
{
	const struct group_facts *facts = machine_group_facts(group);

	if (facts->n_devices != known->n_devices)
		return false;
	for (size_t i = 0; i < facts->n_devices; i++) {
		const struct model_device *device = NULL;

		for (size_t j = 0; j < known->n_devices && !device; j++)
			if (streq(known->devices[j]->address, facts->devices[i]->address))
				device = known->devices[j];
		if (!device || !rule_stays(facts->devices[i], device, files, candidate))
			return false;
	}
	return true;
}

char *plan_side_origin(const struct plan_side *side)
{
	char *text = NULL;
	size_t size;
	FILE *f;

	if (side->at_run_time)
		return strdup("set at run time");
	if (side->n_rules == 0)
		return strdup("no rule");
	f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	for (size_t i = 0; i < side->n_rules; i++)
		fprintf(f, "%s[%s] %s:%u", i > 0 ? ", " : "", side->rules[i].name,
			side->rules[i].file, side->rules[i].line);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
