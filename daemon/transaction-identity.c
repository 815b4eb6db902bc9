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
		return fd == -ENOENT || fd == -ENODEV ? -ESTALE : fd;
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

static int drop_strangers(struct transaction *t)
{
	size_t n = 0;
	int error = 0;

	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		int r = hold_device(device);

		if (r < 0 && r != -ESTALE)
			error = r;
		/* Gone, or another one has its address. */
		if (r == -ESTALE)
			transaction_device_clear(device);
		else
			t->devices[n++] = *device;
	}
	t->n_devices = n;
	return error;
}

/* Devices may have joined, or left: the group is the same as long as one of them is in it. */
static int hold_group_of_any(struct transaction *t)
{
	_cleanup_close_ int fd = sysfs_open_group(t->group);
	_cleanup_strv_ char **addresses = NULL;
	bool found = false;
	int r;

	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	r = sysfs_group_devices(fd, &addresses, NULL);
	if (r < 0)
		return r;
	for (size_t i = 0; i < t->n_devices; i++)
		found |= strv_contains(addresses, t->devices[i].address);
	if (!found)
		return -ESTALE;
	t->group_fd = fd;
	fd = -1;
	return 0;
}

int transaction_hold_what_is_left(struct transaction *t)
{
	int r = drop_strangers(t);

	return r < 0 ? r : hold_group_of_any(t);
}

bool transaction_same_group(const struct transaction *t)
{
	return t->group_fd <= 0 || sysfs_is_there(t->group_fd);
}

bool transaction_same_device(const struct transaction_device *device)
{
	return device->dir_fd <= 0 || sysfs_is_there(device->dir_fd);
}
