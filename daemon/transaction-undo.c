/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/failpoint.h"
#include "daemon/fence.h"
#include "daemon/in-use.h"
#include "daemon/module-link.h"
#include "daemon/record.h"
#include "daemon/sysfs.h"
#include "daemon/transaction-steps.h"
#include "policy/text.h"

/*
 * The way back, after a step that failed and after a crash. Nothing here gives
 * up: what cannot be put back is said, and the rest is put back all the same.
 */

/* Adds to what OUTCOME says already, within its bounds. */
static void add_reason(struct outcome *outcome, const char *text)
{
	size_t length = strlen(outcome->reason);

	if (!*text)
		return;
	snprintf(outcome->reason + length, sizeof(outcome->reason) - length, "%s%s", length ? "; " : "", text);
	text_replace(outcome->reason);
}

static void add_left(struct outcome *outcome, const char *what, const char *address, int r)
{
	_cleanup_free_ char *text = strf("could not put back %s of %s: %s", what, address, strerror(-r));

	if (text)
		add_reason(outcome, text);
}

/* Opens the fence and gives back the drivers, whatever happens on the way. Returns whether all have theirs. */
static bool give_back(struct transaction *t, struct outcome *outcome)
{
	const struct transaction_device *failed = NULL;
	int opened, r;
	bool whole = true;

	t->step = STEP_FENCE; /* overrides as they were, not as the rule wants them */
	opened = t->fence->open(t, &failed);
	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];

		if (device->pinned) {
			add_left(outcome, "the driver override", device->address, opened);
			t->left = true;
			continue;
		}
		if (device->bridge || !(device->unbound || device->fresh || !device->driver))
			continue;
		/* The group has other devices by now, for which this is begun anew: what waits at the gate goes on waiting. */
		if (device->fresh && !device->unbound && t->link && outcome->error == ESTALE)
			continue;
		r = transaction_probe_device(t, device, device->driver);
		if (r == -ENODEV && !transaction_same_device(device))
			continue; /* unplugged, and another one may be in its place */
		if (r == -ENODEV && sysfs_device_driver(device->address, &(char *){ NULL }) == -ENODEV)
			continue; /* unplugged */
		if (r < 0) {
			add_left(outcome, "the driver", device->address, r);
			whole = false;
		} else {
			device->unbound = false;
		}
	}
	return whole;
}

/* Somebody may have mounted it, or given it to a virtual machine, in the moment that it had a driver. */
static bool is_taken(const struct transaction *t, const struct transaction_device *device, struct outcome *outcome)
{
	_cleanup_free_ char *why = NULL;
	struct outcome asking = {};

	if (transaction_check_owner(t, &asking) < 0) {
		add_reason(outcome, asking.reason);
		return true;
	}
	if (t->force || in_use(device->address, &why) == 0)
		return false;
	add_reason(outcome, why ? why : "cannot tell whether it is in use");
	return true;
}

/* Returns whether it has no driver. */
static bool unbind_one(struct transaction *t, struct transaction_device *device, struct outcome *outcome)
{
	_cleanup_free_ char *driver = NULL;
	int r;

	if (!transaction_same_device(device) || sysfs_device_driver(device->address, &driver) < 0 || !driver)
		return true;
	if (is_taken(t, device, outcome))
		return false;
	if (!device->unbound) {
		device->unbound = true;
		/* Or else nobody would know, after a crash, that it has lost a driver. */
		r = t->record_dir ? record_write(t->record_dir, t) : 0;
		if (r < 0) {
			device->unbound = false;
			add_left(outcome, "the state", device->address, r);
			return false;
		}
	}
	r = transaction_unbind(device->address, driver);
	if (r < 0 && r != -ENODEV) {
		add_left(outcome, "the state", device->address, r);
		return false;
	}
	return true;
}

/* The rule's driver may have taken a device before another device's failed. Returns whether none has any. */
static bool unbind_again(struct transaction *t, struct outcome *outcome)
{
	bool whole = true;

	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];

		if (device->bridge)
			continue;
		/* What had to be left its driver on the way there is left it now. */
		if (device->driver && !device->unbound && !device->may_unbind)
			whole = false;
		else
			whole &= unbind_one(t, device, outcome);
	}
	return whole;
}

static void put_back_type(struct transaction *t, struct outcome *outcome)
{
	enum domain type = DOMAIN_NONE, old = transaction_kernel_type(t->from);
	struct transaction back = *t;
	struct outcome writing = {};

	if (old == DOMAIN_NONE || !transaction_read_type(t, &type) || type == old)
		return;
	back.to = old;
	if (!unbind_again(t, outcome)) {
		add_reason(outcome, "could not put back the type");
	} else if (transaction_check_owner(t, &writing) < 0 || transaction_write_type(&back, &writing) < 0) {
		add_reason(outcome, "could not put back the type");
		add_reason(outcome, writing.reason);
	}
}

static void put_back_override(const struct transaction *t, const struct transaction_device *device,
			      struct outcome *outcome)
{
	_cleanup_free_ char *override = NULL;
	int r;

	if (!transaction_same_device(device) || sysfs_read_override(device->dir_fd, device->address, &override) < 0)
		return;
	/* Only what this transaction has set, or cleared, itself. */
	if (transaction_lent_override(device, override) ||
	    (t->step >= STEP_UNFENCE && ((device->wanted && override && strcmp(override, device->wanted) == 0) ||
					 (device->release && device->override && !override)))) {
		r = sysfs_write_override(device->dir_fd, device->address, device->override);
		if (r < 0 && r != -ENODEV)
			add_left(outcome, "the driver override", device->address, r);
	}
}

/* Whether DRIVER has got the device from this transaction, which had to open the fence first. */
static bool is_given(const struct transaction *t, const struct transaction_device *device, const char *driver)
{
	if (t->step < STEP_UNFENCE || (device->driver && (!device->unbound || strcmp(driver, device->driver) == 0)))
		return false;
	return device->release || (device->wanted && strcmp(driver, device->wanted) == 0);
}

/* A device that the rule's driver took is given back to the one it had. */
static void take_back_driver(struct transaction *t, struct outcome *outcome)
{
	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		_cleanup_free_ char *driver = NULL;
		int r;

		if (device->bridge || !transaction_same_device(device) ||
		    sysfs_device_driver(device->address, &driver) < 0 || !driver || !is_given(t, device, driver))
			continue;
		if (is_taken(t, device, outcome))
			continue;
		r = transaction_unbind(device->address, driver);
		if (r < 0 && r != -ENODEV)
			add_left(outcome, "the driver", device->address, r);
	}
}

static bool stays_shut(const struct transaction *t)
{
	return t->from == DOMAIN_BLOCKED || t->quarantined;
}

/* A newcomer to the group that has its driver, which nothing of this has touched. */
static bool is_untouched(const struct transaction_device *device)
{
	_cleanup_free_ char *driver = NULL;

	return !device->pinned && !device->unbound && sysfs_device_driver(device->address, &driver) >= 0 && driver;
}

/* The way out of quarantine that failed ends in quarantine, with all that its record remembers. */
static void shut_again(struct transaction *t, struct outcome *outcome)
{
	enum domain type = DOMAIN_NONE;
	struct outcome claiming = {};
	bool bound = false;

	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		bool known;
		int r;

		if (device->bridge || is_untouched(device))
			continue;
		known = device->pinned && device->unbound;
		device->pinned = device->unbound = true;
		r = known || !t->record_dir ? 0 : record_write(t->record_dir, t);
		if (r >= 0)
			r = transaction_same_device(device) ? sysfs_write_override(device->dir_fd, device->address, TRANSACTION_PIN) : -ENODEV;
		if (r < 0 && r != -ENODEV)
			add_left(outcome, "the quarantine", device->address, r);
		bound |= !unbind_one(t, device, outcome);
	}
	t->to = DOMAIN_BLOCKED;
	t->step = STEP_WRITE;
	if (transaction_read_type(t, &type) && type != DOMAIN_DMA) {
		struct outcome writing = {};

		if (bound || transaction_write_type(t, &writing) < 0) {
			add_reason(outcome, "could not put back the type");
			add_reason(outcome, writing.reason);
		}
	}
	if (transaction_claim(t, &claiming) < 0) {
		add_reason(outcome, "could not put back the claim of the group's DMA");
		add_reason(outcome, claiming.reason);
	}
	/* In force from here on. */
	t->step = STEP_VERIFY;
	if (t->record_dir && record_write(t->record_dir, t) < 0)
		add_reason(outcome, "could not record the quarantine");
	add_reason(outcome, "the quarantine stays");
}

static void give_up_claim(struct transaction *t, struct outcome *outcome)
{
	struct outcome unclaiming = {};

	if (t->claimed && transaction_unclaim(t, &unclaiming) < 0) {
		add_reason(outcome, unclaiming.reason);
		t->left = true;
	}
}

void transaction_roll_back(struct transaction *t, struct outcome *outcome)
{
	enum domain type = DOMAIN_NONE;
	enum domain old = transaction_kernel_type(t->from);

	failpoint_phase("undo");
	/* By its record it would be in force, and nobody would undo it. */
	if (t->to == DOMAIN_BLOCKED && t->step == STEP_VERIFY) {
		t->step = STEP_WRITE;
		if (t->record_dir && record_write(t->record_dir, t) < 0)
			add_reason(outcome, "could not record that it is undone");
	}
	/* A quarantine that has not come about: its claim would keep type and drivers from being put back. */
	if (!stays_shut(t))
		give_up_claim(t, outcome);
	/* From unbind on: the trial write of that step may have been taken. */
	if (t->step >= STEP_UNBIND)
		put_back_type(t, outcome);
	for (size_t i = 0; i < t->n_devices; i++)
		put_back_override(t, &t->devices[i], outcome);
	if (stays_shut(t)) {
		shut_again(t, outcome);
		return;
	}
	take_back_driver(t, outcome);
	give_back(t, outcome);
	if (outcome->result == RESULT_FAILED && transaction_read_type(t, &type) && (old == DOMAIN_NONE || type == old))
		add_reason(outcome, "rolled back");
}

/* Drivers may not work under the new type; nobody has come so far as to learn that. */
static void give_back_somehow(struct transaction *t, struct outcome *outcome)
{
	struct outcome trial = *outcome;

	if (give_back(t, &trial)) {
		*outcome = trial;
		return;
	}
	put_back_type(t, outcome);
	give_back(t, outcome);
}

void transaction_recover(struct transaction *t, struct outcome *outcome)
{
	int r;

	*outcome = (struct outcome){ .result = RESULT_DONE };
	if (failpoint("recover") < 0)
		return;
	if (module_link_open(&t->link) < 0)
		t->link = NULL;
	r = transaction_hold_what_is_left(t);
	if (r == -ESTALE) {
		/* All that there was to be put back has gone, and a claim with it. */
		if (t->record_dir)
			record_remove(t->record_dir, t->group);
		return;
	}
	if (r < 0) {
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, -r, "looking at the group: %s", strerror(-r));
		return;
	}
	/* Nobody has decided that a quarantine ends half-way. */
	if (stays_shut(t)) {
		shut_again(t, outcome);
		return;
	}
	give_up_claim(t, outcome);
	for (size_t i = 0; i < t->n_devices; i++)
		put_back_override(t, &t->devices[i], outcome);
	take_back_driver(t, outcome);
	give_back_somehow(t, outcome);
	if (t->record_dir && !t->left)
		record_remove(t->record_dir, t->group);
}
