/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOMMU_POLICY_TRANSIT_H
#define IOMMU_POLICY_TRANSIT_H

#include "group.h"

/* Devices that are just coming or going; see group.c. All but init and exit with policy_mutex held. */

bool transit_has_device(const struct device *dev);
/* Whether a device is just coming; the group that it will join is not known yet. */
bool transit_has_arrival(void);
/* Whether a device of GROUP is just going. */
bool transit_has_any_of(const struct iommu_group *group);
/*
 * Whether the IOMMU core may be taking a device out of GROUP. On 6.1 it does so
 * without the group's mutex, and attaching a domain then meets freed memory.
 */
#define TRANSIT_POLL_MS 5
bool transit_is_releasing(const struct iommu_group *group);
/* Whether GROUP has a PCI device that is neither coming nor going. */
bool transit_has_settled_device(struct iommu_group *group);

/* Another one whenever a device has come or gone; never 0. */
unsigned int transit_generation(void);

int transit_init(void);
void transit_exit(void);

#endif
