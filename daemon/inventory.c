/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/group-store.h"
#include "daemon/inventory.h"
#include "daemon/record.h"
#include "daemon/state-file.h"

/* Where ID is, or would be put. */
static size_t group_position(const struct inventory *inventory, unsigned id)
{
	size_t low = 0, high = inventory->n_groups;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (inventory->groups[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static size_t device_position(struct device *const *devices, size_t n, const char *address)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(devices[middle]->address, address) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int insert(void *array, size_t *n, size_t position, void *item)
{
	void ***items = array;
	void **grown = reallocarray(*items, *n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	*items = grown;
	memmove(grown + position + 1, grown + position, (*n - position) * sizeof(*grown));
	grown[position] = item;
	(*n)++;
	return 0;
}

static void delete(void *array, size_t *n, size_t position)
{
	void **items = *(void ***)array;

	memmove(items + position, items + position + 1, (*n - position - 1) * sizeof(*items));
	(*n)--;
}

struct group *inventory_group(const struct inventory *inventory, unsigned id)
{
	size_t position = group_position(inventory, id);

	if (position < inventory->n_groups && inventory->groups[position]->id == id)
		return inventory->groups[position];
	return NULL;
}

struct device *inventory_device(const struct inventory *inventory, const char *address)
{
	size_t position = device_position(inventory->devices, inventory->n_devices, address);

	if (position < inventory->n_devices && strcmp(inventory->devices[position]->address, address) == 0)
		return inventory->devices[position];
	return NULL;
}

/* Another device may have taken the place of one that was, while nobody looked. */
static bool is_pinned(const struct transaction *quarantine, const struct device *device)
{
	for (size_t i = 0; i < quarantine->n_devices; i++) {
		const struct transaction_device *kept = &quarantine->devices[i];

		if (kept->pinned && strcmp(kept->address, device->address) == 0)
			return !kept->id || kept->id == sysfs_device_id(&device->attributes);
	}
	return false;
}

/*
 * Quarantine without the module: strict, every device pinned, as its record
 * says (the overrides themselves are not to be read here, see sysfs.h), and
 * without a driver, as seen.
 */
static bool group_is_blocked(const struct group *group)
{
	_cleanup_(transaction_freep) struct transaction *quarantine = NULL;
	size_t n = 0;

	if (record_read_quarantine(RECORD_DIR, group->id, &quarantine) < 0)
		return false;
	for (size_t i = 0; i < group->n_devices; i++) {
		const struct device *device = group->devices[i];

		if (device->attributes.bridge)
			continue;
		if (device->driver || !is_pinned(quarantine, device))
			return false;
		n++;
	}
	return n > 0;
}

int group_refresh(struct group *group)
{
	_cleanup_close_ int fd = sysfs_open_group(group->id);
	_cleanup_free_ struct sysfs_region *regions = NULL;
	_cleanup_strv_ char **devices = NULL;
	enum domain type = DOMAIN_NONE;
	size_t n_regions = 0;
	char **other = NULL;
	int listed;

	if (fd < 0)
		return fd == -ENOENT ? -ENODEV : fd;
	if (sysfs_group_type(fd, &type) < 0)
		type = DOMAIN_NONE;
	listed = sysfs_group_devices(fd, &devices, &other);
	/* Its last device has let go of it, and with that its domain is gone: the group follows in a moment. */
	if (listed >= 0 && type == DOMAIN_NONE && !devices && !other)
		return -ENODEV;
	for (size_t i = 0; i < group->n_devices; i++) {
		char *driver = NULL;

		if (sysfs_device_driver(group->devices[i]->address, &driver) < 0)
			driver = NULL;
		free(group->devices[i]->driver);
		group->devices[i]->driver = driver;
	}
	group->type = type;
	/* A transaction on its way has pinned them too: only its end tells. */
	if (group->type == DOMAIN_DMA && !group->worker && group_is_blocked(group))
		group->type = DOMAIN_BLOCKED;
	if (listed >= 0) {
		strv_free(group->other_devices);
		group->other_devices = other;
	}
	if (sysfs_group_regions(fd, &regions, &n_regions) >= 0) {
		free(group->regions);
		group->regions = TAKE_PTR(regions);
		group->n_regions = n_regions;
		group->requires_direct = false;
		for (size_t i = 0; i < n_regions; i++)
			if (strcmp(group->regions[i].kind, "direct") == 0)
				group->requires_direct = true;
	}
	return 0;
}

static void device_free(struct device *device)
{
	if (!device)
		return;
	free(device->address);
	free(device->driver);
	free(device->given_driver);
	sysfs_device_clear(&device->attributes);
	free(device);
}

void group_free(struct group *group)
{
	if (!group)
		return;
	decision_clear(&group->decision);
	free(group->devices);
	strv_free(group->other_devices);
	free(group->regions);
	free(group->decision_key);
	free(group->reason);
	free(group->error);
	free(group->applied_by);
	free(group->override_key);
	free(group);
}

static int add_group(struct inventory *inventory, unsigned id, struct group **ret)
{
	struct group *group = calloc(1, sizeof(*group));

	if (!group)
		return -ENOMEM;
	group->id = id;
	group->changed_usec = now_usec(CLOCK_REALTIME);
	if (insert(&inventory->groups, &inventory->n_groups, group_position(inventory, id), group) < 0) {
		free(group);
		return -ENOMEM;
	}
	*ret = group;
	return 0;
}

/* Links DEVICE to the group that sysfs says, which may be new. */
static int join_group(struct inventory *inventory, struct device *device)
{
	struct group *group;
	unsigned id;
	int r;

	if (device->group)
		return 0;
	r = sysfs_device_group(device->address, &id);
	if (r == -ENODATA)
		return 0;
	if (r < 0)
		return r;
	group = inventory_group(inventory, id);
	if (!group && (r = add_group(inventory, id, &group)) < 0)
		return r;
	r = insert(&group->devices, &group->n_devices,
		   device_position(group->devices, group->n_devices, device->address), device);
	if (r < 0)
		return r;
	device->group = group;
	return 0;
}

int inventory_refresh_device(struct inventory *inventory, const char *address, struct device **ret, bool *ret_added)
{
	struct device *device = inventory_device(inventory, address);
	bool grouped = device && device->group;
	int r;

	*ret_added = false;
	if (!device) {
		device = calloc(1, sizeof(*device));
		if (!device)
			return -ENOMEM;
		device->address = strdup(address);
		r = device->address ? sysfs_read_device(address, &device->attributes) : -ENOMEM;
		if (r >= 0)
			r = insert(&inventory->devices, &inventory->n_devices,
				   device_position(inventory->devices, inventory->n_devices, address), device);
		if (r < 0) {
			device_free(device);
			return r == -ENOENT ? -ENODEV : r;
		}
		*ret_added = true;
	}
	r = join_group(inventory, device);
	if (r < 0)
		return r == -ENOENT ? -ENODEV : r;
	if (device->group && !grouped) {
		/* The IOMMU's name appears together with the group, which on some IOMMUs is at the first probe. */
		sysfs_device_clear(&device->attributes);
		r = sysfs_read_device(address, &device->attributes);
		if (r < 0)
			return r == -ENOENT ? -ENODEV : r;
	}
	if (device->group) {
		r = group_refresh(device->group);
		if (r < 0)
			return r;
	} else {
		free(device->driver);
		device->driver = NULL;
		r = sysfs_device_driver(address, &device->driver);
		if (r < 0)
			return r;
	}
	*ret = device;
	return 0;
}

void inventory_remove_device(struct inventory *inventory, struct device *device, struct group **ret_group)
{
	struct group *group = device->group;

	*ret_group = NULL;
	delete (&inventory->devices, &inventory->n_devices,
		device_position(inventory->devices, inventory->n_devices, device->address));
	if (group) {
		delete (&group->devices, &group->n_devices,
			device_position(group->devices, group->n_devices, device->address));
		/* The decision was about the devices that were. */
		decision_clear(&group->decision);
		group->decided = false;
		if (group->n_devices == 0) {
			delete (&inventory->groups, &inventory->n_groups, group_position(inventory, group->id));
			*ret_group = group;
		}
	}
	device_free(device);
}

void inventory_clear(struct inventory *inventory)
{
	for (size_t i = 0; i < inventory->n_devices; i++)
		device_free(inventory->devices[i]);
	for (size_t i = 0; i < inventory->n_groups; i++)
		group_free(inventory->groups[i]);
	free(inventory->devices);
	free(inventory->groups);
	*inventory = (struct inventory){};
}

char **group_addresses(const struct group *group)
{
	char **addresses = calloc(group->n_devices + 1, sizeof(*addresses));

	for (size_t i = 0; addresses && i < group->n_devices; i++)
		addresses[i] = group->devices[i]->address;
	return addresses;
}
