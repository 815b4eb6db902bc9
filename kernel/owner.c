// SPDX-License-Identifier: GPL-2.0
/*
 * Who owns a group's DMA, and news of it.
 *
 * The kernel tells nobody when VFIO or iommufd takes a group or lets it go. But
 * both attach another domain then, which is a trace event of the IOMMU core's;
 * where that is there for modules, it is listened to. Drivers that bind and
 * unbind are the bus notifiers'.
 */
#include <linux/device.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "message.h"
#include "owner.h"

#ifdef HAVE_TRACE_ATTACH_DEVICE
#include <trace/events/iommu.h>
#endif

struct changed {
	struct list_head list;
	struct device *dev; /* with a reference */
};

static LIST_HEAD(changes);
static DEFINE_SPINLOCK(changes_lock);
static bool change_missed; /* there was no memory to note it */

static int read_domain(struct device *dev, void *data)
{
	const struct iommu_domain *domain = compat_domain_of(dev);
	enum iommu_policy_domain *ret = data;

	if (!domain)
		return 0;
	switch (domain->type) {
	case IOMMU_DOMAIN_BLOCKED:
		*ret = IOMMU_POLICY_DOMAIN_BLOCKED;
		break;
	case IOMMU_DOMAIN_IDENTITY:
		*ret = IOMMU_POLICY_DOMAIN_IDENTITY;
		break;
	case IOMMU_DOMAIN_DMA:
		*ret = IOMMU_POLICY_DOMAIN_DMA;
		break;
	case IOMMU_DOMAIN_DMA_FQ:
		*ret = IOMMU_POLICY_DOMAIN_DMA_FQ;
		break;
	case IOMMU_DOMAIN_UNMANAGED:
		*ret = IOMMU_POLICY_DOMAIN_UNMANAGED;
		break;
	default:
		*ret = IOMMU_POLICY_DOMAIN_OTHER;
	}
	return 1;
}

static bool is_default(enum iommu_policy_domain domain)
{
	return domain == IOMMU_POLICY_DOMAIN_IDENTITY || domain == IOMMU_POLICY_DOMAIN_DMA ||
	       domain == IOMMU_POLICY_DOMAIN_DMA_FQ;
}

void owner_read(const struct policy_group *g, struct iommu_group *group, struct owner_state *ret)
{
	lockdep_assert_held(&policy_mutex);
	ret->domain = IOMMU_POLICY_DOMAIN_NONE;
	iommu_group_for_each_dev(group, &ret->domain, read_domain);
	/* "Claimed" it is for the kernel by a driver of its own, too. */
	if (g && g->claimed)
		ret->owner = IOMMU_POLICY_OWNER_POLICY;
	else if (!iommu_group_dma_owner_claimed(group))
		ret->owner = IOMMU_POLICY_OWNER_NONE;
	else if (is_default(ret->domain) || ret->domain == IOMMU_POLICY_DOMAIN_NONE)
		ret->owner = IOMMU_POLICY_OWNER_KERNEL;
	else
		ret->owner = IOMMU_POLICY_OWNER_USER;
}

static void tell_change(struct device *dev, int *last)
{
	struct owner_state state;
	struct iommu_group *group;

	mutex_lock(&policy_mutex);
	group = policy_stopping ? NULL : group_of_device(dev);
	/* A change attaches each device of the group. */
	if (group && iommu_group_id(group) != *last) {
		*last = iommu_group_id(group);
		owner_read(group_find(group), group, &state);
		message_event_owner(*last, state.owner);
	}
	iommu_group_put(group);
	mutex_unlock(&policy_mutex);
}

static void tell_changes(struct work_struct *work)
{
	struct changed *change, *next;
	unsigned long flags;
	LIST_HEAD(mine);
	int last = -1;
	bool missed;

	spin_lock_irqsave(&changes_lock, flags);
	list_splice_init(&changes, &mine);
	missed = change_missed;
	change_missed = false;
	spin_unlock_irqrestore(&changes_lock, flags);

	list_for_each_entry_safe(change, next, &mine, list) {
		tell_change(change->dev, &last);
		put_device(change->dev);
		kfree(change);
	}
	mutex_lock(&policy_mutex);
	if (missed && !policy_stopping)
		message_event_owner(-1, -1);
	mutex_unlock(&policy_mutex);
}

static DECLARE_WORK(work, tell_changes);

void owner_may_have_changed(struct device *dev)
{
	struct changed *change = kmalloc(sizeof(*change), GFP_ATOMIC | __GFP_NOWARN);
	unsigned long flags;

	if (change)
		change->dev = get_device(dev);
	spin_lock_irqsave(&changes_lock, flags);
	if (change)
		list_add_tail(&change->list, &changes);
	else
		change_missed = true;
	spin_unlock_irqrestore(&changes_lock, flags);
	queue_work(compat_unbound_wq, &work);
}

#ifdef HAVE_TRACE_ATTACH_DEVICE

/* The group's mutex is held here, and what it guards is not as it will be yet. */
static void on_attach(void *data, struct device *dev)
{
	if (dev_is_pci(dev))
		owner_may_have_changed(dev);
}

int owner_init(void)
{
	return register_trace_attach_device_to_domain(on_attach, NULL);
}

static void stop_listening(void)
{
	unregister_trace_attach_device_to_domain(on_attach, NULL);
	tracepoint_synchronize_unregister();
}

#else

int owner_init(void)
{
	return 0;
}

static void stop_listening(void)
{
}

#endif

/* After the bus notifiers have gone. */
void owner_exit(void)
{
	stop_listening();
	flush_work(&work);
}
