/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "daemon/inventory.h"

void device_facts_make(const struct device *device, struct device_facts *ret)
{
	const struct sysfs_device *a = &device->attributes;

	*ret = (struct device_facts){
		.address = device->address,
		.vendor = a->vendor,
		.device = a->device,
		.subvendor = a->subvendor,
		.subdevice = a->subdevice,
		.class_code = a->class_code,
		.parents = (const char *const *)a->parents,
		.iommu = a->iommu,
		.bridge = a->bridge,
		.removable = a->removable,
		.untrusted = a->untrusted,
		.virtual_function = a->virtual_function,
	};
}

int group_facts_make(const struct group *group, struct group_facts *ret)
{
	struct device_facts *facts = calloc(group->n_devices + 1, sizeof(*facts));
	const struct device_facts **pointers = calloc(group->n_devices + 1, sizeof(*pointers));

	if (!facts || !pointers) {
		free(facts);
		free(pointers);
		return -ENOMEM;
	}
	for (size_t i = 0; i < group->n_devices; i++) {
		device_facts_make(group->devices[i], &facts[i]);
		pointers[i] = &facts[i];
	}
	/* An empty group has no first element to free the block by. */
	if (group->n_devices == 0)
		pointers[0] = facts;
	*ret = (struct group_facts){
		.devices = pointers,
		.n_devices = group->n_devices,
		.current = group->type,
		.boot = group->boot_type,
		.requires_direct = group->requires_direct,
	};
	return 0;
}

void group_facts_clear(struct group_facts *facts)
{
	if (facts->devices)
		free((void *)facts->devices[0]);
	free((void *)facts->devices);
	*facts = (struct group_facts){};
}
