// SPDX-License-Identifier: GPL-2.0
/*
 * Groups with which something is done.
 *
 * Locks, outer first:
 *
 *	device_lock(dev)	of a PCI device
 *	policy_mutex		all that the module keeps
 *	the IOMMU group's mutex, the driver core's device links lock
 *
 * Under policy_mutex nothing waits for a device, a driver or userspace. In
 * particular no PCI device's lock is taken there, and no probe is run. It is taken
 * in the bus notifiers, and those run under whatever the driver core and the
 * PCI core hold: the remove and rescan lock, the lock of a PF that makes its
 * VFs, a parent's lock.
 *
 * A netlink command runs under the generic netlink locks, which a probe may want
 * in turn (by loading a module with a netlink family). So commands that need a
 * device lock, or may run a probe, are requests: done by one work item a group,
 * in their order, on an unbound workqueue, so that one driver that hangs
 * delays its own group and no other.
 *
 * The life of a struct policy_group
 *
 * It is made by the first command on a group and holds a reference to the
 * IOMMU group. Group numbers are used again, so it is found by the IOMMU
 * group's address, which the reference keeps from being used again. It goes
 * when nothing is left on it: no hold, bracket, claim, request, work.
 *
 * A reference to an IOMMU group does not keep its devices. Once the last one
 * has gone, the group must not be claimed (an oops on 6.12), nor may it be
 * claimed while that goes (a warning). Hence two notifiers on the PCI bus, one
 * before the IOMMU core's and one after (transit.c): from ADD or DEL until the
 * later one has seen the end of it, a device is in transit; an object is made,
 * and a claim, only for a group with a device that is not; and when the first notifier
 * sees the last such device go, group_die() ends everything and gives the
 * reference back. The object may then live on for requests that are
 * queued: they find no group and fail with -ENODEV.
 */
#include <linux/pci.h>
#include <linux/slab.h>

#include "bracket.h"
#include "claim.h"
#include "group.h"
#include "hold.h"
#include "message.h"
#include "transit.h"

DEFINE_MUTEX(policy_mutex);
LIST_HEAD(policy_groups);
bool policy_stopping;
struct workqueue_struct *policy_wq;

/* What callers may have queued, all together. */
#define REQUESTS_MAX 1024
static unsigned int n_requests;

struct iommu_group *group_of_device(struct device *dev)
{
	lockdep_assert_held(&policy_mutex);
	return transit_has_device(dev) ? NULL : iommu_group_get(dev);
}

struct iommu_group *group_by_id(int id)
{
	struct pci_dev *pdev = NULL;

	/* Not iommu_group_get_by_id(): later kernels do not export it. */
	for_each_pci_dev(pdev) {
		struct iommu_group *group = group_of_device(&pdev->dev);

		if (group && iommu_group_id(group) == id) {
			pci_dev_put(pdev);
			return group;
		}
		iommu_group_put(group);
	}
	return NULL;
}

struct iommu_group *group_by_address(const char *address)
{
	struct device *dev = bus_find_device_by_name(&pci_bus_type, NULL, address);
	struct iommu_group *group = dev ? group_of_device(dev) : NULL;

	put_device(dev);
	return group;
}

struct pci_only {
	void *data;
	int (*fn)(struct device *dev, void *data);
};

static int call_if_pci(struct device *dev, void *data)
{
	const struct pci_only *pci = data;

	return dev_is_pci(dev) ? pci->fn(dev, pci->data) : 0;
}

int group_for_each_pci(struct iommu_group *group, void *data, int (*fn)(struct device *dev, void *data))
{
	struct pci_only pci = { data, fn };

	return iommu_group_for_each_dev(group, &pci, call_if_pci);
}

struct policy_group *group_find(const struct iommu_group *group)
{
	struct policy_group *g;

	lockdep_assert_held(&policy_mutex);
	list_for_each_entry(g, &policy_groups, list)
		if (g->group == group)
			return g;
	return NULL;
}

struct policy_group *group_find_by_id(int id)
{
	struct policy_group *g;

	lockdep_assert_held(&policy_mutex);
	list_for_each_entry(g, &policy_groups, list)
		if (g->group && g->id == id)
			return g;
	return NULL;
}

static void do_request(struct policy_group *g, const struct request *request, struct result *result)
{
	/* Each tests policy_stopping where it begins something. */
	switch (request->command) {
	case IOMMU_POLICY_CMD_HOLD:
		hold_begin(g, request, result);
		break;
	case IOMMU_POLICY_CMD_RELEASE:
		hold_end(g, request, result);
		break;
	case IOMMU_POLICY_CMD_CLAIM:
		claim_begin(g, request, result);
		break;
	case IOMMU_POLICY_CMD_UNCLAIM:
		claim_end(g, request, result);
		break;
	}
}

static void group_work(struct work_struct *work)
{
	struct policy_group *g = container_of(work, struct policy_group, work);

	mutex_lock(&policy_mutex);
	while (!list_empty(&g->requests)) {
		struct request *request = list_first_entry(&g->requests, struct request, list);
		struct result result = { .owner = -1 };

		list_del(&request->list);
		g->current_request = request;
		mutex_unlock(&policy_mutex);

		do_request(g, request, &result);
		if (!request->silent)
			message_done(request, &result);

		mutex_lock(&policy_mutex);
		g->current_request = NULL;
		request_free(request);
	}
	g->working = false;
	group_trim(g);
	mutex_unlock(&policy_mutex);
}

struct policy_group *group_get(struct iommu_group *group, int *error)
{
	struct policy_group *g = group_find(group);

	if (policy_stopping) {
		*error = -ESHUTDOWN;
		return NULL;
	}
	if (g)
		return g;
	if (!transit_has_settled_device(group)) {
		*error = -ENODEV;
		return NULL;
	}
	g = kzalloc(sizeof(*g), GFP_KERNEL);
	if (!g) {
		*error = -ENOMEM;
		return NULL;
	}
	g->group = iommu_group_ref_get(group);
	g->id = iommu_group_id(group);
	INIT_LIST_HEAD(&g->requests);
	INIT_LIST_HEAD(&g->held);
	INIT_WORK(&g->work, group_work);
	list_add_tail(&g->list, &policy_groups);
	return g;
}

void group_trim(struct policy_group *g)
{
	lockdep_assert_held(&policy_mutex);
	if (g->hold.portid || g->bracket.portid || g->claimed || g->working)
		return;
	list_del(&g->list);
	iommu_group_put(g->group);
	kfree(g);
}

void group_die(struct policy_group *g)
{
	lockdep_assert_held(&policy_mutex);
	group_cancel(g, 0);
	hold_drop(g);
	bracket_drop(g);
	claim_drop(g);
	iommu_group_put(g->group);
	g->group = NULL;
	group_trim(g);
}

struct request *request_new(const struct request *what)
{
	struct request *request;

	lockdep_assert_held(&policy_mutex);
	if (n_requests >= REQUESTS_MAX)
		return NULL;
	request = kmemdup(what, sizeof(*what), GFP_KERNEL_ACCOUNT);
	if (request)
		n_requests++;
	return request;
}

void request_free(struct request *request)
{
	lockdep_assert_held(&policy_mutex);
	if (!request->silent)
		n_requests--;
	kfree(request);
}

void group_queue(struct policy_group *g, struct request *request)
{
	lockdep_assert_held(&policy_mutex);
	list_add_tail(&request->list, &g->requests);
	if (!g->working) {
		g->working = true;
		queue_work(policy_wq, &g->work);
	}
}

static void queue_own(struct policy_group *g, u8 command, u32 portid)
{
	/* Small enough that the kernel does not refuse it; and the end of a hold is no option. */
	struct request *request = kzalloc(sizeof(*request), GFP_KERNEL | __GFP_NOFAIL);

	request->command = command;
	request->holder.portid = portid;
	request->flags = IOMMU_POLICY_F_PROBE;
	request->group = -1;
	request->silent = true;
	group_queue(g, request);
}

static void cancel(struct request *request, u32 portid)
{
	if (request->command == IOMMU_POLICY_CMD_HOLD && (!portid || request->holder.portid == portid))
		WRITE_ONCE(request->cancelled, true);
}

void group_queue_unclaim(struct policy_group *g)
{
	queue_own(g, IOMMU_POLICY_CMD_UNCLAIM, g->claim.portid);
}

void group_cancel(struct policy_group *g, u32 portid)
{
	struct request *request;

	lockdep_assert_held(&policy_mutex);
	if (g->current_request)
		cancel(g->current_request, portid);
	list_for_each_entry(request, &g->requests, list)
		cancel(request, portid);
}

static bool has_request_of(const struct policy_group *g, u32 portid)
{
	return g->current_request && holder_is(&g->current_request->holder, portid);
}

static void drop_requests_of(struct policy_group *g, u32 portid)
{
	struct request *request, *next;

	list_for_each_entry_safe(request, next, &g->requests, list)
		if (!request->silent && request->holder.portid == portid) {
			list_del(&request->list);
			request_free(request);
		}
}

void group_end_socket(u32 portid)
{
	struct policy_group *g, *next;

	lockdep_assert_held(&policy_mutex);
	/* All of it ends already, and the workqueue takes nothing new. */
	if (policy_stopping)
		return;
	list_for_each_entry_safe(g, next, &policy_groups, list) {
		bool begins = has_request_of(g, portid);

		drop_requests_of(g, portid);
		group_cancel(g, portid);
		if (holder_is(&g->bracket, portid))
			bracket_drop(g);
		/* What is just beginning is ended right after. */
		if (holder_is(&g->hold, portid) || begins)
			queue_own(g, IOMMU_POLICY_CMD_RELEASE, portid);
		if (holder_is(&g->claim, portid) || begins)
			queue_own(g, IOMMU_POLICY_CMD_UNCLAIM, portid);
		group_trim(g);
	}
}

void group_end_all(void)
{
	struct policy_group *g, *next;

	lockdep_assert_held(&policy_mutex);
	list_for_each_entry_safe(g, next, &policy_groups, list) {
		bracket_drop(g);
		group_cancel(g, 0);
		if (g->claimed)
			group_queue_unclaim(g);
		if (g->hold.portid)
			queue_own(g, IOMMU_POLICY_CMD_RELEASE, g->hold.portid);
		group_trim(g);
	}
}
