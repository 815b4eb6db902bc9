/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/failpoint.h"
#include "daemon/module-link.h"
#include "daemon/record.h"
#include "daemon/sysfs.h"
#include "daemon/transaction-steps.h"

/*
 * What a transaction asks of the kernel module beside its fence. All of it
 * belongs to the worker's socket and ends with it, but the claim.
 */

/*
 * Devices that come or go are through in milliseconds, one by one; a card that
 * gets a hundred virtual functions keeps the kernel at it for a while.
 */
#define TRANSIT_USEC (5 * USEC_PER_SEC)
#define TRANSIT_RETRY_USEC (5 * USEC_PER_MSEC)

static bool group_is_there(const struct transaction *t)
{
	_cleanup_close_ int fd = sysfs_open_group(t->group);

	return fd >= 0 && transaction_same_group(t);
}

static int ask(const struct transaction *t, enum iommu_policy_command command, uint32_t flags, struct module_done *ret)
{
	struct module_request request = {
		.command = command,
		.has_group = true,
		.group = t->group,
		.flags = flags,
	};

	return module_link_call(t->link, &request, ret);
}

/* Asks again while devices are on their way; -ENODEV is that too as long as the group is there. */
static int ask_until_settled(const struct transaction *t, enum iommu_policy_command command, uint32_t flags,
			     struct module_done *ret)
{
	uint64_t deadline = now_usec(CLOCK_MONOTONIC) + TRANSIT_USEC;
	int r;

	for (;;) {
		r = ask(t, command, flags, ret);
		if (r != -EAGAIN && (r != -ENODEV || !group_is_there(t)))
			return r;
		if (now_usec(CLOCK_MONOTONIC) >= deadline)
			return r;
		usleep(TRANSIT_RETRY_USEC);
	}
}

/* Somebody else has asked the module for something that is in the way. */
static void set_held(struct outcome *outcome, const char *what, const struct module_holder *holder)
{
	_cleanup_free_ char *who = holder->present && holder->portid ? module_holder_describe(holder) : NULL;

	outcome_set(outcome, RESULT_PENDING, PROBLEM_KERNEL_REFUSED, EBUSY, "waits for %s to end, which %s", what,
		    who ? who : "outlives its maker and is none of this daemon's");
	outcome->held = true;
}

/* Which of the reasons for BRACKET_BEGIN's -EBUSY it is. Returns whether trying again may help at once. */
static bool describe_busy(const struct transaction *t, struct outcome *outcome)
{
	struct module_group group;
	bool bracket = false;

	if (module_link_get_group(t->link, t->group, &group) < 0) {
		transaction_describe_write_error(t, EBUSY, outcome);
		return false;
	}
	if (group.claim.present) {
		set_held(outcome, "a claim of the group's DMA", &group.claim);
	} else if (group.hold.present && !module_link_owns(t->link, &group.hold)) {
		set_held(outcome, "a hold of the group", &group.hold);
	} else if (group.bracket.present) {
		set_held(outcome, "another change of the group", &group.bracket);
		bracket = true;
	} else {
		transaction_describe_write_error(t, EBUSY, outcome);
	}
	module_group_clear(&group);
	return bracket;
}

static int begin_bracket(const struct transaction *t, bool live)
{
	return failpoint_around("bracket-begin", ask_until_settled(t, IOMMU_POLICY_CMD_BRACKET_BEGIN,
								   live ? IOMMU_POLICY_F_LIVE : 0, NULL));
}

int transaction_bracket_begin(const struct transaction *t, bool live, struct outcome *outcome)
{
	uint64_t deadline = now_usec(CLOCK_MONOTONIC) + TRANSIT_USEC;
	int r;

	if (!t->link)
		return 0;
	while ((r = begin_bracket(t, live)) == -EBUSY) {
		if (!describe_busy(t, outcome) || now_usec(CLOCK_MONOTONIC) >= deadline)
			return r;
		usleep(TRANSIT_RETRY_USEC);
	}
	if (r == 0)
		return 0;
	if (r == -ENOLINK && t->way != WAY_TRANSACTION)
		return 0; /* as it is without the module */
	switch (-r) {
	case EUSERS:
		transaction_set_user_owned(t, outcome);
		break;
	case ENOLINK:
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, ENOLINK,
			    "the kernel module was unloaded in the middle of the change");
		outcome->again = true;
		break;
	case EAGAIN:
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, EAGAIN,
			    "devices kept coming and going, so that the type could not be written safely");
		break;
	case ENODEV:
		transaction_describe_write_error(t, ENODEV, outcome);
		break;
	default:
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, -r, "preparing the kernel module for the type: %s",
			    strerror(-r));
	}
	return r;
}

void transaction_bracket_end(const struct transaction *t)
{
	int r = 0;

	if (t->link)
		r = failpoint_around("bracket-end", ask(t, IOMMU_POLICY_CMD_BRACKET_END, 0, NULL));
	/* Whatever it says, the write is done, and what it came to is read. Only must it not stay open. */
	if (r < 0 && r != -ENOENT && r != -ENODEV && r != -ENOLINK)
		ask(t, IOMMU_POLICY_CMD_BRACKET_END, 0, NULL);
}

bool transaction_module_owner(const struct transaction *t, enum iommu_policy_owner *ret)
{
	struct module_group group;

	if (!t->link || module_link_get_group(t->link, t->group, &group) < 0)
		return false;
	*ret = group.owner;
	module_group_clear(&group);
	return true;
}

static void describe_claim_error(const struct transaction *t, const struct module_done *done, int error, struct outcome *outcome)
{
	switch (error) {
	case EUSERS:
		transaction_set_user_owned(t, outcome);
		break;
	case EOPNOTSUPP:
		outcome_set(outcome, RESULT_REFUSED, PROBLEM_REQUIRES_DIRECT, error,
			    "the firmware needs a 1:1 map for a device of the group, so its DMA cannot be blocked");
		break;
	case EBUSY:
		if (done->holder.present)
			set_held(outcome, "a claim of the group's DMA", &done->holder);
		else
			outcome_set(outcome, RESULT_PENDING, PROBLEM_KERNEL_REFUSED, error,
				    "a driver has taken a device of the group");
		break;
	case EAGAIN:
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, error,
			    "devices kept coming and going, so that the group's DMA could not be claimed");
		break;
	default:
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, error, "claiming the group's DMA: %s",
			    strerror(error));
	}
}

int transaction_claim(struct transaction *t, struct outcome *outcome)
{
	struct module_done done = {};
	int r;

	if (!t->link)
		return 0;
	t->claimed = true;
	if (t->record_dir && (r = record_write(t->record_dir, t)) < 0) {
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, -r, "recording a step for the group: %s",
			    strerror(-r));
		return r;
	}
	r = failpoint_around("claim", ask_until_settled(t, IOMMU_POLICY_CMD_CLAIM, IOMMU_POLICY_F_PERSISTENT, &done));
	if (r == 0 && !transaction_same_group(t)) {
		/* The module goes by the number, which another group has by now. */
		ask(t, IOMMU_POLICY_CMD_UNCLAIM, 0, NULL);
		t->claimed = false;
		transaction_describe_write_error(t, ESTALE, outcome);
		return -ESTALE;
	}
	if (r == 0)
		return 0;
	t->claimed = false;
	/* The module has gone, and a quarantine without it is one too. */
	if (r == -ENOLINK)
		return 0;
	describe_claim_error(t, &done, -r, outcome);
	return r;
}

int transaction_unclaim(struct transaction *t, struct outcome *outcome)
{
	struct module_done done = {};
	int r;

	/* A claim may be there also where this transaction knows of none: the module came later than the quarantine. */
	if (!t->link || !(t->claimed || t->quarantined || t->from == DOMAIN_BLOCKED))
		return 0;
	r = failpoint_around("unclaim", ask_until_settled(t, IOMMU_POLICY_CMD_UNCLAIM, 0, &done));
	if (r == 0 || r == -ENOENT || r == -ENOLINK) {
		t->claimed = false;
		return 0;
	}
	if (r == -EBUSY)
		set_held(outcome, "a claim of the group's DMA", &done.holder);
	else if (r == -ENODEV)
		transaction_describe_write_error(t, ENODEV, outcome);
	else
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, -r, "giving up the claim of the group's DMA: %s",
			    strerror(-r));
	return r;
}

bool transaction_let_through(const struct transaction *t, const struct transaction_device *device, bool probe)
{
	struct module_request request = {
		.command = IOMMU_POLICY_CMD_GATE_RELEASE,
		.device = device->address,
		.flags = probe ? IOMMU_POLICY_F_PROBE : 0,
	};

	return t->link && failpoint_around("gate-release", module_link_call(t->link, &request, NULL)) == 0;
}
