/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

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

	snprintf(outcome->reason + length, sizeof(outcome->reason) - length, "%s%s", length ? "; " : "", text);
	text_replace(outcome->reason);
}

static void add_left(struct outcome *outcome, const char *what, const char *address, int r)
{
	_cleanup_free_ char *text = strf("could not put back %s of %s: %s", what, address, strerror(-r));

	if (text)
		add_reason(outcome, text);
}

/* Opens the fence and gives back the drivers, whatever happens on the way. */
static void give_back(struct transaction *t, struct outcome *outcome)
{
	const struct transaction_device *failed = NULL;
	int r;

	t->step = STEP_FENCE; /* overrides as they were, not as the rule wants them */
	r = t->fence->open(t, &failed);
	if (r < 0)
		add_left(outcome, "the driver override", failed ? failed->address : "the group", r);
	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];

		if (device->bridge || !(device->unbound || device->fresh || !device->driver))
			continue;
		r = transaction_probe_device(t, device, device->driver);
		if (r == -ENODEV && !transaction_same_device(device))
			continue; /* unplugged, and another one may be in its place */
		if (r == -ENODEV && sysfs_device_driver(device->address, &(char *){ NULL }) == -ENODEV)
			continue; /* unplugged */
		if (r < 0)
			add_left(outcome, "the driver", device->address, r);
		else
			device->unbound = false;
	}
}

/* The rule's driver may have taken a device before another device's failed. */
static void unbind_again(struct transaction *t, struct outcome *outcome)
{
	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		_cleanup_free_ char *driver = NULL;
		_cleanup_free_ char *why = NULL;
		int r;

		if (device->bridge || !transaction_same_device(device) ||
		    sysfs_device_driver(device->address, &driver) < 0 || !driver)
			continue;
		/* Somebody may have mounted it in the moment that it was back. */
		if (!t->force && in_use(device->address, &why) != 0) {
			add_reason(outcome, strempty(why));
			continue;
		}
		device->unbound = true;
		r = transaction_unbind(device->address, driver);
		if (r < 0 && r != -ENODEV)
			add_left(outcome, "the state", device->address, r);
	}
}

static void put_back_override(const struct transaction *t, const struct transaction_device *device)
{
	_cleanup_free_ char *override = NULL;

	if (t->step < STEP_UNFENCE || !transaction_same_device(device) ||
	    sysfs_read_override(device->address, &override) < 0)
		return;
	/* Only what this transaction has set, or cleared, itself. */
	if ((device->wanted && override && strcmp(override, device->wanted) == 0) ||
	    (device->release && device->override && !override))
		sysfs_write_override(device->address, device->override);
}

/* A device that the rule's driver took is given back to the one it had. */
static void take_back_driver(struct transaction *t, struct outcome *outcome)
{
	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		_cleanup_free_ char *driver = NULL;
		_cleanup_free_ char *why = NULL;
		int r;

		if (!device->wanted || !device->unbound || !transaction_same_device(device) ||
		    sysfs_device_driver(device->address, &driver) < 0 || !driver ||
		    strcmp(driver, device->wanted) != 0 || (device->driver && strcmp(driver, device->driver) == 0))
			continue;
		if (!t->force && in_use(device->address, &why) != 0) {
			add_reason(outcome, strempty(why));
			continue;
		}
		r = transaction_unbind(device->address, driver);
		if (r < 0 && r != -ENODEV)
			add_left(outcome, "the driver", device->address, r);
	}
}

static bool stays_shut(const struct transaction *t)
{
	return t->from == DOMAIN_BLOCKED || t->quarantined;
}

/* The way out of quarantine that failed ends in quarantine, with all that its record remembers. */
static void shut_again(struct transaction *t, struct outcome *outcome)
{
	enum domain type = DOMAIN_NONE;
	struct outcome claiming = {};

	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		int r;

		if (device->bridge)
			continue;
		r = transaction_same_device(device) ? sysfs_write_override(device->address, TRANSACTION_PIN) : -ENODEV;
		if (r < 0 && r != -ENODEV)
			add_left(outcome, "the quarantine", device->address, r);
		device->pinned = device->unbound = true;
	}
	unbind_again(t, outcome);
	t->to = DOMAIN_BLOCKED;
	t->step = STEP_VERIFY;
	if (transaction_read_type(t, &type) && type != DOMAIN_DMA) {
		struct outcome writing = {};

		if (transaction_write_type(t, &writing) < 0)
			add_reason(outcome, writing.reason);
	}
	if (transaction_claim(t, &claiming) < 0)
		add_reason(outcome, claiming.reason);
	if (t->record_dir && record_write(t->record_dir, t) < 0)
		add_reason(outcome, "could not record the quarantine");
	add_reason(outcome, "the quarantine stays");
}

void transaction_roll_back(struct transaction *t, struct outcome *outcome)
{
	enum domain type = DOMAIN_NONE;
	enum domain old = transaction_kernel_type(t->from);
	struct outcome unclaiming = {};

	/* A quarantine that has not come about: its claim would keep type and drivers from being put back. */
	if (t->claimed && !stays_shut(t) && transaction_unclaim(t, &unclaiming) < 0)
		add_reason(outcome, unclaiming.reason);
	/* From unbind on: the trial write of that step may have been taken. */
	if (t->step >= STEP_UNBIND && old != DOMAIN_NONE && transaction_read_type(t, &type) && type != old) {
		struct outcome writing = {};
		struct transaction back = *t;

		unbind_again(t, outcome);
		back.to = old;
		if (transaction_write_type(&back, &writing) < 0) {
			add_reason(outcome, "could not put back the type");
			add_reason(outcome, writing.reason);
		}
	}
	for (size_t i = 0; i < t->n_devices; i++)
		put_back_override(t, &t->devices[i]);
	if (stays_shut(t)) {
		shut_again(t, outcome);
		return;
	}
	take_back_driver(t, outcome);
	give_back(t, outcome);
	if (outcome->result == RESULT_FAILED && transaction_read_type(t, &type) && (old == DOMAIN_NONE || type == old))
		add_reason(outcome, "rolled back");
}

void transaction_recover(struct transaction *t, struct outcome *outcome)
{
	struct outcome unclaiming = {};

	*outcome = (struct outcome){ .result = RESULT_DONE };
	if (module_link_open(&t->link) < 0)
		t->link = NULL;
	transaction_drop_strangers(t);
	/* Nobody has decided that a quarantine ends half-way. */
	if (stays_shut(t)) {
		shut_again(t, outcome);
		return;
	}
	if (t->claimed && transaction_unclaim(t, &unclaiming) < 0)
		add_reason(outcome, unclaiming.reason);
	for (size_t i = 0; i < t->n_devices; i++)
		put_back_override(t, &t->devices[i]);
	take_back_driver(t, outcome);
	give_back(t, outcome);
	if (t->record_dir)
		record_remove(t->record_dir, t->group);
}
