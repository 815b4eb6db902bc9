/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/fence.h"
#include "daemon/record.h"
#include "daemon/sysfs.h"
#include "daemon/transaction-steps.h"

/* Notes DEVICE's override, in the record too. 1: somebody has written another one since it was noted last. */
static int note_override(struct transaction *t, struct transaction_device *device)
{
	_cleanup_free_ char *override = NULL;
	bool known = device->pinned;
	int r;

	if (!transaction_same_device(device))
		return -ENODEV;
	/* It must come back from the record exactly as it was. */
	r = fence_read_override(device, &override);
	if (r < 0)
		return r;
	device->pinned = true;
	/* Ours already: what stood there before is in the request (a group that leaves quarantine). */
	if (override && strcmp(override, TRANSACTION_PIN) == 0)
		return 0;
	if (known && strcmp(strempty(override), strempty(device->override)) == 0)
		return 0;
	r = replace_str(&device->override, override);
	if (r >= 0 && t->record_dir)
		r = record_write(t->record_dir, t);
	if (r < 0)
		device->pinned = known;
	return r < 0 ? r : 1;
}

static int pin(struct transaction *t, struct transaction_device *device)
{
	int r;

	/* To write the record takes a while, and the kernel offers no way to compare and write at once. */
	while ((r = note_override(t, device)) > 0)
		;
	return r < 0 ? r : sysfs_write_override(device->dir_fd, device->address, TRANSACTION_PIN);
}

static int pin_all(struct transaction *t, const struct transaction_device **failed)
{
	for (size_t i = 0; i < t->n_devices; i++) {
		int r;

		if (t->devices[i].bridge)
			continue;
		r = pin(t, &t->devices[i]);
		if (r < 0) {
			*failed = &t->devices[i];
			return r;
		}
	}
	return 0;
}

/* Whoever else has written the override meanwhile has the newer wish: it stays. */
static int unpin(const struct transaction *t, const struct transaction_device *device)
{
	_cleanup_free_ char *override = NULL;
	int r;

	if (!transaction_same_device(device))
		return -ENODEV;
	r = sysfs_read_override(device->dir_fd, device->address, &override);
	if (r < 0)
		return r;
	if (!override || strcmp(override, TRANSACTION_PIN) != 0)
		return 0;
	return sysfs_write_override(device->dir_fd, device->address, fence_final_override(t, device));
}

static int unpin_all(struct transaction *t, const struct transaction_device **failed)
{
	int first = 0;

	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		int r;

		if (!device->pinned)
			continue;
		r = unpin(t, device);
		if (r == -ENODEV) /* unplugged meanwhile: nothing is left to unpin */
			r = 0;
		if (r < 0 && !first) {
			first = r;
			*failed = device;
		}
		if (r >= 0)
			device->pinned = false;
	}
	return first;
}

const struct fence fence_pin = {
	.name = "sysfs",
	.close = pin_all,
	.open = unpin_all,
};
