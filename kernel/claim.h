/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOMMU_POLICY_CLAIM_H
#define IOMMU_POLICY_CLAIM_H

#include "group.h"

/* From the group's work item, without policy_mutex. */
void claim_begin(struct policy_group *g, const struct request *request, struct result *result);
void claim_end(struct policy_group *g, const struct request *request, struct result *result);

/* With policy_mutex held. */

/* Gives the DMA back, if it is claimed; nothing is probed. */
void claim_drop(struct policy_group *g);
/* A device has joined the group: the claim ends if that one must not be blocked. */
void claim_device_added(struct policy_group *g);

#endif
