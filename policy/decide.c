/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/decide.h"

#include <errno.h>
#include <stdlib.h>

#include "policy/vote.h"

enum domain vote_resolve(enum domain wish, const struct group_facts *group)
{
	if (domain_is_type(wish))
		return wish;
	if (wish == DOMAIN_AUTO && domain_is_type(group->boot))
		return group->boot;

	/* keep, no wish, or auto with no type at boot to return to */
	return domain_is_type(group->current) ? group->current : DOMAIN_NONE;
}

bool vote_is_behind(const struct ballot *ballot, const struct vote *vote)
{
	return vote->rule && !ballot->override && vote->domain == ballot->target;
}

static void cast_votes(struct ballot *ballot, const struct policy *policy)
{
	for (size_t i = 0; i < ballot->n_votes; i++) {
		struct vote *vote = &ballot->votes[i];

		vote->device = ballot->group->devices[i];
		vote->rule = policy_match(policy, vote->device);
		vote->abstains = !vote->rule && vote->device->bridge;
		vote->domain =
			vote_resolve(vote->rule ? vote->rule->domain : DOMAIN_KEEP, ballot->group);
	}
}

static bool any_rule(const struct ballot *ballot)
{
	for (size_t i = 0; i < ballot->n_votes; i++)
		if (ballot->votes[i].rule)
			return true;

	return false;
}

/*
 * The strongest vote wins. A vote for a type that this program does not know
 * cannot be weighed; only blocked is sure to be at least as strong.
 */
static void count_votes(struct ballot *ballot)
{
	bool unknown = false;

	if (ballot->override) {
		ballot->target = vote_resolve(ballot->override->domain, ballot->group);
		ballot->undecidable = ballot->target == DOMAIN_NONE;
		return;
	}

	for (size_t i = 0; i < ballot->n_votes; i++) {
		const struct vote *vote = &ballot->votes[i];

		if (vote->abstains)
			continue;
		if (vote->domain == DOMAIN_NONE)
			unknown = true;
		else if (vote->domain > ballot->target)
			ballot->target = vote->domain;
	}

	ballot->undecidable = unknown && ballot->target != DOMAIN_BLOCKED;
}

/*
 * Whose force lets an untrusted device have less than DMA: its own rule's,
 * where it has one, since one device's rule cannot vouch for another device
 * that has been spoken about; else that of any rule behind the target.
 */
static bool is_forced(const struct ballot *ballot, const struct vote *vote)
{
	if (ballot->override)
		return ballot->override->force;
	if (vote->rule)
		return vote->rule->force;

	for (size_t i = 0; i < ballot->n_votes; i++)
		if (vote_is_behind(ballot, &ballot->votes[i]) && ballot->votes[i].rule->force)
			return true;

	return false;
}

/*
 * What must not be, whoever wishes it. A group that has the target already is
 * left as it is: where nothing is to be done, there is nothing to refuse.
 *
 * A change towards identity or DMA-FQ is refused for an untrusted device
 * wherever it comes from, also up from identity: DMA is what such a device may
 * have, and a policy that says less is told so and not half obeyed.
 */
static enum refusal find_refusal(struct ballot *ballot)
{
	const struct group_facts *group = ballot->group;

	if (ballot->target == group->current)
		return REFUSAL_NONE;

	if (ballot->target == DOMAIN_BLOCKED)
		return group->requires_direct ? REFUSAL_REQUIRES_DIRECT : REFUSAL_NONE;

	if (ballot->target != DOMAIN_IDENTITY && ballot->target != DOMAIN_DMA_FQ)
		return REFUSAL_NONE;

	/* Restoring: the kernel itself, which knows what it trusts, gave that type at boot. */
	if (ballot->override && ballot->override->domain == DOMAIN_AUTO)
		return REFUSAL_NONE;

	for (size_t i = 0; i < ballot->n_votes; i++) {
		const struct vote *vote = &ballot->votes[i];

		if ((vote->device->removable || vote->device->untrusted) &&
		    !is_forced(ballot, vote)) {
			ballot->untrusted = vote;
			return REFUSAL_UNTRUSTED;
		}
	}

	return REFUSAL_NONE;
}

static int compare_rules(const void *a, const void *b)
{
	const struct policy_rule *x = *(const struct policy_rule *const *)a;
	const struct policy_rule *y = *(const struct policy_rule *const *)b;

	return (x->position > y->position) - (x->position < y->position);
}

static unsigned permissiveness(enum rebind rebind)
{
	return rebind == REBIND_ALWAYS ? 2 : rebind == REBIND_HOTPLUG ? 1 : 0;
}

/* The rules that voted for the target, and what they allow together. */
static int gather_rules(const struct ballot *ballot, struct decision *decision)
{
	size_t n = 0;

	decision->rebind = REBIND_HOTPLUG;
	if (ballot->override) {
		decision->rebind = ballot->override->rebind;
		decision->force = ballot->override->force;
		return 0;
	}

	decision->rules = calloc(ballot->n_votes + 1, sizeof(*decision->rules));
	if (!decision->rules)
		return -ENOMEM;

	for (size_t i = 0; i < ballot->n_votes; i++) {
		const struct policy_rule *rule = ballot->votes[i].rule;

		if (!vote_is_behind(ballot, &ballot->votes[i]))
			continue;
		if (n == 0 || permissiveness(rule->rebind) > permissiveness(decision->rebind))
			decision->rebind = rule->rebind;
		decision->force = decision->force || rule->force;
		decision->rules[n++] = rule;
	}

	qsort(decision->rules, n, sizeof(*decision->rules), compare_rules);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || decision->rules[i] != decision->rules[i - 1])
			decision->rules[decision->n_rules++] = decision->rules[i];

	return 0;
}

static int gather_devices(const struct ballot *ballot, struct decision *decision)
{
	decision->devices = calloc(ballot->n_votes + 1, sizeof(*decision->devices));
	if (!decision->devices)
		return -ENOMEM;

	decision->n_devices = ballot->n_votes;
	for (size_t i = 0; i < ballot->n_votes; i++) {
		const struct policy_rule *rule = ballot->votes[i].rule;

		decision->devices[i].rule = rule;
		/* Nothing drives a blocked group, whichever device's rule blocks it. */
		if (rule && decision->target != DOMAIN_BLOCKED)
			decision->devices[i].driver = rule->driver;
	}

	return 0;
}

static int reach_verdict(struct ballot *ballot, struct decision *decision)
{
	if (!ballot->override && !any_rule(ballot))
		return 0;

	count_votes(ballot);
	if (ballot->undecidable)
		return 0;

	decision->target = ballot->target;
	decision->refusal = find_refusal(ballot);
	decision->verdict = decision->refusal == REFUSAL_NONE ? VERDICT_TARGET : VERDICT_REFUSED;
	return gather_rules(ballot, decision);
}

int policy_decide(const struct policy *policy, const struct group_facts *group,
		  const struct decide_override *override, struct decision *ret)
{
	struct ballot ballot = { .group = group,
				 .override = override,
				 .n_votes = group->n_devices };
	struct decision decision = { .verdict = VERDICT_UNMANAGED };
	int r = -ENOMEM;

	*ret = decision;
	ballot.votes = calloc(ballot.n_votes + 1, sizeof(*ballot.votes));
	if (!ballot.votes)
		return -ENOMEM;

	cast_votes(&ballot, policy);
	r = reach_verdict(&ballot, &decision);
	if (r == 0)
		r = gather_devices(&ballot, &decision);
	if (r == 0) {
		decision.reason = reason_write(&ballot, decision.verdict, decision.refusal);
		if (!decision.reason)
			r = -ENOMEM;
	}

	free(ballot.votes);
	if (r < 0)
		decision_clear(&decision);
	*ret = decision;
	return r;
}

void decision_clear(struct decision *decision)
{
	free(decision->reason);
	free(decision->rules);
	free(decision->devices);
	*decision = (struct decision){ 0 };
}
