/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_DECIDE_H
#define POLICY_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

enum verdict {
	VERDICT_UNMANAGED, /* no rule wishes anything, or the group's type is unknown and kept */
	VERDICT_TARGET, /* decided: see target */
	VERDICT_REFUSED, /* the policy asks for what must not be: see refusal and reason */
};

/* Why a wish must not be carried out; names the D-Bus error too. */
enum refusal {
	REFUSAL_NONE,
	REFUSAL_UNTRUSTED, /* identity or DMA-FQ for a removable or untrusted device, no force */
	REFUSAL_REQUIRES_DIRECT, /* blocked for a group with a direct region */
};

/* A runtime decision (SetGroupType): takes the place of the rules' vote, not of the refusals. */
struct decide_override {
	enum domain domain; /* identity, DMA-FQ, DMA, auto or blocked */
	enum rebind rebind;
	bool force;
};

struct device_decision {
	const struct policy_rule *rule; /* the winner, or NULL */
	const char *driver; /* what the rule wants; NULL: no wish, or the target is blocked */
};

struct decision {
	enum verdict verdict;
	enum refusal refusal;
	enum domain target; /* a type, also when refused; DOMAIN_NONE when unmanaged */
	enum rebind rebind; /* the most permissive of RULES (always > hotplug > never) */
	bool force; /* any of RULES says force */
	char *reason; /* one line for a person, with the overruled rules by file:line; never NULL */
	const struct policy_rule **rules; /* that voted for the target, each once, in their order */
	size_t n_rules; /* 0 with an override, and where only devices without a rule keep it */
	struct device_decision *devices; /* parallel to the group's devices */
	size_t n_devices;
};

/*
 * The vote of design section 3: a pure function of POLICY, GROUP and OVERRIDE
 * (NULL for none). The decision refers to POLICY's rules and does not own
 * them. Returns 0 or -ENOMEM, with *RET empty.
 *
 * Nothing is refused where the group already has the target. A change to
 * identity or DMA-FQ is refused for a removable or untrusted device unless its
 * own rule says force, or, where it has none, a rule behind the target does.
 */
int policy_decide(const struct policy *policy, const struct group_facts *group,
		  const struct decide_override *override, struct decision *ret);

void decision_clear(struct decision *decision);

#endif
