/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/verdict.h"

#include <errno.h>

#include "ctl/util.h"

/* As policy/decide.c, vote_resolve(): auto is the type at boot, where that is known. */
static enum domain resolve(enum domain wish, const struct model_group *group)
{
	enum domain boot = domain_from_string(group->boot_type);
	enum domain now = domain_from_string(group->type);

	if (domain_is_type(wish))
		return wish;
	if (wish == DOMAIN_AUTO && domain_is_type(boot))
		return boot;
	return domain_is_type(now) ? now : DOMAIN_NONE;
}

static bool has_rule(const struct model_device *device)
{
	return *device->rule.file || *device->rule.name;
}

static void cast(struct vote *vote, const struct model_group *group)
{
	enum domain wish = domain_from_string(vote->device->wish);

	if (!has_rule(vote->device))
		vote->kind = vote->device->bridge ? VOTE_ABSTAINS : VOTE_NO_RULE;
	else
		vote->kind = wish == DOMAIN_KEEP ? VOTE_KEEP : VOTE_WISH;
	vote->type = vote->kind == VOTE_ABSTAINS ? DOMAIN_NONE : resolve(wish, group);
}

int verdict_reach(const struct model_group *group, struct verdict *ret)
{
	bool any_rule = false;

	*ret = (struct verdict){
		.group = group,
		.n_votes = group->n_devices,
		.target = domain_from_string(group->target),
	};
	ret->votes = calloc(group->n_devices + 1, sizeof(*ret->votes));
	if (!ret->votes)
		return -ENOMEM;

	for (size_t i = 0; i < group->n_devices; i++) {
		struct vote *vote = &ret->votes[i];

		vote->device = group->devices[i];
		cast(vote, group);
		vote->wins = vote->type != DOMAIN_NONE && vote->type == ret->target;
		any_rule |= has_rule(vote->device);
	}
	ret->by_hand = group->set_at_run_time && ret->target != DOMAIN_NONE;
	for (size_t i = 0; ret->by_hand && i < ret->n_votes; i++)
		ret->votes[i].wins = false;
	/*
	 * Where no rule asks for anything there is no vote to win, even though each device would be
	 * for what there is.
	 */
	for (size_t i = 0; !any_rule && i < ret->n_votes; i++)
		ret->votes[i].wins = false;
	return 0;
}

void verdict_clear(struct verdict *verdict)
{
	free(verdict->votes);
	*verdict = (struct verdict){ 0 };
}

const char *vote_kind_to_string(enum vote_kind kind)
{
	static const char *const words[] = {
		[VOTE_WISH] = "wish",
		[VOTE_KEEP] = "keep",
		[VOTE_NO_RULE] = "no-rule",
		[VOTE_ABSTAINS] = "abstains",
	};

	return words[kind];
}
