/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_VERDICT_H
#define CTL_VERDICT_H

#include "ctl/model.h"
#include "policy/domain.h"

/*
 * How a group came to its target, from what the daemon shows: the vote of each
 * device, who wins, and what it would take to get something else. Pure: no
 * bus, no output. The rules are those of policy/decide.c.
 */
enum vote_kind {
	VOTE_WISH, /* a rule asks for a type */
	VOTE_KEEP, /* a rule says keep: for what the group has now */
	VOTE_NO_RULE, /* no rule matches: for what the group has now */
	VOTE_ABSTAINS, /* a bridge that no rule matches */
};

struct vote {
	const struct model_device *device;
	enum vote_kind kind;
	enum domain type; /* that it is for, DOMAIN_NONE of an abstention or where nobody knows */
	bool wins; /* it is for the target */
};

struct verdict {
	const struct model_group *group;
	struct vote *votes; /* in the order of the group's devices */
	size_t n_votes;
	enum domain target; /* DOMAIN_NONE where nothing is decided */
	bool by_hand; /* SetGroupType() or Restore() decided and not the votes */
	/* The caller's, for the advice; NULL where it does not matter. */
	const char *mode; /* of the daemon */
	const char *way; /* that Plan() has for the group */
};

/* Counts. 0 or -ENOMEM; verdict_clear() is due in any case. */
int verdict_reach(const struct model_group *group, struct verdict *ret);
void verdict_clear(struct verdict *verdict);

/*
 * Whether the rule behind VOTE asks for a weaker type than the group gets, by
 * the order of enum domain, in which the stronger wins.
 */
bool vote_is_overruled(const struct verdict *verdict, const struct vote *vote);

/* "wish", "keep", "no-rule", "abstains": for documents. Static storage. */
const char *vote_kind_to_string(enum vote_kind kind);

/*
 * What it takes for DEVICE of that group to get what it is for, or what the
 * group waits for: sentences, most useful first, ended by NULL, or NULL where
 * there is nothing to be done. malloc'd, verdict_free_advice() frees it. 0 or
 * -ENOMEM.
 */
int verdict_advise(const struct verdict *verdict, const struct model_device *device, char ***ret);
void verdict_free_advice(char **advice);

#endif
