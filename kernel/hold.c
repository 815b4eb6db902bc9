// SPDX-License-Identifier: GPL-2.0
/*
 * Holds: one fence a group, and all devices of the group behind it.
 *
 * A hold is built up device by device, since each device's lock has to be
 * waited for; hold.portid is set before the first, so that a device that joins
 * meanwhile is fenced by the notifier, and DONE is sent after the last.
 */
#include <linux/slab.h>

#include "bracket.h"
#include "fence.h"
#include "hold.h"
#include "message.h"
#include "transit.h"

static struct held_device *find_device(const struct policy_group *g, const struct device *dev)
{
	struct held_device *held;

	list_for_each_entry(held, &g->held, list)
		if (held->dev == dev)
			return held;
	return NULL;
}

static struct held_device *add_device(struct policy_group *g, struct device *dev)
{
	struct held_device *held = kzalloc(sizeof(*held), GFP_KERNEL);

	if (!held)
		return NULL;
	held->dev = get_device(dev);
	list_add_tail(&held->list, &g->held);
	return held;
}

static void free_device(struct held_device *held)
{
	list_del(&held->list);
	put_device(held->dev);
	kfree(held);
}

static void free_devices(struct list_head *devices)
{
	struct held_device *held, *next;

	list_for_each_entry_safe(held, next, devices, list)
		free_device(held);
}

static int list_device(struct device *dev, void *data)
{
	/* One that is just coming is the later notifier's, one that is going nobody's any more. */
	if (!fence_applies(dev) || transit_has_device(dev))
		return 0;
	return add_device(data, dev) ? 0 : -ENOMEM;
}

static int check(const struct policy_group *g, const struct request *request, struct result *result)
{
	const struct holder *others[] = { &g->hold, &g->bracket, &g->claim };
	size_t i;

	if (policy_stopping || request->cancelled)
		return -ECANCELED;
	if (!g->group)
		return -ENODEV;
	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (others[i]->portid && others[i]->portid != request->holder.portid) {
			result->holder = *others[i];
			return -EBUSY;
		}
	return 0;
}

/* Takes the hold apart; the devices that were in it go to DEVICES. */
static void take_apart(struct policy_group *g, struct list_head *devices)
{
	list_splice_init(&g->held, devices);
	if (g->fence)
		fence_destroy(g->fence);
	g->fence = NULL;
	g->hold = (struct holder){};
	if (g->hold_told)
		message_event_group(IOMMU_POLICY_EVENT_RELEASED, g->id);
	g->hold_told = false;
}

static int start(struct policy_group *g, const struct request *request)
{
	LIST_HEAD(devices);
	struct device *fence = fence_create("hold");
	int r;

	if (IS_ERR(fence))
		return PTR_ERR(fence);
	g->fence = fence;
	g->hold = request->holder;
	r = group_for_each_pci(g->group, g, list_device);
	if (r) {
		take_apart(g, &devices);
		free_devices(&devices);
	}
	return r;
}

/* A reference to the next device that is not behind the fence yet, or NULL. */
static struct device *next_device(struct policy_group *g, u32 portid)
{
	struct held_device *held;

	if (holder_is(&g->hold, portid))
		list_for_each_entry(held, &g->held, list)
			if (!held->fenced)
				return get_device(held->dev);
	return NULL;
}

static int fence_device(struct policy_group *g, struct device *dev, const struct request *request)
{
	u32 portid = request->holder.portid;
	struct held_device *held;
	int r = 0;

	if (!fence_lock_device(dev, &request->cancelled))
		return -ECANCELED;
	mutex_lock(&policy_mutex);
	/* It, the hold or the group may have gone meanwhile. */
	held = holder_is(&g->hold, portid) ? find_device(g, dev) : NULL;
	if (held) {
		r = fence_add(g->fence, dev);
		held->fenced = true;
		held->was_bound = dev->driver;
	}
	mutex_unlock(&policy_mutex);
	device_unlock(dev);
	return r;
}

static void probe_devices(struct list_head *devices)
{
	struct held_device *held;

	list_for_each_entry(held, devices, list)
		if (held->arrived || held->was_bound)
			fence_attach(held->dev);
	fence_kick();
}

static int fence_devices(struct policy_group *g, const struct request *request)
{
	struct device *dev;
	int r = 0;

	do {
		mutex_lock(&policy_mutex);
		dev = next_device(g, request->holder.portid);
		mutex_unlock(&policy_mutex);
		if (dev) {
			r = fence_device(g, dev, request);
			put_device(dev);
		}
	} while (dev && !r);
	return r;
}

void hold_begin(struct policy_group *g, const struct request *request, struct result *result)
{
	u32 portid = request->holder.portid;
	LIST_HEAD(devices);
	bool has_it;

	mutex_lock(&policy_mutex);
	result->error = check(g, request, result);
	has_it = holder_is(&g->hold, portid);
	if (!result->error && !has_it)
		result->error = start(g, request);
	mutex_unlock(&policy_mutex);
	if (result->error || has_it)
		return;

	result->error = fence_devices(g, request);

	mutex_lock(&policy_mutex);
	if (!g->group)
		result->error = -ENODEV;
	else if (!result->error && request->cancelled)
		result->error = -ECANCELED;
	if (result->error && holder_is(&g->hold, portid))
		take_apart(g, &devices);
	if (!result->error) {
		g->hold_told = true;
		message_event_group(IOMMU_POLICY_EVENT_HELD, g->id);
	}
	mutex_unlock(&policy_mutex);

	/* Whatever was refused while half of it was up. */
	if (!list_empty(&devices))
		probe_devices(&devices);
	free_devices(&devices);
}

void hold_end(struct policy_group *g, const struct request *request, struct result *result)
{
	LIST_HEAD(devices);

	mutex_lock(&policy_mutex);
	if (!g->group) {
		result->error = -ENODEV;
	} else if (!holder_is(&g->hold, request->holder.portid)) {
		result->error = -ENOENT;
	} else {
		take_apart(g, &devices);
	}
	mutex_unlock(&policy_mutex);

	if (!result->error && request->flags & IOMMU_POLICY_F_PROBE)
		probe_devices(&devices);
	free_devices(&devices);
}

void hold_drop(struct policy_group *g)
{
	LIST_HEAD(devices);

	if (!g->hold.portid)
		return;
	take_apart(g, &devices);
	free_devices(&devices);
}

void hold_device_added(struct policy_group *g, struct device *dev)
{
	struct held_device *held;

	if (!g->hold.portid || !fence_applies(dev))
		return;
	held = add_device(g, dev);
	if (!held || fence_add(g->fence, dev)) {
		dev_warn(dev, "could not be held with its group\n");
		return;
	}
	held->fenced = true;
	held->arrived = true;
}

void hold_device_removed(struct policy_group *g, struct device *dev)
{
	struct held_device *held = find_device(g, dev);

	if (held)
		free_device(held);
}

bool hold_has_device(const struct policy_group *g, const struct device *dev)
{
	const struct held_device *held = find_device(g, dev);

	return held && held->fenced;
}
