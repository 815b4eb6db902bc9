// SPDX-License-Identifier: GPL-2.0
/*
 * Locks IOMMU groups against driver binding, holds hot-plugged PCI devices until
 * their policy has been applied, and owns the DMA of quarantined groups, for
 * iommu-policyd. The interface is <linux/iommu_policy.h>; group.c tells the
 * order of the locks and how long things live.
 */
#include <linux/module.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>

#include "fence.h"
#include "gate.h"
#include "group.h"
#include "netlink.h"
#include "owner.h"
#include "transit.h"

static int __init policy_init(void)
{
	int r;

	/* Unbound: a probe or a wait for one takes its time and shall not hold up others. */
	policy_wq = alloc_workqueue("iommu_policy", WQ_UNBOUND, 0);
	if (!policy_wq)
		return -ENOMEM;
	r = fence_init();
	if (r)
		goto free_workqueue;
	r = owner_init();
	if (r)
		goto exit_fence;
	r = transit_init();
	if (r)
		goto exit_owner;
	r = netlink_init();
	if (r)
		goto exit_transit;
	return 0;

exit_transit:
	mutex_lock(&policy_mutex);
	policy_stopping = true;
	mutex_unlock(&policy_mutex);
	transit_exit();
exit_owner:
	owner_exit();
exit_fence:
	fence_exit();
free_workqueue:
	destroy_workqueue(policy_wq);
	return r;
}

static void __exit policy_exit(void)
{
	/* The notifiers stay until nothing is held or claimed: they are what keeps that safe. */
	mutex_lock(&policy_mutex);
	policy_stopping = true;
	gate_end();
	group_end_all();
	mutex_unlock(&policy_mutex);
	drain_workqueue(policy_wq);

	netlink_exit();
	transit_exit();
	owner_exit();
	destroy_workqueue(policy_wq);
	fence_exit();
}

module_init(policy_init);
module_exit(policy_exit);

MODULE_DESCRIPTION("Fences, hotplug gate and DMA quarantine for IOMMU groups");
MODULE_LICENSE("GPL");
MODULE_VERSION("1");
MODULE_ALIAS_GENL_FAMILY(IOMMU_POLICY_GENL_NAME);
