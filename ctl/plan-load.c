/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/plan.h"

#include <errno.h>

#include "ctl/bus.h"
#include "ctl/describe.h"
#include "ctl/machine.h"
#include "ctl/policy-read.h"
#include "ctl/presence.h"
#include "ctl/props.h"
#include "ctl/util.h"

static int describe_from_model(struct plan_item *item, const struct model_group *group)
{
	item->devices = describe_members(group);
	item->addresses = calloc(group->n_devices + 1, sizeof(*item->addresses));
	if (!item->devices || !item->addresses)
		return -ENOMEM;
	for (size_t i = 0; i < group->n_devices; i++) {
		item->addresses[i] = strdup(group->devices[i]->address);
		if (!item->addresses[i])
			return -ENOMEM;
	}
	return prop_set_string(&item->type, group->type);
}

/* Only these two refusals are the policy's; the others are the kernel's. */
static bool is_refused_by_policy(const struct model_group *group)
{
	return streq(group->error_name, BUS_NAME ".Error.Untrusted") ||
	       streq(group->error_name, BUS_NAME ".Error.RequiresDirect");
}

static int side_from_model(struct plan_side *side, const struct model_group *group)
{
	bool managed = !streq(group->state, "unmanaged");

	if (prop_set_string(&side->target, group->target) < 0 ||
	    prop_set_string(&side->state, group->state) < 0 ||
	    prop_set_string(&side->way, managed ? "" : "nothing") < 0 ||
	    prop_set_string(&side->reason, group->reason) < 0)
		return -ENOMEM;
	side->rules = calloc(group->n_rules + 1, sizeof(*side->rules));
	if (!side->rules)
		return -ENOMEM;
	for (size_t i = 0; i < group->n_rules; i++) {
		const struct model_rule *from = &group->rules[i];
		struct model_rule *to = &side->rules[side->n_rules++];

		*to = (struct model_rule){ .line = from->line };
		if (prop_set_string(&to->file, from->file) < 0 ||
		    prop_set_string(&to->name, from->name) < 0)
			return -ENOMEM;
	}
	side->at_run_time = managed && group->set_at_run_time;
	side->foreign = streq(group->state, "failed") || streq(group->state, "user-owned") ||
			streq(group->state, "applying") ||
			(streq(group->state, "refused") && !is_refused_by_policy(group));
	return 0;
}

static int read_plan(sd_bus_message *m, struct plan *plan)
{
	const char *type, *target, *state, *way, *reason;
	uint32_t group;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "(usssss)");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_read(m, "(usssss)", &group, &type, &target, &state, &way,
					&reason)) > 0) {
		struct plan_item *item = NULL;

		for (size_t i = 0; i < plan->n_items && !item; i++)
			if (plan->items[i].group == group)
				item = &plan->items[i];
		/* One that came between the two questions is for the next time. */
		if (!item)
			continue;
		if (prop_set_string(&item->type, type) < 0 ||
		    prop_set_string(&item->in_force.target, target) < 0 ||
		    prop_set_string(&item->in_force.state, state) < 0 ||
		    prop_set_string(&item->in_force.way, way) < 0 ||
		    prop_set_string(&item->in_force.reason, reason) < 0)
			return -ENOMEM;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

int plan_ask_way(struct ctl *ctl, uint32_t group, sd_bus_error *error, char **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(plan_clear) struct plan plan = { 0 };
	int r;

	*ret = NULL;
	if (!plan_add(&plan, group))
		return -ENOMEM;
	r = bus_call_manager(ctl, "Plan", false, error, &reply, NULL);
	if (r >= 0)
		r = read_plan(reply, &plan);
	if (r < 0)
		return r;
	*ret = plan.items[0].in_force.way;
	plan.items[0].in_force.way = NULL;
	return 0;
}

static int load_from_daemon(struct ctl *ctl, struct plan *plan)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(model_clear) struct model model = { 0 };
	int r = 0, code;

	plan->daemon = true;
	code = model_load(ctl, MODEL_OBJECTS, &model);
	if (code != 0)
		return code;
	for (size_t i = 0; i < model.n_groups && r == 0; i++) {
		struct plan_item *item = plan_add(plan, model.groups[i].id);

		r = item ? describe_from_model(item, &model.groups[i]) : -ENOMEM;
		if (r == 0)
			r = side_from_model(&item->in_force, &model.groups[i]);
	}
	if (r < 0)
		return complain_memory();
	r = bus_call_manager(ctl, "Plan", false, &error, &reply, NULL);
	if (r >= 0)
		r = read_plan(reply, plan);
	return r < 0 ? bus_complain(ctl, "asking for the plan", &error, r) : 0;
}

static int add_group(struct plan *plan, const struct machine_group *group,
		     struct plan_item **ret)
{
	*ret = plan_add(plan, machine_group_id(group));
	return *ret ? plan_item_describe(*ret, group) : -ENOMEM;
}

static int load_from_sys(struct ctl *ctl, struct plan *plan)
{
	_cleanup_(policy_errors_clear) struct policy_errors errors = { 0 };
	_cleanup_(policy_freep) struct policy *policy = NULL;
	_cleanup_(machine_clear) struct machine machine = { 0 };
	int r, code;

	r = policy_load(NULL, policy_default_dirs, &policy, &errors);
	if (r < 0)
		return policy_read_failed(ctl, r, &errors);
	code = machine_load(ctl, &machine);
	if (code != 0)
		return code;
	for (size_t i = 0; i < machine.n_groups && r == 0; i++) {
		struct plan_item *item;

		r = add_group(plan, machine.groups[i], &item);
		if (r == 0)
			r = plan_side_decide(&item->in_force, machine.groups[i], policy);
	}
	return r < 0 ? complain_memory() : 0;
}

int plan_load(struct ctl *ctl, struct plan *ret)
{
	bool daemon;
	int r;

	*ret = (struct plan){ 0 };
	r = presence_check(ctl, &daemon);
	if (r != 0)
		return r;
	/* Another machine's /sys cannot be read from here; the daemon's absence is what there is to say. */
	if (daemon || ctl->arguments.host)
		return load_from_daemon(ctl, ret);
	return load_from_sys(ctl, ret);
}

/*
 * What is in force: the daemon's word in MODEL, or, where it does not run, the
 * files that it would read in POLICY. With the daemon those are only what MODEL
 * lacks, and no error of theirs is in the way. A policy with no rules stands for
 * one that cannot be had.
 */
static int load_in_force(struct ctl *ctl, struct plan *plan, struct model *model,
			 struct policy **policy)
{
	static const char *const no_files[] = { NULL };
	_cleanup_(policy_errors_clear) struct policy_errors errors = { 0 };
	int r, code;

	r = presence_check(ctl, &plan->daemon);
	if (r != 0)
		return r;
	if (plan->daemon) {
		code = model_load(ctl, MODEL_OBJECTS | MODEL_MANAGER, model);
		if (code != 0)
			return code;
	}
	r = policy_load(NULL, policy_default_dirs, policy, &errors);
	if (plan->daemon)
		return r == -ENOMEM ? complain_memory() : 0;
	if (r == -EBADMSG) {
		plan->no_policy = true;
		policy_errors_clear(&errors);
		r = policy_load_files(no_files, policy, &errors);
	}
	return r < 0 ? policy_read_failed(ctl, r, &errors) : 0;
}

static int decide_both(struct plan *plan, struct machine_group *group, const struct model *model,
		       const struct policy *present, const struct policy *candidate)
{
	const struct model_group *known = NULL;
	struct plan_item *item;
	int r;

	if (plan->daemon) {
		known = model_find_group(model, machine_group_id(group));
		/* It came or went just now: what the daemon thinks of it is for the next time. */
		if (!known)
			return 0;
		machine_know(group, domain_from_string(known->type),
			     domain_from_string(known->boot_type));
	}
	r = add_group(plan, group, &item);
	if (r == 0)
		r = known ? side_from_model(&item->in_force, known) :
			    plan_side_decide(&item->in_force, group, present);
	/* What was set at run time stays until the group's rules change. */
	if (r == 0 && item->in_force.at_run_time &&
	    plan_rules_stay(group, known, present, candidate))
		return side_from_model(&item->candidate, known);
	if (r == 0)
		r = plan_side_decide(&item->candidate, group, candidate);
	/* The daemon would report what it may not do. */
	if (r == 0 && known && streq(model->manager.mode, "audit") &&
	    streq(item->candidate.state, "compliant") && !streq(item->candidate.way, "nothing"))
		r = prop_set_string(&item->candidate.state, "pending");
	if (r == 0)
		item->differs = plan_differs(&item->in_force, &item->candidate);
	return r;
}

int plan_load_folder(struct ctl *ctl, const char *folder, struct plan *ret)
{
	const char *const folders[] = { folder, NULL };
	_cleanup_(policy_errors_clear) struct policy_errors errors = { 0 };
	_cleanup_(policy_freep) struct policy *candidate = NULL, *present = NULL;
	_cleanup_(machine_clear) struct machine machine = { 0 };
	_cleanup_(model_clear) struct model model = { 0 };
	int r, code;

	*ret = (struct plan){ .folder = folder };
	code = policy_folder_check(ctl, folder);
	if (code != 0)
		return code;
	r = policy_load(NULL, folders, &candidate, &errors);
	if (r < 0)
		return policy_read_failed(ctl, r, &errors);
	code = load_in_force(ctl, ret, &model, &present);
	if (code == 0)
		code = machine_load(ctl, &machine);
	if (code != 0)
		return code;
	for (size_t i = 0; i < machine.n_groups && r == 0; i++)
		r = decide_both(ret, machine.groups[i], &model, present, candidate);
	return r < 0 ? complain_memory() : 0;
}
