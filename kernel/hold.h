/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOMMU_POLICY_HOLD_H
#define IOMMU_POLICY_HOLD_H

#include "group.h"

/* From the group's work item, without policy_mutex. */
void hold_begin(struct policy_group *g, const struct request *request, struct result *result);
void hold_end(struct policy_group *g, const struct request *request, struct result *result);

/* The others with policy_mutex held. */

/* The group has gone, and the hold with it; there is nothing to be probed. */
void hold_drop(struct policy_group *g);
/* A device has joined the group, and nobody can have probed it yet. */
void hold_device_added(struct policy_group *g, struct device *dev);
void hold_device_removed(struct policy_group *g, struct device *dev);
bool hold_has_device(const struct policy_group *g, const struct device *dev);

#endif
