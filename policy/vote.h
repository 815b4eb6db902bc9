/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_VOTE_H
#define POLICY_VOTE_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/decide.h"
#include "policy/domain.h"
#include "policy/facts.h"
#include "policy/policy.h"

/* What one device of a group says. */
struct vote {
	const struct device_facts *device;
	const struct policy_rule *rule; /* NULL: none matches */
	bool abstains; /* a bridge that no rule names */
	enum domain domain; /* DOMAIN_NONE: what the group has, which is unknown */
};

/* A group's votes, and what has come of them so far: all that a reason is made of. */
struct ballot {
	const struct group_facts *group;
	const struct decide_override *override; /* NULL for none */
	struct vote *votes; /* one a device */
	size_t n_votes;
	enum domain target; /* the strongest vote, DOMAIN_NONE where there is none */
	bool undecidable; /* an unknown type is kept, which cannot be weighed against TARGET */
	const struct vote *untrusted; /* whom the target is refused for, NULL for nobody */
};

/* The type that a wish comes down to for GROUP; DOMAIN_NONE where what the group has is unknown. */
enum domain vote_resolve(enum domain wish, const struct group_facts *group);

/* True where the vote is one of a rule, and for the ballot's target. */
bool vote_is_behind(const struct ballot *ballot, const struct vote *vote);

/* The sentence for a decision of VERDICT and REFUSAL. malloc'd, NULL when out of memory. */
char *reason_write(const struct ballot *ballot, enum verdict verdict, enum refusal refusal);

#endif
