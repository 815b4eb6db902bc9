/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_PLAN_H
#define CTL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "ctl/ctl.h"
#include "ctl/model.h"

struct machine_group;
struct policy;

/* What a policy comes to for one group. Strings are never NULL and not escaped. */
struct plan_side {
	char *target; /* "" where no rule asks for anything */
	char *state;
	char *way; /* "" where that was not asked for */
	char *reason;
	struct model_rule *rules; /* behind the target, or, without one, those that match */
	size_t n_rules;
	bool at_run_time; /* by SetGroupType, not by rules */
	bool foreign; /* the state is not the policy's doing: something failed, or somebody has the group */
};

struct plan_item {
	uint32_t group;
	char *devices; /* "0000:3b:00.0 nvme, …" */
	char **addresses; /* NULL-terminated */
	char *type; /* that the group has now */
	struct plan_side in_force;
	struct plan_side candidate; /* only of a plan for a folder */
	bool differs; /* the candidate brings another target or state */
};

struct plan {
	const char *folder; /* of the candidate files, NULL for none */
	bool daemon; /* it runs, and was asked */
	bool no_policy; /* without the daemon: the files that it would read have errors */
	struct plan_item *items; /* by group */
	size_t n_items;
};

/*
 * What 'apply' would do, by the daemon, or from the files that it would read and
 * from /sys where it does not run. Complains and returns an enum exit_code other
 * than 0 where that fails; plan_clear() is due in any case.
 */
int plan_load(struct ctl *ctl, struct plan *ret);

/* The same with the files of FOLDER, alone, beside what is in force. */
int plan_load_folder(struct ctl *ctl, const char *folder, struct plan *ret);

/*
 * The way in which the daemon would change GROUP, as Plan() has it, into *RET
 * (malloc'd; NULL where it has no such group). 0, or a negative errno with ERROR
 * set where the daemon has said something.
 */
int plan_ask_way(struct ctl *ctl, uint32_t group, sd_bus_error *error, char **ret);

void plan_clear(struct plan *plan);

/* The next item, empty. NULL when out of memory. */
struct plan_item *plan_add(struct plan *plan, uint32_t group);

/* Fills SIDE in with what POLICY comes to for GROUP. 0 or -ENOMEM. */
int plan_side_decide(struct plan_side *side, const struct machine_group *group,
		     const struct policy *policy);

/* The names of GROUP, as /sys has them, into ITEM. 0 or -ENOMEM. */
int plan_item_describe(struct plan_item *item, const struct machine_group *group);

/* Whether the candidate is another result than what is in force, by target and state. */
bool plan_differs(const struct plan_side *in_force, const struct plan_side *candidate);

/*
 * Whether CANDIDATE has the rules for GROUP that are in force by KNOWN, the
 * daemon's word: then a run-time decision outlives it (the daemon's engine.c,
 * make_key()). What the bus does not tell of a rule, its rebind, force and
 * driver, is taken from FILES, those that the daemon would read, where they
 * still have that rule; FILES may be NULL.
 */
bool plan_rules_stay(const struct machine_group *group, const struct model_group *known,
		     const struct policy *files, const struct policy *candidate);

/* "[name] file:line, [name] file:line", "no rule" or "set at run time". malloc'd, NULL when out of memory. */
char *plan_side_origin(const struct plan_side *side);

/* Prints PLAN for people or, with --json, for programs. Returns an enum exit_code. */
int plan_print(const struct ctl *ctl, const struct plan *plan);

#endif
