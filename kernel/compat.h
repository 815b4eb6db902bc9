/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOMMU_POLICY_COMPAT_H
#define IOMMU_POLICY_COMPAT_H

/* All that differs between kernels; Kbuild finds out what there is. */

#include <linux/iommu.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>

/* Who may listen; before that came, everybody in the initial network namespace. */
#ifdef GENL_MCAST_CAP_SYS_ADMIN
#define COMPAT_MCAST_SYS_ADMIN .flags = GENL_MCAST_CAP_SYS_ADMIN
#else
#define COMPAT_MCAST_SYS_ADMIN
#endif

/* The new name, without which 7.2 warns. */
#ifdef HAVE_SYSTEM_DFL_WQ
#define compat_unbound_wq system_dfl_wq
#else
#define compat_unbound_wq system_unbound_wq
#endif

/* To be called from within iommu_group_for_each_dev(), which has the group's mutex. */
static inline struct iommu_domain *compat_domain_of(struct device *dev)
{
#ifdef HAVE_IOMMU_DRIVER_GET_DOMAIN
	/* Here iommu_get_domain_for_dev() asserts that the mutex is not held. */
	return iommu_driver_get_domain_for_dev(dev);
#else
	return iommu_get_domain_for_dev(dev);
#endif
}

#endif
