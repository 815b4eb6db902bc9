// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/wait.h>

#include "bracket.h"
#include "owner.h"
#include "transit.h"

static DECLARE_WAIT_QUEUE_HEAD(bracket_ended);

int bracket_begin(struct policy_group *g, const struct holder *holder, bool live)
{
	const struct holder *others[] = { &g->hold, &g->bracket };
	struct owner_state state;
	size_t i;

	lockdep_assert_held(&policy_mutex);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (others[i]->portid && others[i]->portid != holder->portid)
			return -EBUSY;
	/* The kernel would refuse the write, whosever claim it is. */
	if (g->claimed)
		return -EBUSY;
	if (transit_has_arrival())
		return -EAGAIN;
	if (transit_has_any_of(g->group))
		return -ENODEV;
	owner_read(g, g->group, &state);
	if (state.owner == IOMMU_POLICY_OWNER_USER)
		return -EUSERS;
	if (state.owner != IOMMU_POLICY_OWNER_NONE && !live)
		return -EBUSY;
	g->bracket = *holder;
	g->bracket_live = live;
	g->bracket_void = false;
	return 0;
}

int bracket_end(struct policy_group *g, u32 portid)
{
	bool was_void = g->bracket_void;

	if (!holder_is(&g->bracket, portid))
		return -ENOENT;
	bracket_drop(g);
	return was_void ? -ETIMEDOUT : 0;
}

void bracket_drop(struct policy_group *g)
{
	lockdep_assert_held(&policy_mutex);
	g->bracket = (struct holder){};
	g->bracket_void = false;
	wake_up_all(&bracket_ended);
}

static bool is_open(const struct policy_group *g, const struct iommu_group *group)
{
	if (!g->group || !g->bracket.portid || g->bracket_void)
		return false;
	/*
	 * A write to a live group waits on 6.1 for the device's lock, which is a
	 * PF's that is just making its VFs; and for what comes it makes no difference.
	 */
	return group ? g->group == group : !g->bracket_live;
}

static bool has_open(const struct iommu_group *group)
{
	const struct policy_group *g;
	bool found = false;

	mutex_lock(&policy_mutex);
	list_for_each_entry(g, &policy_groups, list)
		found |= is_open(g, group);
	mutex_unlock(&policy_mutex);
	return found;
}

static void make_void(const struct iommu_group *group)
{
	struct policy_group *g;

	mutex_lock(&policy_mutex);
	list_for_each_entry(g, &policy_groups, list)
		if (is_open(g, group)) {
			pr_warn("group %d: process %d has its type bracket open for too long\n", g->id,
				g->bracket.pid);
			g->bracket_void = true;
		}
	mutex_unlock(&policy_mutex);
}

/*
 * Nothing may keep a device from coming or going for good: what waits here holds
 * the PCI core's locks, and whoever has the bracket may be stopped or waiting for one of them.
 */
void bracket_wait(const struct iommu_group *group)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	long left = msecs_to_jiffies(IOMMU_POLICY_BRACKET_MAX_MS);

	add_wait_queue(&bracket_ended, &wait);
	while (left > 0 && has_open(group))
		left = wait_woken(&wait, TASK_UNINTERRUPTIBLE, left);
	remove_wait_queue(&bracket_ended, &wait);
	if (left <= 0)
		make_void(group);
}
