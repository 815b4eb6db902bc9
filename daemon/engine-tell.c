/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <time.h>

#include "daemon/bus.h"
#include "daemon/engine-tell.h"
#include "daemon/user-watch.h"

const struct policy_rule *engine_first_rule(const struct group *group)
{
	const struct decision *decision = &group->decision;

	if (!group->decided || group->has_override)
		return NULL;
	if (decision->n_rules)
		return decision->rules[decision->n_rules - 1];
	/* Overruled or refused: nobody's rule is behind the result, and the one that wished otherwise is the news. */
	for (size_t i = 0; i < decision->n_devices; i++)
		if (decision->devices[i].rule)
			return decision->devices[i].rule;
	return NULL;
}

struct log_fields engine_log_fields(const struct group *group, char *const *addresses, const char *message_id)
{
	return (struct log_fields){
		.message_id = message_id,
		.group = group->id,
		.devices = addresses,
		.from = group->type,
		.to = group->decided ? group->decision.target : DOMAIN_NONE,
		.state = state_to_string(group->state),
		.reason = group->reason,
		.rule = engine_first_rule(group),
	};
}

static void log_state(const struct group *group, const struct news *news, bool was_managed)
{
	static const struct {
		const char *message_id;
		int priority;
	} kinds[] = {
		[STATE_UNMANAGED] = { MESSAGE_UNMANAGED, LOG_INFO },
		[STATE_COMPLIANT] = { NULL, LOG_DEBUG }, /* what brought it about has its own entry */
		[STATE_PENDING] = { MESSAGE_PENDING, LOG_NOTICE },
		[STATE_APPLYING] = { NULL, LOG_DEBUG },
		[STATE_REFUSED] = { MESSAGE_REFUSED, LOG_WARNING },
		[STATE_FAILED] = { MESSAGE_FAILED, LOG_ERR },
		[STATE_USER_OWNED] = { MESSAGE_USER_OWNED, LOG_NOTICE },
	};
	_cleanup_free_ char **addresses = group_addresses(group);
	struct log_fields fields =
		engine_log_fields(group, addresses, group->drifted ? MESSAGE_DRIFTED : kinds[group->state].message_id);
	int priority = kinds[group->state].priority;

	fields.error_number = news->error;
	fields.duration_usec = news->duration_usec;
	/* At start most groups have no rule, and that is no news. */
	if (group->state == STATE_UNMANAGED && !was_managed)
		priority = LOG_DEBUG;
	log_struct(priority, &fields, "Group %u (%s%s) is %s: %s", group->id,
		   group->n_devices ? group->devices[0]->address : "empty", group->n_devices > 1 ? ", …" : "",
		   fields.state, strempty(group->reason));
}

void engine_tell(struct manager *m, struct group *group, const struct news *news)
{
	bool was_managed = group->state != STATE_UNMANAGED;
	bool same = group->state == news->state && group->reason && strcmp(group->reason, news->reason) == 0;
	enum state before = group->state;

	if (replace_str(&group->reason, news->reason) < 0)
		log_oom();
	group->state = news->state;
	group->drifted = news->drifted;
	group->held = news->held;
	group->user = news->user;
	group->problem = news->problem;
	replace_str(&group->error, news->problem == PROBLEM_NONE ? NULL : news->reason);
	user_watch(m);
	bus_group_changed(m, group);
	if (same)
		return;
	if (before != news->state)
		group->changed_usec = now_usec(CLOCK_REALTIME);
	log_state(group, news, was_managed);
	if (news->state != STATE_APPLYING)
		bus_emit_decided(m, group, news->from);
	manager_update_status(m);
}

void engine_set_state(struct manager *m, struct group *group, enum state state, enum problem problem,
		      const char *reason)
{
	struct news news = { .state = state, .problem = problem, .reason = reason, .from = group->type };

	engine_tell(m, group, &news);
}

void engine_log_applied(const struct group *group, const struct transaction *t, uint64_t duration_usec)
{
	_cleanup_free_ char **addresses = group_addresses(group);
	struct log_fields fields = engine_log_fields(group, addresses, MESSAGE_APPLIED);

	fields.from = t->from;
	fields.to = t->to;
	fields.duration_usec = duration_usec;
	log_struct(LOG_NOTICE, &fields, "Group %u (%s%s) changed from %s to %s in %llu ms: %s", group->id,
		   group->n_devices ? group->devices[0]->address : "empty", group->n_devices > 1 ? ", …" : "",
		   domain_to_string(t->from), domain_to_string(t->to),
		   (unsigned long long)(duration_usec / USEC_PER_MSEC), group->decision.reason);
}
