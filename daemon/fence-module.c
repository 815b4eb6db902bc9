/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/failpoint.h"
#include "daemon/fence.h"
#include "daemon/module-link.h"
#include "daemon/record.h"
#include "daemon/sysfs.h"
#include "daemon/transaction-steps.h"

/*
 * The overrides stay what they are while the group is held. The rule's driver
 * is written before the release: a device that some driver has asked for in
 * vain is offered by the driver core again, soon, to whatever matches.
 */

static bool is_to_be_written(const struct transaction_device *device)
{
	return !device->bridge && (device->wanted || device->release);
}

/* Remembered, for it may have to be put back, from the record too, and to see whether somebody else writes it. */
static int note_overrides(struct transaction *t, const struct transaction_device **failed)
{
	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		char *override;
		int r;

		if (device->bridge)
			continue;
		r = fence_read_override(device, &override);
		if (r < 0) {
			*failed = device;
			return r;
		}
		free(device->override);
		device->override = override;
		/* Of a change of which nothing else is known; see drop_pins(). */
		if (override && strcmp(override, TRANSACTION_PIN) == 0) {
			free(override);
			device->override = NULL;
		}
	}
	return t->record_dir ? record_write(t->record_dir, t) : 0;
}

/* Pins that nobody will take away, for their record is lost. Without them the hold is fence enough. */
static void drop_pins(const struct transaction *t)
{
	for (size_t i = 0; i < t->n_devices; i++) {
		_cleanup_free_ char *override = NULL;

		if (!t->devices[i].bridge && transaction_same_device(&t->devices[i]) &&
		    sysfs_read_override(t->devices[i].dir_fd, t->devices[i].address, &override) >= 0 && override &&
		    strcmp(override, TRANSACTION_PIN) == 0)
			sysfs_write_override(t->devices[i].dir_fd, t->devices[i].address, NULL);
	}
}

static int hold(struct transaction *t, const struct transaction_device **failed)
{
	struct module_request request = { .command = IOMMU_POLICY_CMD_HOLD, .has_group = true, .group = t->group };
	struct module_done done = {};
	int r;

	*failed = NULL;
	if (!t->link)
		return -ENOLINK;
	r = note_overrides(t, failed);
	if (r < 0)
		return r;
	r = failpoint_around("hold", module_link_call(t->link, &request, &done));
	if (r == -EBUSY) {
		free(t->in_the_way);
		t->in_the_way = module_holder_describe(&done.holder);
	}
	if (r == 0)
		drop_pins(t);
	return r;
}

/* Whoever has written the override meanwhile has the newer wish: it stays. */
static int write_override(const struct transaction *t, const struct transaction_device *device)
{
	const char *value = fence_final_override(t, device);
	_cleanup_free_ char *override = NULL;
	int r;

	if (strcmp(strempty(value), strempty(device->override)) == 0)
		return 0;
	if (!transaction_same_device(device))
		return -ENODEV;
	r = sysfs_read_override(device->dir_fd, device->address, &override);
	if (r < 0)
		return r;
	if (strcmp(strempty(override), strempty(device->override)) != 0)
		return 0;
	return sysfs_write_override(device->dir_fd, device->address, value);
}

static int release(struct transaction *t, const struct transaction_device **failed)
{
	struct module_request request = { .command = IOMMU_POLICY_CMD_RELEASE, .has_group = true, .group = t->group };
	int r;

	*failed = NULL;
	for (size_t i = 0; t->step >= STEP_UNFENCE && i < t->n_devices; i++) {
		if (!is_to_be_written(&t->devices[i]))
			continue;
		r = write_override(t, &t->devices[i]);
		if (r < 0 && r != -ENODEV) {
			/* It stays shut: without its override the device would go to just any driver. */
			*failed = &t->devices[i];
			return r;
		}
	}
	/* Each device gets its driver by name afterwards, so nothing is to be probed here. */
	r = t->link ? failpoint_around("release", module_link_call(t->link, &request, NULL)) : 0;
	/* Not held (any more), by us or at all: it is open. Whatever else, the end of the socket opens it. */
	if (r < 0 && r != -ENOENT && r != -ENODEV && r != -ENOLINK) {
		t->link = module_link_close(t->link);
		if (module_link_open(&t->link) < 0)
			t->link = NULL;
	}
	return 0;
}

const struct fence fence_module = {
	.name = "module",
	.close = hold,
	.open = release,
};
