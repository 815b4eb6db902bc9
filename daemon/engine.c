/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/backoff.h"
#include "daemon/bus.h"
#include "daemon/engine-tell.h"
#include "daemon/engine.h"
#include "daemon/group-store.h"
#include "daemon/leftover.h"
#include "daemon/log.h"
#include "daemon/module.h"
#include "daemon/options.h"
#include "daemon/owner.h"
#include "daemon/way.h"
#include "daemon/worker.h"

/*
 * What tells a changed policy from the same one read again, for the devices of
 * one group: what their rules say. Not where they stand, not what they come to
 * (that hangs on the type that the group has now), and short enough for a line
 * of a state file, by a hash (FNV-1a).
 */
static char *make_key(const struct group *group)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < group->decision.n_devices && i < group->n_devices; i++) {
		const struct policy_rule *rule = group->decision.devices[i].rule;
		_cleanup_free_ char *text =
			rule ? strf("%s [%s] %s %s %d %s\n", group->devices[i]->address, rule->name,
				    domain_to_string(rule->domain), rebind_to_string(rule->rebind), rule->force,
				    strempty(rule->driver)) :
			       strf("%s\n", group->devices[i]->address);

		if (!text)
			return NULL;
		for (const char *c = text; *c; c++)
			hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
	}
	return strf("%016llx", (unsigned long long)hash);
}

/* Restored, and no rule wishes anything: the group is nobody's again. */
static bool override_is_done(const struct group *group)
{
	if (!group->has_override || group->override.domain != DOMAIN_AUTO || group->type != group->boot_type ||
	    group->decision.verdict != VERDICT_UNMANAGED)
		return false;
	for (size_t i = 0; i < group->n_devices; i++)
		if (group->devices[i]->given_driver)
			return false;
	return true;
}

static int decide(struct manager *m, struct group *group, bool policy_read, bool *ret_changed)
{
	_cleanup_(group_facts_clear) struct group_facts facts = {};
	_cleanup_free_ char *key = NULL;
	bool overridden = false;
	int r;

	/* Whatever comes, nothing may refer to the rules of a policy that is about to go. */
	decision_clear(&group->decision);
	group->decided = false;
	r = group_facts_make(group, &facts);
	if (r < 0)
		return r;
	r = policy_decide(m->policy, &facts, NULL, &group->decision);
	if (r < 0)
		return r;
	group->decided = true;
	key = make_key(group);
	if (!key)
		return -ENOMEM;
	/* Also at the first decision after a start: the policy may have changed while nobody looked. */
	if (group->has_override && (policy_read || !group->decision_key) &&
	    strcmp(strempty(group->override_key), key) != 0) {
		log_group(LOG_INFO, group->id, "the policy has changed and takes the place of SetGroupType %s",
			  domain_to_string(group->override.domain));
		group->has_override = false;
		group_store_save(group);
		overridden = true;
	}
	if (override_is_done(group)) {
		group->has_override = false;
		group_store_save(group);
	}
	*ret_changed = overridden || !group->decision_key || strcmp(group->decision_key, key) != 0;
	free(group->decision_key);
	group->decision_key = TAKE_PTR(key);
	if (group->has_override) {
		decision_clear(&group->decision);
		group->decided = false;
		r = policy_decide(m->policy, &facts, &group->override, &group->decision);
		group->decided = r >= 0;
	}
	return r;
}

/* From now on its devices are no news: rebind = hotplug allows nothing more. */
static void decided_first_time(struct group *group)
{
	for (size_t i = 0; i < group->n_devices; i++)
		group->devices[i]->fresh = false;
}

static void set_unmanaged(struct manager *m, struct group *group)
{
	_cleanup_free_ char *reason = NULL;

	if (m->policy_lacking)
		reason = strdup("no policy is in force: the policy files have errors and none was kept");
	else if (group->applied_by && group->type == group->applied && group->type != group->boot_type)
		reason = strf("no rule now; %s was set by %s, and restore brings %s back",
			      domain_to_string(group->type), group->applied_by, domain_to_string(group->boot_type));
	if (!reason)
		reason = strdup(group->decided && group->decision.reason ? group->decision.reason : "no rule matches");
	if (reason && group->type == DOMAIN_BLOCKED) {
		char *longer = owner_describe_quarantine(m, group, reason);

		free(reason);
		reason = longer;
	}
	engine_set_state(m, group, STATE_UNMANAGED, PROBLEM_NONE, strempty(reason));
	decided_first_time(group);
}

/* FROM: what it was, where that has just changed. */
static void set_quarantined(struct manager *m, struct group *group, enum domain from)
{
	_cleanup_free_ char *reason = owner_describe_quarantine(m, group, group->decision.reason);
	struct news news = {
		/* The quarantine is in force, but not all of it. */
		.state = group->claim_lost ? STATE_PENDING : STATE_COMPLIANT,
		.drifted = group->claim_lost,
		.reason = strempty(reason),
		.from = from,
	};

	engine_tell(m, group, &news);
}

static void set_compliant(struct manager *m, struct group *group, const char *lacking)
{
	if (group->applied != group->decision.target) {
		group->applied = group->decision.target;
		group_store_save(group);
	}
	if (lacking)
		engine_set_state(m, group, STATE_PENDING, PROBLEM_NONE, lacking);
	else if (group->type == DOMAIN_BLOCKED)
		set_quarantined(m, group, group->type);
	else
		engine_set_state(m, group, STATE_COMPLIANT, PROBLEM_NONE, group->decision.reason);
	decided_first_time(group);
}

static enum problem refusal_problem(enum refusal refusal)
{
	return refusal == REFUSAL_UNTRUSTED	  ? PROBLEM_UNTRUSTED :
	       refusal == REFUSAL_REQUIRES_DIRECT ? PROBLEM_REQUIRES_DIRECT :
						    PROBLEM_KERNEL_REFUSED;
}

enum problem engine_check_override(struct manager *m, const struct group *group,
				   const struct decide_override *override, char **ret_reason)
{
	_cleanup_(group_facts_clear) struct group_facts facts = {};
	struct decision decision = {};
	enum problem problem = PROBLEM_NONE;

	*ret_reason = NULL;
	if (group_facts_make(group, &facts) < 0 || policy_decide(m->policy, &facts, override, &decision) < 0)
		return PROBLEM_FAILED;
	if (decision.verdict == VERDICT_REFUSED) {
		problem = refusal_problem(decision.refusal);
		replace_str(ret_reason, decision.reason);
	}
	decision_clear(&decision);
	return problem;
}

static void set_refused_by_policy(struct manager *m, struct group *group)
{
	engine_set_state(m, group, STATE_REFUSED, refusal_problem(group->decision.refusal), group->decision.reason);
	decided_first_time(group);
}

/*
 * Whether to begin a change now. What failed or was refused is not tried again
 * for the same decision until something has happened that may help.
 */
static bool should_act(const struct group *group, unsigned triggers, bool changed, bool drifted)
{
	if (triggers & (TRIGGER_PLUGGED | TRIGGER_REQUEST))
		return true;
	if (drifted)
		return triggers & TRIGGER_POLICY;
	if (changed || (triggers & TRIGGER_UNBOUND))
		return true;
	if ((group->state == STATE_USER_OWNED || group->held) && (triggers & TRIGGER_OWNER))
		return true;
	return group->state == STATE_PENDING && (triggers & (TRIGGER_DRIVERS | TRIGGER_BOUND | TRIGGER_LEFT));
}

static void start(struct manager *m, struct group *group, enum way way, const struct way_options *options,
		  unsigned triggers)
{
	_cleanup_free_ char **addresses = group_addresses(group);
	bool force = group->decision.force || (triggers & TRIGGER_FORCE);
	struct transaction *t = way_prepare(group, way, options, force);
	struct log_fields fields;
	int r;

	r = t ? worker_start(m, group, t, false) : -ENOMEM;
	if (r < 0) {
		_cleanup_free_ char *reason = strf("cannot start a worker process: %s", strerror(-r));

		engine_set_state(m, group, STATE_FAILED, PROBLEM_FAILED, strempty(reason));
		return;
	}
	engine_set_state(m, group, STATE_APPLYING, PROBLEM_NONE, group->decision.reason);
	fields = engine_log_fields(group, addresses, MESSAGE_DECIDED);
	log_struct(force ? LOG_WARNING : LOG_INFO, &fields, "Group %u (%s%s): %s to %s%s, way: %s; %s", group->id,
		   group->devices[0]->address, group->n_devices > 1 ? ", …" : "", domain_to_string(group->type),
		   domain_to_string(group->decision.target), force ? " BY FORCE, in use or not" : "", way_to_string(way),
		   group->decision.reason);
}

static void set_drifted(struct manager *m, struct group *group)
{
	static const char again[] = "applied again at the next reload, Apply() or hotplug";
	struct news news = { .state = STATE_PENDING, .drifted = true, .from = group->type };
	_cleanup_free_ char *reason = NULL;

	if (group->type != group->decision.target)
		reason = strf("drifted: somebody else wrote %s where %s is decided; %s", domain_to_string(group->type),
			      domain_to_string(group->decision.target), again);
	else
		reason = strf("drifted: somebody else gave a device another driver than its rule; %s", again);
	news.reason = strempty(reason);
	engine_tell(m, group, &news);
}

static void pursue_target(struct manager *m, struct group *group, unsigned triggers, bool changed)
{
	struct way_options options = { .rebind = triggers & TRIGGER_REBIND };
	_cleanup_free_ char *reason = NULL;
	const char *refusal = way_refusal(group);
	bool lacking, drifted;
	enum way way = way_choose(group, &options, &lacking, &reason);

	if (refusal) {
		engine_set_state(m, group, STATE_REFUSED, PROBLEM_KERNEL_REFUSED, refusal);
		decided_first_time(group);
		return;
	}
	if (way == WAY_NOTHING) {
		set_compliant(m, group, lacking ? reason : NULL);
		return;
	}
	if (surroundings_prevent(&m->surroundings)) {
		_cleanup_free_ char *why = surroundings_describe(&m->surroundings);

		engine_set_state(m, group, STATE_REFUSED, PROBLEM_KERNEL_REFUSED, strempty(why));
		decided_first_time(group);
		return;
	}
	/* In an initramfs nothing is in use yet, the root disk included, and so nothing would be spared. */
	if (m->options->types_only && way_concerns_drivers(group)) {
		engine_set_state(m, group, STATE_PENDING, PROBLEM_NONE, "left to the service, which knows what is in use");
		decided_first_time(group);
		return;
	}
	drifted = !changed && group->applied == group->decision.target &&
		  (group->type != group->decision.target || group->drifted || group->state == STATE_COMPLIANT);
	/* Where a change would be tried at once, the worker finds the same before it touches anything, and who it is. */
	if (owner_is_user(group) && !drifted &&
	    (way == WAY_WAIT || m->settings.mode == MODE_AUDIT || !should_act(group, triggers, changed, drifted))) {
		if (group->state != STATE_USER_OWNED)
			engine_set_state(m, group, STATE_USER_OWNED, PROBLEM_USER_OWNED, outcome_user_owned);
		decided_first_time(group);
		return;
	}
	if (!should_act(group, triggers, changed, drifted)) {
		if (drifted)
			set_drifted(m, group);
		else if (way == WAY_WAIT && group->state == STATE_PENDING && reason)
			engine_set_state(m, group, STATE_PENDING, PROBLEM_NONE, reason);
		return;
	}
	if (backoff_defer(m, group, triggers))
		return;
	if (way == WAY_WAIT) {
		engine_set_state(m, group, STATE_PENDING, PROBLEM_NONE, reason ? reason : "waits for a driver to let go");
		decided_first_time(group);
		return;
	}
	if (m->settings.mode == MODE_AUDIT) {
		_cleanup_free_ char *audit = strf("audit mode: would change %s to %s, way: %s; %s",
						  domain_to_string(group->type),
						  domain_to_string(group->decision.target), way_to_string(way),
						  group->decision.reason);

		engine_set_state(m, group, STATE_PENDING, PROBLEM_NONE, strempty(audit));
		decided_first_time(group);
		return;
	}
	if (worker_in_the_way(m, group)) {
		group->waiting |= triggers | TRIGGER_REQUEST;
		engine_set_state(m, group, STATE_PENDING, PROBLEM_NONE,
			  "waits for an earlier change of the same devices to end in the kernel");
		return;
	}
	if (!worker_available(m)) {
		group->waiting |= triggers | TRIGGER_REQUEST;
		return;
	}
	start(m, group, way, &options, triggers);
}

void engine_evaluate(struct manager *m, struct group *group, unsigned triggers)
{
	enum domain type = group->type;
	bool changed = false;
	int r;

	if (group->worker) {
		/*
		 * Drivers that let go and come back now are the worker's own doing. Taken for news, a change that
		 * fails would be tried again at once, for ever; what is bound in the end is read in the end.
		 */
		group->again |= triggers & ~(TRIGGER_BOUND | TRIGGER_UNBOUND | TRIGGER_OWNER);
		return;
	}
	triggers |= group->waiting;
	group->waiting = 0;
	r = group_refresh(group);
	if (r == -ENODEV) /* the removal's own event is on its way */
		return;
	if (r < 0) {
		log_group(LOG_WARNING, group->id, "cannot be read: %s", strerror(-r));
		return;
	}
	if (group->type != type)
		bus_group_changed(m, group);
	if (leftover_undo(m, group, triggers))
		return;
	if (!group->boot_known) {
		group_store_load(group);
		group->boot_known = true;
		group_store_save(group);
	}
	r = decide(m, group, false, &changed);
	if (r < 0) {
		log_oom();
		return;
	}
	changed |= triggers & (TRIGGER_START | TRIGGER_CHANGED);
	if (changed) {
		bus_group_changed(m, group);
		bus_devices_changed(m, group);
	}
	if (group->decision.verdict == VERDICT_UNMANAGED || group->decision.target == DOMAIN_BLOCKED)
		owner_keep_claim(m, group, triggers);
	switch (group->decision.verdict) {
	case VERDICT_UNMANAGED:
		set_unmanaged(m, group);
		break;
	case VERDICT_REFUSED:
		set_refused_by_policy(m, group);
		break;
	case VERDICT_TARGET:
		pursue_target(m, group, triggers, changed);
		break;
	}
}

/* Which devices have a rule's driver by the daemon's doing, for Restore() to take back. */
static void note_drivers(struct group *group, const struct transaction *t)
{
	for (size_t i = 0; i < t->n_devices; i++)
		for (size_t j = 0; j < group->n_devices; j++) {
			const struct transaction_device *done = &t->devices[i];
			struct device *device = group->devices[j];

			if (t->way == WAY_TRANSACTION && (done->wanted || done->release) &&
			    strcmp(done->address, device->address) == 0)
				replace_str(&device->given_driver, done->wanted);
		}
}

static void note_applied(struct group *group, const struct transaction *t)
{
	const struct policy_rule *rule = engine_first_rule(group);

	note_drivers(group, t);
	group->applied = group->decision.target;
	free(group->applied_by);
	group->applied_by = group->has_override ? strdup("SetGroupType") :
			    rule		? strf("%s:%u", rule->path, rule->line) :
						  NULL;
	group_store_save(group);
}

static enum state state_of(const struct outcome *outcome)
{
	static const enum state states[] = {
		[RESULT_DONE] = STATE_COMPLIANT,
		[RESULT_PENDING] = STATE_PENDING,
		[RESULT_REFUSED] = STATE_REFUSED,
		[RESULT_FAILED] = STATE_FAILED,
	};

	return outcome->problem == PROBLEM_USER_OWNED ? STATE_USER_OWNED : states[outcome->result];
}

static bool is_bound(const struct group *group)
{
	for (size_t i = 0; i < group->n_devices; i++)
		if (group->devices[i]->driver && !group->devices[i]->attributes.bridge)
			return true;
	return false;
}

void engine_policy_changed(struct manager *m)
{
	for (size_t i = 0; i < m->inventory.n_groups; i++) {
		struct group *group = m->inventory.groups[i];
		bool changed = false;

		if (decide(m, group, true, &changed) < 0)
			log_oom();
		/* Rules may have moved to another line without changing anything else. */
		bus_group_changed(m, group);
		if (changed)
			bus_devices_changed(m, group);
		manager_queue_group(m, group->id, TRIGGER_POLICY | (changed ? TRIGGER_CHANGED : 0));
	}
}

/* What a dead worker or daemon had begun has been undone. */
static void finish_recovery(struct manager *m, struct group *group, const struct outcome *outcome, unsigned again)
{
	_cleanup_free_ char **addresses = group_addresses(group);
	_cleanup_free_ char *reason = strf("a change was cut off%s%s%s",
					   outcome->result == RESULT_DONE ? " and has been undone" : "",
					   *outcome->reason ? "; " : "", outcome->reason);
	struct log_fields fields;

	engine_set_state(m, group, STATE_FAILED, PROBLEM_FAILED, strempty(reason));
	backoff_note(group, true);
	fields = engine_log_fields(group, addresses, MESSAGE_RECOVERED);
	fields.error_number = outcome->error;
	log_struct(*outcome->reason ? LOG_ERR : LOG_WARNING, &fields, "Group %u: %s", group->id, strempty(reason));
	if (!again)
		decided_first_time(group);
	/* Also where nothing has happened meanwhile: the type may be what it was to be. */
	manager_queue_group(m, group->id, leftover_is_there(group) ? 0 : again);
}

/* Whether the group has a device that the transaction knows nothing of. */
static bool has_joined(const struct group *group, const struct transaction *t)
{
	for (size_t i = 0; i < group->n_devices; i++) {
		bool known = false;

		for (size_t j = 0; j < t->n_devices && !known; j++)
			known = strcmp(group->devices[i]->address, t->devices[j].address) == 0;
		if (!known)
			return true;
	}
	return false;
}

void engine_finished(struct manager *m, struct group *group, const struct transaction *t, const struct outcome *outcome,
		     uint64_t duration_usec)
{
	bool joined = false;
	unsigned again;

	if (group->worker) { /* late: the worker is still there */
		struct news news = {
			.state = state_of(outcome),
			.problem = outcome->problem,
			.reason = outcome->reason,
			.user = outcome->user,
			.error = outcome->error,
			.duration_usec = duration_usec,
			.from = group->type,
		};

		engine_tell(m, group, &news);
		bus_group_settled(m, group);
		return;
	}
	group->own_seqnum = sysfs_uevent_seqnum();
	again = group->again;
	group->again = 0;
	/* Our own doing, and handled a moment ago: see engine_evaluate(). */
	manager_forget(m, group->id, TRIGGER_BOUND | TRIGGER_UNBOUND | TRIGGER_OWNER);
	if (outcome->result == RESULT_DONE && t->way == WAY_TRANSACTION && !t->recovering)
		group->claimed = outcome->claimed;
	group->claim_lost = false;
	/* Whoever let go meanwhile was not listened to either. */
	module_query(m, group);
	if (group_refresh(group) == -ENODEV) {
		log_group(LOG_NOTICE, group->id, "it went while its type was being changed: %s", outcome->reason);
		return; /* the removal's own event is on its way */
	}
	/*
	 * Behind a virtio-iommu the next device joins with its driver: its event is queued, or still to come. The
	 * worker saw it (ESTALE), or the kernel refused the type of a group of which one device is bound.
	 */
	if (outcome->result != RESULT_DONE) {
		manager_find_members(m, group);
		joined = has_joined(group, t);
		if (joined)
			again |= TRIGGER_PLUGGED;
	}
	bus_group_changed(m, group);
	bus_devices_changed(m, group);
	if (!group->decided) {
		bool changed;

		/* A device left meanwhile: what is decided for the rest? */
		decide(m, group, false, &changed);
	}
	if (t->recovering)
		finish_recovery(m, group, outcome, again);
	else if (outcome->result == RESULT_DONE && group->decided && group->type == t->to &&
	    group->decision.target == t->to) {
		struct news news = {
			.state = STATE_COMPLIANT,
			.reason = group->decision.reason,
			.from = t->from,
		};

		note_applied(group, t);
		backoff_note(group, false);
		if (group->type == DOMAIN_BLOCKED)
			set_quarantined(m, group, t->from);
		else
			engine_tell(m, group, &news);
		engine_log_applied(group, t, duration_usec);
		decided_first_time(group);
		/* The rule's driver may still be missing, or the decision may be another by now. */
		manager_queue_group(m, group->id, again | TRIGGER_BOUND);
	} else if (outcome->result == RESULT_DONE &&
		   ((again & (TRIGGER_PLUGGED | TRIGGER_LEFT)) || !group->decided || group->decision.target != t->to)) {
		/* The devices, or the decision, are not those of the request any more. */
		manager_queue_group(m, group->id, again | TRIGGER_PLUGGED);
	} else if (outcome->result == RESULT_DONE) {
		/* Somebody else has written it since. */
		note_applied(group, t);
		set_drifted(m, group);
		decided_first_time(group);
	} else if ((again & (TRIGGER_PLUGGED | TRIGGER_LEFT)) &&
		   (joined || outcome->error == ESTALE || outcome->error == ENODEV || outcome->error == ENOENT)) {
		/* Devices came or went meanwhile, which is no failure: for those that are there now it is done again. */
		manager_queue_group(m, group->id, again);
	} else if (outcome->result == RESULT_FAILED && outcome->again) {
		/* The kernel module was unloaded under the worker, or it had to wait for an older one. */
		manager_queue_group(m, group->id, again | TRIGGER_PLUGGED);
	} else {
		struct news news = {
			.state = state_of(outcome),
			.problem = outcome->result == RESULT_PENDING ? PROBLEM_NONE : outcome->problem,
			.held = outcome->held,
			.user = outcome->user,
			.error = outcome->error,
			.duration_usec = duration_usec,
			.reason = outcome->reason,
			.from = group->type,
		};

		engine_tell(m, group, &news);
		backoff_note(group, outcome->result == RESULT_FAILED);
		/* The driver that it was to wait for may have let go meanwhile, which was not listened to. */
		if (outcome->result == RESULT_PENDING && outcome->problem == PROBLEM_NONE && !is_bound(group))
			again |= TRIGGER_UNBOUND;
		if (again)
			manager_queue_group(m, group->id, again);
		else
			decided_first_time(group);
	}
	bus_group_settled(m, group);
}

enum way engine_plan(struct manager *m, const struct group *group, char **ret_reason)
{
	struct way_options options = {};
	_cleanup_free_ char *reason = NULL;
	const char *refusal;
	bool lacking;
	enum way way;

	*ret_reason = NULL;
	if (!group->decided || group->decision.verdict != VERDICT_TARGET)
		return WAY_NOTHING;
	refusal = way_refusal(group);
	if (refusal) {
		*ret_reason = strdup(refusal);
		return WAY_NOTHING;
	}
	way = way_choose(group, &options, &lacking, &reason);
	if (way != WAY_NOTHING && surroundings_prevent(&m->surroundings)) {
		*ret_reason = surroundings_describe(&m->surroundings);
		return WAY_NOTHING;
	}
	*ret_reason = TAKE_PTR(reason);
	return way;
}
