/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>

#include "daemon/sysfs.h"
#include "daemon/transaction-steps.h"
#include "daemon/util.h"

/*
 * Which group, and which devices. Another device in the same slot has the same
 * address, mostly the same group number, and may come while a worker is under
 * way. kernfs never gives a removed directory's place to another, so an open
 * one is either the device's, or empty (kernfs_dop_revalidate() in fs/kernfs/dir.c).
 */

static int hold_device(struct transaction_device *device)
{
	struct sysfs_device found;
	uint64_t id;
	int fd, r;

	fd = sysfs_open_device(device->address);
	if (fd < 0)
		return -ESTALE;
	device->dir_fd = fd;
	if (!device->id)
		return 0;
	r = sysfs_read_device(device->address, &found);
	if (r < 0)
		return -ESTALE;
	id = sysfs_device_id(&found);
	sysfs_device_clear(&found);
	/* In this order: what was read is of the directory that is held. */
	return id == device->id && sysfs_is_there(fd) ? 0 : -ESTALE;
}

int transaction_hold_identity(struct transaction *t)
{
	int fd = transaction_open_group(t);
	int r = 0;

	if (fd < 0)
		return fd;
	t->group_fd = fd;
	for (size_t i = 0; i < t->n_devices && r >= 0; i++)
		r = hold_device(&t->devices[i]);
	return r;
}

void transaction_drop_strangers(struct transaction *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];

		/* One that is gone altogether is met with -ENODEV on the way. */
		if (hold_device(device) < 0 && device->dir_fd > 0)
			transaction_device_clear(device);
		else
			t->devices[n++] = *device;
	}
	t->n_devices = n;
}

bool transaction_same_group(const struct transaction *t)
{
	return t->group_fd <= 0 || sysfs_is_there(t->group_fd);
}

bool transaction_same_device(const struct transaction_device *device)
{
	return device->dir_fd <= 0 || sysfs_is_there(device->dir_fd);
}
