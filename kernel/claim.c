// SPDX-License-Identifier: GPL-2.0
/*
 * Claims: quarantine by the kernel's DMA ownership, which VFIO uses too. The
 * devices are attached to a domain that maps nothing, and neither a driver nor
 * a user gets the group until it is given back.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/slab.h>

#include "claim.h"
#include "fence.h"
#include "message.h"
#include "owner.h"
#include "transit.h"

/* 1, 0 or a negative errno. Kernels before 6.6 do not look themselves. */
static int requires_direct(struct iommu_group *group)
{
	struct iommu_resv_region *region, *next;
	LIST_HEAD(regions);
	int r = iommu_get_group_resv_regions(group, &regions);

	list_for_each_entry_safe(region, next, &regions, list) {
		if (!r && region->type == IOMMU_RESV_DIRECT)
			r = 1;
		list_del(&region->list);
		kfree(region);
	}
	return r;
}

static int describe_refusal(struct policy_group *g, int r, struct result *result)
{
	struct owner_state state;

	if (r != -EPERM && r != -EBUSY)
		return r;
	owner_read(g, g->group, &state);
	result->owner = state.owner;
	if (state.owner == IOMMU_POLICY_OWNER_USER)
		return -EUSERS;
	/* Whoever it was has let go in this moment. */
	return state.owner == IOMMU_POLICY_OWNER_NONE ? -EAGAIN : -EBUSY;
}

static int begin(struct policy_group *g, const struct request *request, struct result *result)
{
	const struct holder *others[] = { &g->claim, &g->hold, &g->bracket };
	size_t i;
	int r;

	if (policy_stopping)
		return -ECANCELED;
	if (!g->group)
		return -ENODEV;
	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (others[i]->portid && others[i]->portid != request->holder.portid) {
			result->holder = *others[i];
			return -EBUSY;
		}
	/* The type is being written. */
	if (g->bracket.portid) {
		result->holder = g->bracket;
		return -EBUSY;
	}
	if (!g->claimed) {
		if (transit_has_arrival() || transit_has_any_of(g->group))
			return -EAGAIN;
		r = requires_direct(g->group);
		if (r)
			return r < 0 ? r : -EOPNOTSUPP;
		r = iommu_group_claim_dma_owner(g->group, g);
		if (r)
			return describe_refusal(g, r, result);
		g->claimed = true;
		message_event_group(IOMMU_POLICY_EVENT_CLAIMED, g->id);
	}
	g->claim = request->holder;
	if (request->flags & IOMMU_POLICY_F_PERSISTENT)
		g->claim.portid = 0;
	return 0;
}

void claim_begin(struct policy_group *g, const struct request *request, struct result *result)
{
	mutex_lock(&policy_mutex);
	result->error = begin(g, request, result);
	mutex_unlock(&policy_mutex);
}

struct unbound_device {
	struct list_head list;
	struct device *dev;
};

static int list_unbound(struct device *dev, void *data)
{
	struct list_head *devices = data;
	struct unbound_device *unbound;

	if (dev->driver || !fence_applies(dev))
		return 0;
	unbound = kmalloc(sizeof(*unbound), GFP_KERNEL);
	if (!unbound)
		return -ENOMEM;
	unbound->dev = get_device(dev);
	list_add_tail(&unbound->list, devices);
	return 0;
}

static void probe_devices(struct list_head *devices)
{
	struct unbound_device *unbound, *next;

	list_for_each_entry_safe(unbound, next, devices, list) {
		fence_attach(unbound->dev);
		list_del(&unbound->list);
		put_device(unbound->dev);
		kfree(unbound);
	}
}

static int check_end(const struct policy_group *g, const struct request *request, struct result *result)
{
	if (!g->group)
		return -ENODEV;
	if (!g->claimed)
		return -ENOENT;
	/* What a socket leaves behind is what it has; a caller may also end what is nobody's. */
	if (g->claim.portid == request->holder.portid || policy_stopping ||
	    (!g->claim.portid && !request->silent))
		return 0;
	result->holder = g->claim;
	return -EBUSY;
}

void claim_end(struct policy_group *g, const struct request *request, struct result *result)
{
	LIST_HEAD(devices);

	mutex_lock(&policy_mutex);
	while (g->group && transit_is_releasing(g->group)) {
		mutex_unlock(&policy_mutex);
		msleep(TRANSIT_POLL_MS);
		mutex_lock(&policy_mutex);
	}
	result->error = check_end(g, request, result);
	if (!result->error) {
		if (request->flags & IOMMU_POLICY_F_PROBE &&
		    group_for_each_pci(g->group, &devices, list_unbound))
			pr_warn("group %d: no memory to have all of its devices probed\n", g->id);
		claim_drop(g);
	}
	mutex_unlock(&policy_mutex);
	/* Not those alone that a driver has asked for: the kernel keeps no account of these. */
	probe_devices(&devices);
}

void claim_drop(struct policy_group *g)
{
	lockdep_assert_held(&policy_mutex);
	if (!g->claimed)
		return;
	iommu_group_release_dma_owner(g->group);
	g->claimed = false;
	g->claim = (struct holder){};
	message_event_group(IOMMU_POLICY_EVENT_UNCLAIMED, g->id);
}

/*
 * Few kernels come here. 6.12 gives such a device no group at all; 6.1 with VT-d
 * crashes in the attempt, before it is known here which group the device is for.
 */
void claim_device_added(struct policy_group *g)
{
	lockdep_assert_held(&policy_mutex);
	if (!g->claimed || policy_stopping || requires_direct(g->group) <= 0)
		return;
	pr_warn("group %d: a device has come that the firmware uses by DMA; it is claimed no more\n", g->id);
	group_queue_unclaim(g);
}
