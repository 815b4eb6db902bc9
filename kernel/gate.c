// SPDX-License-Identifier: GPL-2.0
/*
 * The gate: each PCI device that appears gets a fence of its own before anything
 * can probe it, for userspace to have its group's type right first.
 *
 * A device is held as long as it is in the list. Whoever takes it out opens it:
 * a release, the time-out, the end of the gate, its own removal.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/slab.h>

#include "fence.h"
#include "gate.h"
#include "message.h"

struct gated {
	struct list_head list; /* devices, while it is held */
	struct kref ref; /* the list's or the opening work's, and the timer's */
	struct device *dev; /* with a reference */
	struct device *fence;
	struct delayed_work timeout;
	struct work_struct open;
	struct request *request; /* what it is opened for, NULL for no request */
	bool probe;
	bool keep_shut; /* as the gate was armed when it came */
};

static struct gate_state gate;
static LIST_HEAD(devices);

static void gated_free(struct kref *ref)
{
	struct gated *gated = container_of(ref, struct gated, ref);

	put_device(gated->dev);
	kfree(gated);
}

static struct gated *find(const struct device *dev)
{
	struct gated *gated;

	lockdep_assert_held(&policy_mutex);
	list_for_each_entry(gated, &devices, list)
		if (gated->dev == dev)
			return gated;
	return NULL;
}

static void open_work(struct work_struct *work)
{
	struct gated *gated = container_of(work, struct gated, open);
	struct result result = { .owner = -1 };

	if (gated->probe) {
		fence_attach(gated->dev);
		fence_kick();
	}
	if (gated->request) {
		message_done(gated->request, &result);
		mutex_lock(&policy_mutex);
		request_free(gated->request);
		mutex_unlock(&policy_mutex);
	}
	kref_put(&gated->ref, gated_free);
}

/* Takes it out of the gate; what needs no lock is the workqueue's. */
static void take_out(struct gated *gated)
{
	list_del(&gated->list);
	gate.n_held--;
	if (cancel_delayed_work(&gated->timeout))
		kref_put(&gated->ref, gated_free);
	fence_destroy(gated->fence);
	gated->fence = NULL;
	message_event_device(IOMMU_POLICY_EVENT_GATE_OPENED, gated->dev, -1);
}

static void open(struct gated *gated, bool probe, struct request *request)
{
	take_out(gated);
	gated->probe = probe;
	gated->request = request;
	queue_work(policy_wq, &gated->open);
}

static void timeout_work(struct work_struct *work)
{
	struct gated *gated = container_of(to_delayed_work(work), struct gated, timeout);

	mutex_lock(&policy_mutex);
	if (find(gated->dev) == gated) {
		message_event_device(IOMMU_POLICY_EVENT_GATE_TIMEOUT, gated->dev, -1);
		if (gated->keep_shut) {
			dev_notice(gated->dev, "nobody has let it through in time; it stays without a driver\n");
		} else {
			dev_notice(gated->dev, "nobody has let it through in time; drivers may have it now\n");
			open(gated, true, NULL);
		}
	}
	mutex_unlock(&policy_mutex);
	kref_put(&gated->ref, gated_free);
}

int gate_arm(const struct holder *holder, u32 flags, u32 timeout_ms)
{
	lockdep_assert_held(&policy_mutex);
	if (policy_stopping)
		return -ESHUTDOWN;
	if (gate.armed && gate.holder.portid && gate.holder.portid != holder->portid)
		return -EBUSY;
	gate.armed = true;
	gate.holder = *holder;
	gate.flags = flags;
	gate.timeout_ms = timeout_ms;
	message_event_group(IOMMU_POLICY_EVENT_GATE_ARMED, -1);
	return 0;
}

static void disarm(void)
{
	struct gated *gated, *next;

	gate.armed = false;
	gate.holder = (struct holder){};
	list_for_each_entry_safe(gated, next, &devices, list)
		open(gated, true, NULL);
	message_event_group(IOMMU_POLICY_EVENT_GATE_DISARMED, -1);
}

int gate_disarm(u32 portid)
{
	lockdep_assert_held(&policy_mutex);
	if (!gate.armed)
		return -ENOENT;
	if (gate.holder.portid && gate.holder.portid != portid)
		return -EBUSY;
	disarm();
	return 0;
}

int gate_release(struct request *request)
{
	struct gated *gated;

	lockdep_assert_held(&policy_mutex);
	list_for_each_entry(gated, &devices, list)
		if (!strcmp(dev_name(gated->dev), request->device)) {
			open(gated, request->flags & IOMMU_POLICY_F_PROBE, request);
			return 0;
		}
	return -ENOENT;
}

void gate_get(struct gate_state *ret)
{
	lockdep_assert_held(&policy_mutex);
	*ret = gate;
}

bool gate_has_device(const struct device *dev)
{
	return find(dev);
}

static int hold(struct device *dev)
{
	struct gated *gated = kzalloc(sizeof(*gated), GFP_KERNEL);
	int r;

	if (!gated)
		return -ENOMEM;
	gated->fence = fence_create("gate");
	if (IS_ERR(gated->fence)) {
		r = PTR_ERR(gated->fence);
		kfree(gated);
		return r;
	}
	r = fence_add(gated->fence, dev);
	if (r) {
		fence_destroy(gated->fence);
		kfree(gated);
		return r;
	}
	kref_init(&gated->ref);
	gated->dev = get_device(dev);
	gated->keep_shut = gate.flags & IOMMU_POLICY_GATE_F_KEEP_SHUT;
	INIT_WORK(&gated->open, open_work);
	INIT_DELAYED_WORK(&gated->timeout, timeout_work);
	list_add_tail(&gated->list, &devices);
	gate.n_held++;
	kref_get(&gated->ref);
	queue_delayed_work(policy_wq, &gated->timeout, msecs_to_jiffies(gate.timeout_ms));
	return 0;
}

void gate_device_added(struct device *dev)
{
	struct iommu_group *group;
	int r;

	lockdep_assert_held(&policy_mutex);
	if (!gate.armed || !fence_applies(dev))
		return;
	group = iommu_group_get(dev);
	if (!group) {
		/* It may get one when it is first probed: to hold it would be to wait for that. */
		message_event_device(IOMMU_POLICY_EVENT_GATE_PASSED, dev, -1);
		return;
	}
	r = hold(dev);
	if (r)
		dev_warn(dev, "could not be held for its policy: %d\n", r);
	message_event_device(r ? IOMMU_POLICY_EVENT_GATE_PASSED : IOMMU_POLICY_EVENT_GATE_HELD, dev,
			     iommu_group_id(group));
	iommu_group_put(group);
}

void gate_device_removed(struct device *dev)
{
	struct gated *gated = find(dev);

	if (!gated)
		return;
	take_out(gated);
	kref_put(&gated->ref, gated_free);
}

void gate_end_socket(u32 portid)
{
	lockdep_assert_held(&policy_mutex);
	if (!gate.armed || !holder_is(&gate.holder, portid))
		return;
	if (gate.flags & IOMMU_POLICY_GATE_F_STICKY)
		gate.holder.portid = 0;
	else
		disarm();
}

void gate_end(void)
{
	lockdep_assert_held(&policy_mutex);
	if (gate.armed)
		disarm();
}
