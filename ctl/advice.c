/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>

#include "ctl/bus.h"
#include "ctl/util.h"
#include "ctl/verdict.h"

/* What verdict_advise() has to say so far. */
struct advice {
	char **items;
	size_t n;
	bool broken; /* out of memory at some point */
};

static void say(struct advice *advice, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct advice *advice, const char *format, ...)
{
	char **more = reallocarray(advice->items, advice->n + 2, sizeof(*more));
	va_list args;
	int n;

	if (!more) {
		advice->broken = true;
		return;
	}
	advice->items = more;
	va_start(args, format);
	n = vasprintf(&more[advice->n], format, args);
	va_end(args);
	if (n < 0)
		advice->broken = true;
	else
		advice->n++;
	more[advice->n] = NULL;
}

static const struct vote *find_vote(const struct verdict *verdict,
				    const struct model_device *device)
{
	for (size_t i = 0; i < verdict->n_votes; i++)
		if (verdict->votes[i].device == device)
			return &verdict->votes[i];
	return NULL;
}

/* The strongest vote wins, so each one that is stronger than OWN has to change. */
static void advise_overruled(struct advice *advice, const struct verdict *verdict,
			     const struct vote *own)
{
	const char *wish = domain_to_string(own->type);
	const size_t named_max = 4;
	size_t n = 0;

	for (size_t i = 0; i < verdict->n_votes; i++) {
		const struct vote *vote = &verdict->votes[i];
		const struct model_rule *rule = &vote->device->rule;

		if (vote->type <= own->type || ++n > named_max)
			continue;
		if (vote->kind == VOTE_NO_RULE)
			say(advice,
			    "%s must be for %s, too: no rule matches it, so it keeps %s; write one with domain = %s",
			    vote->device->address, wish, domain_to_string(vote->type), wish);
		else
			say(advice, "%s must be for %s, too: [%s] (%s:%u) %s %s",
			    vote->device->address, wish, rule->name, rule->file, rule->line,
			    vote->kind == VOTE_KEEP ? "keeps" : "asks for",
			    domain_to_string(vote->type));
	}
	if (n > named_max)
		say(advice, "and so must %zu more devices of the group", n - named_max);
	if (n > 0)
		say(advice,
		    "or take the device out of the group: another slot, or ACS switched on in the firmware");
}

static bool is_error(const struct model_group *group, const char *name)
{
	return streq(group->error_name, name);
}

bool vote_is_overruled(const struct verdict *verdict, const struct vote *vote)
{
	return !verdict->by_hand && (vote->kind == VOTE_WISH || vote->kind == VOTE_KEEP) &&
	       vote->type != DOMAIN_NONE && vote->type < verdict->target;
}

/* What a group says whose target is decided and cannot be had. */
static void advise_refused(struct advice *advice, const struct model_group *group,
			   const struct model_device *device)
{
	const struct model_rule *rule = &device->rule;

	if (is_error(group, BUS_ERROR_REQUIRES_DIRECT) ||
	    (group->requires_direct && streq(group->target, "blocked")))
		say(advice,
		    "blocked is not possible here: the firmware does DMA to a 'direct' region of this group as long as the machine runs; DMA is the strongest that it can have");
	else if (is_error(group, BUS_ERROR_UNTRUSTED) && *rule->file)
		say(advice,
		    "if you trust what is plugged in there: 'force = yes' in [%s] (%s:%u); the kernel may refuse all the same",
		    rule->name, rule->file, rule->line);
	else if (is_error(group, BUS_ERROR_UNTRUSTED))
		say(advice,
		    "if you trust what is plugged in there: --force with 'set', or a rule with 'force = yes'; the kernel may refuse all the same");
	else if (is_error(group, BUS_ERROR_IN_USE))
		say(advice,
		    "stop what uses it, then 'iommu-policyctl apply --rebind %u'; --force does not wait for that, and what uses the device may lose data",
		    group->id);
	else
		say(advice,
		    "the kernel does not do it: see 'journalctl -x -u iommu-policyd IOMMU_GROUP=%u' and the kernel's log",
		    group->id);
}

/* Somebody else changed it: that is told and not fought, until somebody asks for it. */
static void advise_drifted(struct advice *advice, const struct model_group *group, const char *way)
{
	say(advice,
	    "somebody else has changed it since: 'iommu-policyctl apply%s %u' brings back what is decided%s",
	    streq(way, "wait") ? " --rebind" : "", group->id,
	    streq(way, "wait") ? ", and unbinds the drivers of the group for it" :
				 ", and so do the next reload and hotplug");
}

static void advise_driver(struct advice *advice, const struct model_group *group,
			  const struct model_device *device)
{
	const struct model_rule *rule = &device->rule;

	say(advice, "now: 'iommu-policyctl apply --rebind %u' unbinds the drivers of the group",
	    group->id);
	if (*rule->file)
		say(advice, "always: 'rebind = always' in [%s] (%s:%u)", rule->name, rule->file,
		    rule->line);
	/* The words of daemon/way.c; without them the advice is still right, and says less. */
	if (strstr(group->reason, "built into the kernel"))
		say(advice,
		    "from boot on: the driver is built into the kernel and binds before anything else runs; iommu.passthrough= and iommu.strict= on the kernel's command line set the type of all groups");
	else
		say(advice,
		    "from boot on: nothing, if the rule is there before udev loads the driver; else have the initramfs carry the policy out");
}

/* What is pending waits for one of several things; for which, the daemon's plan tells. */
static void advise_pending(struct advice *advice, const struct verdict *verdict,
			   const struct model_device *device)
{
	const struct model_group *group = verdict->group;
	const char *way = verdict->way ? verdict->way : "";

	if (is_error(group, BUS_ERROR_IN_USE))
		advise_refused(advice, group, device);
	else if (verdict->mode && streq(verdict->mode, "audit"))
		say(advice,
		    "the daemon is in audit mode and changes nothing: 'Mode=enforce' in iommu-policyd.conf(5), then 'iommu-policyctl reload'");
	else if (group->drifted)
		advise_drifted(advice, group, way);
	else if (streq(way, "wait"))
		advise_driver(advice, group, device);
	else if (streq(way, "nothing"))
		say(advice,
		    "the type is there, and the driver of the rule is not: load it ('modprobe'), and the device gets it");
}

static void advise_state(struct advice *advice, const struct verdict *verdict,
			 const struct model_device *device)
{
	const struct model_group *group = verdict->group;

	if (streq(group->state, "user-owned"))
		say(advice,
		    "stop the guest or the program that has the group by VFIO or iommufd: it is changed as soon as that lets go");
	else if (streq(group->state, "pending"))
		advise_pending(advice, verdict, device);
	else if (streq(group->state, "refused"))
		advise_refused(advice, group, device);
	else if (streq(group->state, "failed"))
		say(advice,
		    "see 'journalctl -x -u iommu-policyd IOMMU_GROUP=%u', then 'iommu-policyctl apply %u' tries again",
		    group->id, group->id);
}

/*
 * 'restore' is a decision, too: it asks for the type at boot, and where a rule
 * matches a device of the group it stands until a rule changes. Of a 'set' to
 * the same type there is nothing more for it to take back.
 */
static void advise_by_hand(struct advice *advice, const struct verdict *verdict)
{
	const struct model_group *group = verdict->group;
	bool ruled = false;

	for (size_t i = 0; i < verdict->n_votes; i++)
		ruled |= *verdict->votes[i].device->rule.name != '\0';
	if (!ruled)
		say(advice,
		    "%s was set by hand: 'iommu-policyctl restore %u' takes it back, and a rule for the group, once there is one, takes its place",
		    group->target, group->id);
	else if (streq(group->target, group->boot_type))
		say(advice,
		    "%s, the type at boot, was asked for by 'restore' or 'set', and its rules do not count: a change of the group's rules or another 'set' ends that, reading the same rules again does not",
		    group->target);
	else
		say(advice,
		    "%s was set by hand, and its rules do not count: 'iommu-policyctl restore %u' brings %s back, a change of the group's rules brings what they say",
		    group->target, group->id, str_or(group->boot_type, "the type at boot"));
}

int verdict_advise(const struct verdict *verdict, const struct model_device *device, char ***ret)
{
	const struct vote *own = find_vote(verdict, device);
	const struct model_group *group = verdict->group;
	struct advice advice = { 0 };

	if (verdict->by_hand)
		advise_by_hand(&advice, verdict);
	else if (verdict->target == DOMAIN_NONE && streq(group->state, "unmanaged"))
		say(&advice,
		    "to manage it: a rule that matches %s, in a file below /etc/iommu-policyd/policy.d; 'iommu-policyctl plan' then shows what it would do",
		    device->address);
	else if (own && vote_is_overruled(verdict, own))
		advise_overruled(&advice, verdict, own);
	advise_state(&advice, verdict, device);

	*ret = advice.items;
	if (!advice.broken)
		return 0;
	verdict_free_advice(advice.items);
	*ret = NULL;
	return -ENOMEM;
}

void verdict_free_advice(char **advice)
{
	for (char **p = advice; p && *p; p++)
		free(*p);
	free(advice);
}
