/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOMMU_POLICY_FENCE_H
#define IOMMU_POLICY_FENCE_H

#include <linux/device.h>
#include <linux/pci.h>

/*
 * A fence is a device without bus and driver. A managed device link to it makes
 * the driver core put off each probe of the consumer with -EPROBE_DEFER, before
 * anything of its DMA is set up (device_links_check_suppliers() in
 * drivers/base/core.c): the supplier never has a driver.
 *
 * A managed link goes only with one of its ends, so what is released one by
 * one needs a fence each. Never bind a fence: unregistering a bound supplier
 * unbinds its consumers.
 */
struct device *fence_create(const char *kind);
void fence_destroy(struct device *fence);

/*
 * Puts DEV, which is no bridge, behind FENCE; what is bound stays bound. A
 * device that can be probed already must be locked. 0 or -ENOMEM.
 */
int fence_add(struct device *fence, struct device *dev);

/*
 * Offers DEV to the drivers, if it has none and is not about to lose one. Runs
 * their probe: only from a workqueue, with no lock held.
 */
void fence_attach(struct device *dev);

/*
 * Has the driver core offer again what it has put off: the devices that a
 * driver asked for while they were fenced. Nothing else tells which those are.
 */
void fence_kick(void);

/* Locks DEV unless *@stop gets true meanwhile. */
bool fence_lock_device(struct device *dev, const bool *stop);

static inline bool fence_applies(struct device *dev)
{
	return dev_is_pci(dev) && !pci_is_bridge(to_pci_dev(dev));
}

int fence_init(void);
void fence_exit(void);

#endif
