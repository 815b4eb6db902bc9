/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fence.h"
#include "daemon/sysfs.h"
#include "daemon/transaction-steps.h"

/* Devices and their drivers: taken apart and brought together. */

/* What a device that has lost its driver in the last step gets to go away altogether: a second. */
#define AWAIT_TRIES 50
#define AWAIT_USEC (20 * 1000)
/*
 * A driver that is just being registered probes its devices before its bind and
 * unbind files are there (bus_add_driver() in drivers/base/bus.c). Each probe may
 * take its time: ten seconds.
 */
#define REGISTER_TRIES 500
/* How long a fence that has just been opened, or has ended with its process, may still be felt. */
#define FENCE_GONE_TRIES 50

int transaction_unbind(const char *address, const char *driver)
{
	int r;

	for (unsigned i = 0; (r = sysfs_unbind(address, driver)) == -ENOENT && i < REGISTER_TRIES; i++) {
		_cleanup_free_ char *bound = NULL;

		if (sysfs_device_driver(address, &bound) < 0 || !bound || strcmp(bound, driver) != 0)
			return -ENODEV;
		usleep(AWAIT_USEC);
	}
	return r;
}

/* A driver that was loaded while the fence was closed has missed the devices. */
static bool driver_arrived(const struct transaction *t)
{
	_cleanup_strv_ char **drivers = NULL;

	if (!t->drivers_before || sysfs_list_drivers(&drivers) < 0)
		return false;
	for (char **driver = drivers; driver && *driver; driver++)
		if (!strv_contains(t->drivers_before, *driver))
			return true;
	return false;
}

/* -EAGAIN: it is still fenced; the module opens a fence a moment after it was told to, or its process has ended. */
static int bind_when_open(const struct transaction *t, const char *address, const char *driver)
{
	_cleanup_free_ char *bound = NULL;
	int r = sysfs_bind(address, driver);

	for (unsigned i = 0; r == -EAGAIN && t->fence == &fence_module && i < FENCE_GONE_TRIES; i++) {
		usleep(AWAIT_USEC);
		r = sysfs_bind(address, driver);
	}
	/* The driver core has been quicker: it tries again what has been asked for while the fence was closed. */
	if (r < 0 && sysfs_device_driver(address, &bound) >= 0 && bound && strcmp(bound, driver) == 0)
		return 0;
	return r;
}

/*
 * A driver may have a device that it would not be given by the override as it is
 * now, which was written, or cleared, for the next time, nor by its ID: it gets
 * that back by an override of its own, for a moment. A crash in that moment is
 * seen by transaction_lent_override().
 */
static int bind_by_override(const struct transaction *t, const struct transaction_device *device, const char *driver)
{
	_cleanup_free_ char *override = NULL;
	int r, back;

	r = sysfs_write_override(device->dir_fd, device->address, driver);
	if (r < 0)
		return r;
	r = bind_when_open(t, device->address, driver);
	back = sysfs_read_override(device->dir_fd, device->address, &override);
	if (back >= 0 && override && strcmp(override, driver) == 0)
		back = sysfs_write_override(device->dir_fd, device->address, fence_final_override(t, device));
	return r < 0 ? r : back;
}

bool transaction_lent_override(const struct transaction_device *device, const char *override)
{
	return device->unbound && device->driver && override && strcmp(override, device->driver) == 0 &&
	       strcmp(override, strempty(device->override)) != 0;
}

/* Offers a device to whatever takes it; behind a fence that is just being opened, nothing does yet. */
static void offer(const struct transaction *t, const char *address)
{
	int r = sysfs_probe(address);

	for (unsigned i = 0; r == -EINVAL && t->fence == &fence_module && i < FENCE_GONE_TRIES; i++) {
		usleep(AWAIT_USEC);
		r = sysfs_probe(address);
	}
}

int transaction_probe_device(const struct transaction *t, const struct transaction_device *device, const char *driver)
{
	_cleanup_free_ char *bound = NULL;
	bool offered;
	int r;

	/* Another one in its place is not to be let through the gate on its behalf. */
	if (!transaction_same_device(device))
		return -ENODEV;
	offered = transaction_let_through(t, device, !driver);
	r = sysfs_device_driver(device->address, &bound);
	if (r < 0 || bound)
		return r;
	if (!driver) {
		bool released = device->release && t->step >= STEP_UNFENCE; /* and not put back */

		/* Nobody had it. It gets a chance only if it may have lost one to the fence. */
		if (!offered && (device->fresh || released || driver_arrived(t)))
			sysfs_probe(device->address);
		return 0;
	}
	r = fence_is_overruled(t, device) ? -ECANCELED : bind_when_open(t, device->address, driver);
	if (r < 0 && fence_is_overruled(t, device)) {
		offer(t, device->address);
		return 0;
	}
	if (r == -ENODEV)
		r = bind_by_override(t, device, driver);
	if (r == -ENOENT) {
		/* The driver's module went away meanwhile: what is left may take it. */
		sysfs_probe(device->address);
		return 0;
	}
	return r;
}

int transaction_await_driver(const char *address, char **ret)
{
	int r;

	for (unsigned i = 0; (r = sysfs_device_driver(address, ret)) >= 0 && !*ret && i < AWAIT_TRIES; i++)
		usleep(AWAIT_USEC);
	return r;
}
