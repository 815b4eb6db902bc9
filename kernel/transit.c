// SPDX-License-Identifier: GPL-2.0
/*
 * The two notifiers on the PCI bus, around the IOMMU core's own, which gives an
 * arriving device its group and takes it from one that goes.
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "bracket.h"
#include "claim.h"
#include "gate.h"
#include "hold.h"
#include "owner.h"
#include "transit.h"

/* The IOMMU core's is 0. */
#define PRIORITY_BEFORE 100
#define PRIORITY_AFTER -100

struct transit {
	struct list_head list;
	const struct device *dev; /* only compared: it cannot go before the later notifier has seen it */
	const struct iommu_group *group; /* only compared; NULL while it is coming */
	bool coming;
	bool releasing; /* the IOMMU core may be taking it out of its group */
};

static LIST_HEAD(transits);
static unsigned int generation = 1;

static struct transit *find(const struct device *dev)
{
	struct transit *transit;

	lockdep_assert_held(&policy_mutex);
	list_for_each_entry(transit, &transits, list)
		if (transit->dev == dev)
			return transit;
	return NULL;
}

bool transit_has_device(const struct device *dev)
{
	return find(dev);
}

bool transit_has_arrival(void)
{
	const struct transit *transit;

	lockdep_assert_held(&policy_mutex);
	list_for_each_entry(transit, &transits, list)
		if (transit->coming)
			return true;
	return false;
}

bool transit_has_any_of(const struct iommu_group *group)
{
	const struct transit *transit;

	lockdep_assert_held(&policy_mutex);
	list_for_each_entry(transit, &transits, list)
		if (transit->group == group)
			return true;
	return false;
}

bool transit_is_releasing(const struct iommu_group *group)
{
	const struct transit *transit;

	lockdep_assert_held(&policy_mutex);
	list_for_each_entry(transit, &transits, list)
		if (transit->group == group && transit->releasing)
			return true;
	return false;
}

static int is_settled(struct device *dev, void *data)
{
	return !transit_has_device(dev);
}

bool transit_has_settled_device(struct iommu_group *group)
{
	return group_for_each_pci(group, NULL, is_settled) > 0;
}

static void begin(struct device *dev, bool coming)
{
	/* Small enough that the kernel does not refuse it, and a device cannot be told to stay. */
	struct transit *transit = kzalloc(sizeof(*transit), GFP_KERNEL | __GFP_NOFAIL);

	transit->dev = dev;
	transit->coming = coming;
	transit->group = coming ? NULL : dev->iommu_group;
	list_add_tail(&transit->list, &transits);
}

unsigned int transit_generation(void)
{
	lockdep_assert_held(&policy_mutex);
	return generation;
}

static void end(const struct device *dev)
{
	struct transit *transit = find(dev);

	if (!++generation)
		generation = 1;
	/* Not there where the module was loaded in between. */
	if (transit) {
		list_del(&transit->list);
		kfree(transit);
	}
}

static struct policy_group *find_group(const struct device *dev)
{
	return dev->iommu_group ? group_find(dev->iommu_group) : NULL;
}

static void device_removed(struct device *dev)
{
	struct policy_group *g;
	struct transit *transit;

	mutex_lock(&policy_mutex);
	/* Two devices of one group, and the other is already being taken out. */
	while (find_group(dev) && transit_is_releasing(dev->iommu_group)) {
		mutex_unlock(&policy_mutex);
		msleep(TRANSIT_POLL_MS);
		mutex_lock(&policy_mutex);
	}
	g = find_group(dev);
	if (g && !transit_has_settled_device(g->group))
		group_die(g);
	transit = find(dev);
	if (transit)
		transit->releasing = true;
	mutex_unlock(&policy_mutex);
}

static int notify_before(struct notifier_block *nb, unsigned long action, void *data)
{
	struct device *dev = data;
	struct policy_group *g;

	switch (action) {
	case BUS_NOTIFY_ADD_DEVICE:
		mutex_lock(&policy_mutex);
		begin(dev, true);
		mutex_unlock(&policy_mutex);
		/* Whatever group it is for. */
		bracket_wait(NULL);
		break;
	case BUS_NOTIFY_DEL_DEVICE:
		mutex_lock(&policy_mutex);
		begin(dev, false);
		g = find_group(dev);
		if (g)
			hold_device_removed(g, dev);
		gate_device_removed(dev);
		mutex_unlock(&policy_mutex);
		if (dev->iommu_group)
			bracket_wait(dev->iommu_group);
		break;
	case BUS_NOTIFY_REMOVED_DEVICE:
		device_removed(dev);
		break;
	}
	return NOTIFY_DONE;
}

static void device_added(struct device *dev)
{
	struct policy_group *g;

	mutex_lock(&policy_mutex);
	end(dev);
	g = find_group(dev);
	if (g) {
		hold_device_added(g, dev);
		claim_device_added(g);
		group_trim(g);
	}
	gate_device_added(dev);
	mutex_unlock(&policy_mutex);
}

static int notify_after(struct notifier_block *nb, unsigned long action, void *data)
{
	struct device *dev = data;

	switch (action) {
	case BUS_NOTIFY_ADD_DEVICE:
		device_added(dev);
		break;
	case BUS_NOTIFY_REMOVED_DEVICE:
		mutex_lock(&policy_mutex);
		end(dev);
		mutex_unlock(&policy_mutex);
		break;
	case BUS_NOTIFY_BOUND_DRIVER:
	case BUS_NOTIFY_UNBOUND_DRIVER:
		owner_may_have_changed(dev);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block before = {
	.notifier_call = notify_before,
	.priority = PRIORITY_BEFORE,
};

static struct notifier_block after = {
	.notifier_call = notify_after,
	.priority = PRIORITY_AFTER,
};

int transit_init(void)
{
	/* The later one first: an end without a beginning is nothing, a beginning without an end is for good. */
	int r = bus_register_notifier(&pci_bus_type, &after);

	if (r)
		return r;
	r = bus_register_notifier(&pci_bus_type, &before);
	if (r) {
		bus_unregister_notifier(&pci_bus_type, &after);
		return r;
	}
	/*
	 * A removal that had begun without us would go unseen: let it end. Virtual
	 * functions that their driver takes away by itself are not under this lock.
	 */
	pci_lock_rescan_remove();
	pci_unlock_rescan_remove();
	return 0;
}

void transit_exit(void)
{
	struct transit *transit, *next;

	bus_unregister_notifier(&pci_bus_type, &before);
	bus_unregister_notifier(&pci_bus_type, &after);
	mutex_lock(&policy_mutex);
	list_for_each_entry_safe(transit, next, &transits, list) {
		list_del(&transit->list);
		kfree(transit);
	}
	mutex_unlock(&policy_mutex);
}
