/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "daemon/way-internal.h"

/* Restore() takes back what a rule gave, its driver too. */
static bool is_restored(const struct group *group)
{
	return group->has_override && group->override.domain == DOMAIN_AUTO;
}

const char *way_wanted_driver(const struct group *group, size_t i)
{
	if (is_restored(group))
		return NULL;
	return group->decision.target != DOMAIN_BLOCKED && i < group->decision.n_devices ?
		       group->decision.devices[i].driver :
		       NULL;
}

bool way_concerns_drivers(const struct group *group)
{
	for (size_t i = 0; i < group->n_devices; i++)
		if (way_wanted_driver(group, i))
			return true;
	return group->decision.target == DOMAIN_BLOCKED;
}

bool way_must_release(const struct group *group, const struct device *device)
{
	return is_restored(group) && device->given_driver;
}

enum driver_need way_driver_need(const struct group *group, size_t i)
{
	const struct device *device = group->devices[i];
	const char *wanted = way_wanted_driver(group, i);

	if (way_must_release(group, device))
		return DRIVER_CHANGE;
	if (!wanted || device->attributes.bridge || (device->driver && strcmp(device->driver, wanted) == 0))
		return DRIVER_FINE;
	if (sysfs_driver_exists(wanted))
		return DRIVER_CHANGE;
	/*
	 * Nothing is bound: the override can wait on the device for its driver to
	 * be loaded. The same where a device has just been plugged in: whether
	 * another driver was quicker than we were must not decide what it ends with.
	 */
	return (!device->driver || device->fresh) &&
			       (!device->given_driver || strcmp(device->given_driver, wanted) != 0) ?
		       DRIVER_CHANGE :
		       DRIVER_MISSING;
}

/* Where only the driver is to be another, it is the device's own rule that says when. */
static enum rebind device_rebind(const struct group *group, size_t i)
{
	const struct decision *decision = &group->decision;

	if (group->type == decision->target && !group->has_override && i < decision->n_devices &&
	    decision->devices[i].rule)
		return decision->devices[i].rule->rebind;
	return decision->rebind;
}

bool way_may_unbind(const struct group *group, size_t i, const struct way_options *options)
{
	enum rebind rebind = device_rebind(group, i);

	return options->rebind || rebind == REBIND_ALWAYS ||
	       (rebind == REBIND_HOTPLUG && group->devices[i]->fresh);
}

static char *describe_wait(const struct group *group, size_t i)
{
	const struct device *device = group->devices[i];
	const char *driver = device->driver;

	if (sysfs_driver_is_builtin(driver))
		return strf("waits for driver %s to let go of %s; it is built into the kernel and was there before "
			    "anything could act: rebind = always unbinds it where the device is not in use, DMA-FQ "
			    "instead of DMA needs no unbinding, the kernel parameters iommu.passthrough= and "
			    "iommu.strict= set the type for all at boot",
			    driver, device->address);
	return strf("waits for driver %s to let go of %s (%s)", driver, device->address,
		    device_rebind(group, i) == REBIND_NEVER ? "rebind = never" :
							     "rebind = hotplug, and it was not plugged in just now");
}

enum way way_choose(const struct group *group, const struct way_options *options, bool *ret_lacking, char **ret_reason)
{
	enum domain target = group->decision.target;
	size_t stuck = group->n_devices; /* none */
	bool change_driver = false, fresh = false, lacking = false, bound = false;
	bool change_type = target != group->type;

	*ret_reason = NULL;
	*ret_lacking = false;
	for (size_t i = 0; i < group->n_devices; i++) {
		const struct device *device = group->devices[i];
		enum driver_need need = way_driver_need(group, i);

		if (device->attributes.bridge)
			continue;
		if (need == DRIVER_MISSING && !lacking) {
			lacking = true;
			*ret_reason = strf("driver %s, which the rule wants for %s, is not loaded (modprobe %s)",
					   way_wanted_driver(group, i), device->address, way_wanted_driver(group, i));
		}
		change_driver |= need == DRIVER_CHANGE;
		fresh |= device->fresh;
		if (!device->driver || (!change_type && need != DRIVER_CHANGE))
			continue;
		bound = true;
		if (!way_may_unbind(group, i, options) && stuck == group->n_devices)
			stuck = i;
	}
	if (!change_type && !change_driver) {
		*ret_lacking = lacking;
		return WAY_NOTHING;
	}
	/* The live change is the kernel's own; it asks for nothing but the type to be DMA. */
	if (group->type == DOMAIN_DMA && target == DOMAIN_DMA_FQ && !change_driver && bound)
		return WAY_LIVE;
	if (stuck < group->n_devices) {
		free(*ret_reason);
		*ret_reason = describe_wait(group, stuck);
		return WAY_WAIT;
	}
	/* A device that was plugged in just now may be bound at any moment, so the fence comes first. */
	if (!bound && !fresh && !change_driver && group->type != DOMAIN_BLOCKED && target != DOMAIN_BLOCKED)
		return WAY_WRITE;
	return WAY_TRANSACTION;
}

/*
 * An Arm SMMU translates the interrupts that devices write, too. A driver has the
 * address for its own in the domain that the group had at the time
 * (iommu_dma_prepare_msi() in drivers/iommu/dma-iommu.c) and nobody renews it. A
 * bridge's driver stays bound through the change (driver_managed_dma), and from then on
 * writes to what that address is in the new domain: hotplug is not noticed any
 * more, and with identity whatever memory is there is written to.
 */
static bool loses_interrupts(const struct group *group)
{
	enum domain target = group->decision.target;

	if (target == group->type || (group->type == DOMAIN_DMA && target == DOMAIN_DMA_FQ))
		return false;
	for (size_t i = 0; i < group->n_devices; i++) {
		const struct device *device = group->devices[i];
		const char *iommu = device->attributes.iommu;

		if (device->attributes.bridge && device->driver && iommu && strncmp(iommu, "smmu", 4) == 0)
			return true;
	}
	return false;
}

const char *way_refusal(const struct group *group)
{
	if (loses_interrupts(group))
		return "a bridge in the group has a driver, whose interrupts an Arm SMMU would lose by any change but "
		       "that from DMA to DMA-FQ";
	if (group->decision.target != DOMAIN_BLOCKED)
		return NULL;
	for (size_t i = 0; i < group->n_devices; i++)
		if (!group->devices[i]->attributes.bridge)
			return NULL;
	return "the group has nothing but bridges, which cannot be blocked";
}
