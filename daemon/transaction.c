/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fence.h"
#include "daemon/in-use.h"
#include "daemon/module-link.h"
#include "daemon/record.h"
#include "daemon/sysfs.h"
#include "daemon/transaction-steps.h"

/*
 * The steps of a transaction, in order:
 *
 *   prepare   the group is still the same devices; nothing that stays bound is in the way
 *   fence     nothing can bind any more; only now is it known what is bound
 *   unbind    each device is asked about once more right before
 *   write     the type; a quarantine's claim is given up before, or made after
 *   unfence   overrides as they were, or the rule's driver
 *   probe     each device gets the driver it had, or the rule's
 *   verify    by reading, not by trusting the writes
 *
 * The record is written before each step and before each device's part of it,
 * so that whatever is found after a crash is undone from the record alone.
 */

void transaction_device_clear(struct transaction_device *device)
{
	free(device->address);
	free(device->driver);
	free(device->override);
	free(device->wanted);
	free(device->given);
	if (device->dir_fd > 0)
		close(device->dir_fd);
}

struct transaction *transaction_free(struct transaction *t)
{
	if (!t)
		return NULL;
	for (size_t i = 0; i < t->n_devices; i++)
		transaction_device_clear(&t->devices[i]);
	free(t->devices);
	strv_free(t->drivers_before);
	module_link_close(t->link);
	if (t->group_fd > 0)
		close(t->group_fd);
	free(t->in_the_way);
	free(t);
	return NULL;
}

int transaction_add_device(struct transaction *t, const struct transaction_device *device)
{
	struct transaction_device *grown = reallocarray(t->devices, t->n_devices + 1, sizeof(*device));
	struct transaction_device copy = *device;

	if (!grown)
		return -ENOMEM;
	t->devices = grown;
	copy.address = copy.driver = copy.override = copy.wanted = copy.given = NULL;
	copy.dir_fd = 0;
	if (replace_str(&copy.address, device->address) < 0 || replace_str(&copy.driver, device->driver) < 0 ||
	    replace_str(&copy.override, device->override) < 0 || replace_str(&copy.wanted, device->wanted) < 0 ||
	    replace_str(&copy.given, device->given) < 0) {
		transaction_device_clear(&copy);
		return -ENOMEM;
	}
	t->devices[t->n_devices++] = copy;
	return 0;
}

static int begin(struct transaction *t, enum step step)
{
	t->step = step;
	return t->record_dir ? record_write(t->record_dir, t) : 0;
}

static int fail_device(struct outcome *outcome, const struct transaction_device *device, const char *doing, int r)
{
	outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, -r, "%s %s: %s", doing, device ? device->address : "group",
		    strerror(-r));
	return r;
}

/* The one place that decides whether a driver may be taken away. */
static int check_may_unbind(const struct transaction *t, const struct transaction_device *device,
			    struct outcome *outcome)
{
	_cleanup_free_ char *why = NULL;
	int r;

	if (!device->may_unbind) {
		outcome_set(outcome, RESULT_PENDING, PROBLEM_NONE, 0, "waits for driver %s to let go of %s",
			    device->driver, device->address);
		return -EBUSY;
	}
	r = transaction_check_owner(t, outcome);
	if (r < 0)
		return r;
	if (t->force)
		return 0;
	r = in_use(device->address, &why);
	if (r < 0) {
		outcome_set(outcome, RESULT_REFUSED, PROBLEM_IN_USE, -r, "cannot tell whether %s is in use: %s",
			    device->address, why ? why : strerror(-r));
		return r;
	}
	if (r > 0) {
		outcome_set(outcome, RESULT_REFUSED, PROBLEM_IN_USE, EBUSY, "%s is in use: %s", device->address, why);
		return -EBUSY;
	}
	return 0;
}

/* With the type right already, only a device that its rule's driver has not is touched. */
static bool must_unbind(const struct transaction *t, const struct transaction_device *device)
{
	if (t->from != t->to || t->to == DOMAIN_BLOCKED)
		return true;
	if (device->release)
		return true;
	return device->wanted && device->driver && strcmp(device->wanted, device->driver) != 0;
}

static int read_drivers(struct transaction *t, struct outcome *outcome)
{
	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		_cleanup_free_ char *driver = NULL;
		int r;

		if (device->bridge)
			continue;
		r = sysfs_device_driver(device->address, &driver);
		if (r < 0)
			return fail_device(outcome, device, "reading the driver of", r);
		/* What a group had before quarantine is in the request, and nothing is bound now. */
		if (driver && (r = replace_str(&device->driver, driver)) < 0)
			return fail_device(outcome, device, "reading the driver of", r);
		if (!driver && !device->unbound) {
			free(device->driver);
			device->driver = NULL;
		}
		if (driver && must_unbind(t, device) && (r = check_may_unbind(t, device, outcome)) < 0)
			return r;
	}
	return 0;
}

static int step_prepare(struct transaction *t, struct outcome *outcome)
{
	int r;

	sysfs_list_drivers(&t->drivers_before);
	/* Also where nothing of the group would be unbound: a user's group is not to be touched at all. */
	r = transaction_check_owner(t, outcome);
	return r < 0 ? r : read_drivers(t, outcome);
}

static int step_fence(struct transaction *t, struct outcome *outcome)
{
	const struct transaction_device *failed = NULL;
	int r;

	r = t->fence->close(t, &failed);
	if (r == -ENOLINK && t->fence == &fence_module) {
		/* The module has just gone, and nothing has been done yet. */
		t->fence = &fence_pin;
		r = t->fence->close(t, &failed);
	}
	if (r == -EBUSY && t->in_the_way) {
		outcome_set(outcome, RESULT_PENDING, PROBLEM_KERNEL_REFUSED, EBUSY, "waits for %s, which holds the group",
			    t->in_the_way);
		outcome->held = true;
		return r;
	}
	if (r == -ENODEV && !failed) {
		transaction_describe_write_error(t, ENODEV, outcome);
		return r;
	}
	if (r < 0)
		return fail_device(outcome, failed, "holding", r);
	return read_drivers(t, outcome);
}

static int await_last_close(const struct in_use_nodes *nodes, struct outcome *outcome)
{
	_cleanup_free_ char *who = NULL;
	int r;

	r = in_use_await_last_close(nodes, &who);
	if (r < 0)
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, -r,
			    "cannot tell whether a program still has a node of the group open: %s",
			    who ? who : strerror(-r));
	else if (r > 0)
		outcome_set(outcome, RESULT_FAILED, PROBLEM_IN_USE, EBUSY, "%s, also without the driver", who);
	return r > 0 ? -EBUSY : r;
}

static int step_unbind(struct transaction *t, struct outcome *outcome)
{
	_cleanup_(in_use_forget) struct in_use_nodes nodes = {};
	size_t n_bound = 0;

	for (size_t i = 0; i < t->n_devices; i++)
		n_bound += t->devices[i].driver && !t->devices[i].bridge && !t->devices[i].unbound;
	/*
	 * A kernel that cannot change groups of several devices says so while
	 * they are bound (EINVAL), and then nothing needs to be unbound to learn it.
	 */
	if (n_bound && t->n_devices > 1 && t->from != t->to) {
		struct outcome trial = {};

		if (transaction_try_type(t, &trial) < 0 && trial.result != RESULT_PENDING) {
			*outcome = trial;
			return -EINVAL;
		}
	}
	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		int r;

		if (!device->driver || device->bridge || device->unbound || !must_unbind(t, device))
			continue;
		r = check_may_unbind(t, device, outcome);
		if (r < 0)
			return r;
		r = in_use_remember(device->address, &nodes);
		if (r < 0)
			return fail_device(outcome, device, "looking at what is below", r);
		/* What was asked about, and is remembered, is still that very device's. */
		if (!transaction_same_device(device))
			return fail_device(outcome, device, "unbinding", -ENODEV);
		device->unbound = true;
		r = begin(t, STEP_UNBIND);
		device->unbound = r >= 0;
		if (r < 0)
			return fail_device(outcome, device, "recording the step for", r);
		r = transaction_unbind(device->address, device->driver);
		if (r < 0 && r != -ENODEV) /* ENODEV: it has let go by itself */
			return fail_device(outcome, device, "unbinding", r);
	}
	return await_last_close(&nodes, outcome);
}

static int step_write(struct transaction *t, struct outcome *outcome)
{
	int r = 0;

	if (t->to != DOMAIN_BLOCKED)
		r = transaction_unclaim(t, outcome);
	if (r >= 0)
		r = transaction_write_type(t, outcome);
	return r >= 0 && t->to == DOMAIN_BLOCKED ? transaction_claim(t, outcome) : r;
}

static int step_unfence(struct transaction *t, struct outcome *outcome)
{
	const struct transaction_device *failed = NULL;
	int r;

	r = t->fence->open(t, &failed);
	return r < 0 ? fail_device(outcome, failed, "releasing", r) : 0;
}

/* What must be bound in the end: the rule's driver, else what was bound before; NULL for whatever takes it. */
static const char *expected_driver(const struct transaction_device *device)
{
	if (device->release)
		return NULL;
	return device->wanted ? device->wanted : device->driver;
}

static int step_probe(struct transaction *t, struct outcome *outcome)
{
	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		const char *driver = expected_driver(device);
		int r;

		if (device->bridge)
			continue;
		r = transaction_probe_device(t, device, driver);
		if (r < 0) {
			outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, -r, "driver %s does not take %s under %s: %s",
				    strempty(driver), device->address, domain_to_string(t->to), strerror(-r));
			return r;
		}
	}
	return 0;
}

static int step_verify(struct transaction *t, struct outcome *outcome)
{
	/* Not the type: it was read when it was written, and who has written it since has the newer wish. */
	for (size_t i = 0; i < t->n_devices; i++) {
		const struct transaction_device *device = &t->devices[i];
		const char *expected = t->to == DOMAIN_BLOCKED ? NULL : expected_driver(device);
		_cleanup_free_ char *driver = NULL;
		bool expects;
		int r;

		if (device->bridge || (t->to != DOMAIN_BLOCKED && fence_is_overruled(t, device)))
			continue;
		expects = expected && sysfs_driver_exists(expected);
		r = expects ? transaction_await_driver(device->address, &driver) : sysfs_device_driver(device->address, &driver);
		if (r < 0)
			return fail_device(outcome, device, "reading the driver of", r);
		if (t->to == DOMAIN_BLOCKED && driver) {
			outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, EBUSY, "%s has driver %s although it is held",
				    device->address, driver);
			return -EBUSY;
		}
		if (expects && device->wanted && driver && strcmp(driver, expected) != 0) {
			outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, EBUSY, "%s has driver %s where %s was to be",
				    device->address, driver, expected);
			return -EBUSY;
		}
		if (expects && !driver) {
			outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, ENODEV, "%s has no driver although %s took it",
				    device->address, expected);
			return -ENODEV;
		}
	}
	return 0;
}

static void run_steps(struct transaction *t, struct outcome *outcome)
{
	static const struct {
		enum step step;
		int (*run)(struct transaction *t, struct outcome *outcome);
		bool skip_blocked; /* a quarantine leaves the fence closed */
	} steps[] = {
		{ STEP_PREPARE, step_prepare, false }, { STEP_FENCE, step_fence, false },
		{ STEP_UNBIND, step_unbind, false },   { STEP_WRITE, step_write, false },
		{ STEP_UNFENCE, step_unfence, true },  { STEP_PROBE, step_probe, true },
		{ STEP_VERIFY, step_verify, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		int r;

		if (steps[i].skip_blocked && t->to == DOMAIN_BLOCKED)
			continue;
		r = begin(t, steps[i].step);
		if (r < 0)
			fail_device(outcome, NULL, "recording a step for the", r);
		else
			r = steps[i].run(t, outcome);
		if (r < 0) {
			transaction_roll_back(t, outcome);
			return;
		}
	}
}

/*
 * A quarantine is its pins also where the module claims the group's DMA on top
 * of them: so neither the module's end nor anybody who gives up the claim opens
 * it, and the way out begins at them.
 */
static const struct fence *choose_fence(const struct transaction *t)
{
	bool quarantine = t->to == DOMAIN_BLOCKED || t->from == DOMAIN_BLOCKED || t->quarantined;

	return t->link && !quarantine ? &fence_module : &fence_pin;
}

static void begin_outcome(struct transaction *t, struct outcome *outcome)
{
	*outcome = (struct outcome){ .result = RESULT_DONE };
	/* Not loaded, or not for us: everything goes without it. */
	if (module_link_open(&t->link) < 0)
		t->link = NULL;
}

void transaction_ask(struct transaction *t, struct outcome *outcome)
{
	begin_outcome(t, outcome);
	transaction_check_owner(t, outcome);
}

void transaction_run(struct transaction *t, struct outcome *outcome)
{
	begin_outcome(t, outcome);
	t->fence = choose_fence(t);
	/* Before anything else: what is done to another device, be it to undo something, is wrong. */
	if (transaction_hold_identity(t) < 0) {
		transaction_describe_write_error(t, ESTALE, outcome);
		return;
	}
	if (t->way == WAY_TRANSACTION) {
		run_steps(t, outcome);
		outcome->claimed = outcome->result == RESULT_DONE && t->claimed;
		/* A quarantine's record lives on: it is what its end has to put back. */
		if (t->record_dir && !t->left && !(t->to == DOMAIN_BLOCKED && outcome->result == RESULT_DONE) &&
		    !((t->from == DOMAIN_BLOCKED || t->quarantined) && outcome->result != RESULT_DONE))
			record_remove(t->record_dir, t->group);
		return;
	}
	if (transaction_check_owner(t, outcome) >= 0)
		transaction_write_type(t, outcome);
}
