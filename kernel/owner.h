/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOMMU_POLICY_OWNER_H
#define IOMMU_POLICY_OWNER_H

#include "group.h"

struct owner_state {
	enum iommu_policy_owner owner;
	enum iommu_policy_domain domain;
};

/* Reads who owns GROUP's DMA. G is what is known of it here, or NULL. With policy_mutex held. */
void owner_read(const struct policy_group *g, struct iommu_group *group, struct owner_state *ret);

/* Has EVENT_OWNER sent for DEV's group, soon. From any context. */
void owner_may_have_changed(struct device *dev);

int owner_init(void);
void owner_exit(void);

#endif
