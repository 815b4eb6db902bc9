// SPDX-License-Identifier: GPL-2.0
#include <linux/pci.h>
#include <linux/slab.h>
#include <net/genetlink.h>

#include "fence.h"
#include "hold.h"
#include "message.h"
#include "owner.h"
#include "transit.h"

static int put_holder(struct sk_buff *skb, int attribute, const struct holder *holder)
{
	struct nlattr *nest = nla_nest_start(skb, attribute);

	if (!nest || nla_put_u32(skb, IOMMU_POLICY_HOLDER_A_PORTID, holder->portid) ||
	    nla_put_u32(skb, IOMMU_POLICY_HOLDER_A_PID, holder->pid))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_done(struct sk_buff *skb, const struct request *request, const struct result *result)
{
	if (nla_put_u32(skb, IOMMU_POLICY_A_COMMAND, request->command) ||
	    nla_put_u64_64bit(skb, IOMMU_POLICY_A_COOKIE, request->cookie, IOMMU_POLICY_A_PAD) ||
	    nla_put_u32(skb, IOMMU_POLICY_A_ERROR, -result->error))
		return -EMSGSIZE;
	if (request->group >= 0 && nla_put_u32(skb, IOMMU_POLICY_A_GROUP, request->group))
		return -EMSGSIZE;
	if (request->device[0] && nla_put_string(skb, IOMMU_POLICY_A_DEVICE, request->device))
		return -EMSGSIZE;
	if (result->owner >= 0 && nla_put_u32(skb, IOMMU_POLICY_A_OWNER, result->owner))
		return -EMSGSIZE;
	if (result->holder.pid)
		return put_holder(skb, IOMMU_POLICY_A_HOLDER, &result->holder);
	return 0;
}

void message_done(const struct request *request, const struct result *result)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *header;

	if (!skb)
		return;
	header = genlmsg_put(skb, 0, 0, &policy_family, 0, IOMMU_POLICY_CMD_DONE);
	if (!header || put_done(skb, request, result)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, header);
	genlmsg_unicast(&init_net, skb, request->holder.portid);
}

static void send_event(enum iommu_policy_event event, const char *device, int group, int owner)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *header;

	lockdep_assert_held(&policy_mutex);
	if (!skb)
		return;
	header = genlmsg_put(skb, 0, 0, &policy_family, 0, IOMMU_POLICY_CMD_EVENT);
	if (!header || nla_put_u32(skb, IOMMU_POLICY_A_EVENT, event) ||
	    (group >= 0 && nla_put_u32(skb, IOMMU_POLICY_A_GROUP, group)) ||
	    (device && nla_put_string(skb, IOMMU_POLICY_A_DEVICE, device)) ||
	    (owner >= 0 && nla_put_u32(skb, IOMMU_POLICY_A_OWNER, owner))) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, header);
	genlmsg_multicast(&policy_family, skb, 0, 0, GFP_KERNEL);
}

void message_event_group(enum iommu_policy_event event, int group)
{
	send_event(event, NULL, group, -1);
}

void message_event_device(enum iommu_policy_event event, const struct device *dev, int group)
{
	send_event(event, dev_name(dev), group, -1);
}

void message_event_owner(int group, int owner)
{
	send_event(IOMMU_POLICY_EVENT_OWNER, NULL, group, owner);
}

struct device_writer {
	struct sk_buff *skb;
	const struct policy_group *g;
};

static u32 device_flags(const struct policy_group *g, struct device *dev)
{
	u32 flags = 0;

	if (!fence_applies(dev))
		flags |= IOMMU_POLICY_DEVICE_F_BRIDGE;
	if (dev->driver)
		flags |= IOMMU_POLICY_DEVICE_F_BOUND;
	if (g && hold_has_device(g, dev))
		flags |= IOMMU_POLICY_DEVICE_F_HELD;
	if (gate_has_device(dev))
		flags |= IOMMU_POLICY_DEVICE_F_GATED;
	if (transit_has_device(dev))
		flags |= IOMMU_POLICY_DEVICE_F_IN_TRANSIT;
	return flags;
}

static int put_device_entry(struct device *dev, void *data)
{
	const struct device_writer *writer = data;
	struct nlattr *nest = nla_nest_start(writer->skb, IOMMU_POLICY_A_DEVICE_ENTRY);

	if (!nest || nla_put_string(writer->skb, IOMMU_POLICY_DEVICE_A_ADDRESS, dev_name(dev)) ||
	    nla_put_u32(writer->skb, IOMMU_POLICY_DEVICE_A_FLAGS, device_flags(writer->g, dev)))
		return -EMSGSIZE;
	nla_nest_end(writer->skb, nest);
	return 0;
}

static int put_devices(struct sk_buff *skb, const struct policy_group *g, struct iommu_group *group)
{
	struct device_writer writer = { skb, g };
	struct nlattr *nest = nla_nest_start(skb, IOMMU_POLICY_A_DEVICES);

	if (!nest || group_for_each_pci(group, &writer, put_device_entry))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static u32 region_kind(const struct iommu_resv_region *region)
{
	switch (region->type) {
	case IOMMU_RESV_DIRECT:
		return IOMMU_POLICY_REGION_DIRECT;
	case IOMMU_RESV_DIRECT_RELAXABLE:
		return IOMMU_POLICY_REGION_DIRECT_RELAXABLE;
	case IOMMU_RESV_RESERVED:
		return IOMMU_POLICY_REGION_RESERVED;
	case IOMMU_RESV_MSI:
	case IOMMU_RESV_SW_MSI:
		return IOMMU_POLICY_REGION_MSI;
	default:
		return IOMMU_POLICY_REGION_OTHER;
	}
}

static int put_region(struct sk_buff *skb, const struct iommu_resv_region *region)
{
	struct nlattr *nest = nla_nest_start(skb, IOMMU_POLICY_A_REGION_ENTRY);

	if (!nest ||
	    nla_put_u64_64bit(skb, IOMMU_POLICY_REGION_A_START, region->start, IOMMU_POLICY_REGION_A_PAD) ||
	    nla_put_u64_64bit(skb, IOMMU_POLICY_REGION_A_END, region->start + region->length - 1,
			      IOMMU_POLICY_REGION_A_PAD) ||
	    nla_put_u32(skb, IOMMU_POLICY_REGION_A_KIND, region_kind(region)))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_regions(struct sk_buff *skb, struct iommu_group *group)
{
	struct nlattr *nest = nla_nest_start(skb, IOMMU_POLICY_A_REGIONS);
	struct iommu_resv_region *region, *next;
	LIST_HEAD(regions);
	int r = nest ? 0 : -EMSGSIZE;

	/* Each comes as a copy of its own. */
	if (!r)
		r = iommu_get_group_resv_regions(group, &regions);
	list_for_each_entry_safe(region, next, &regions, list) {
		if (!r)
			r = put_region(skb, region);
		list_del(&region->list);
		kfree(region);
	}
	if (!r)
		nla_nest_end(skb, nest);
	return r;
}

int message_put_group(struct sk_buff *skb, struct iommu_group *group, bool devices, bool regions)
{
	const struct policy_group *g = group_find(group);
	struct owner_state state;
	int r = 0;

	lockdep_assert_held(&policy_mutex);
	owner_read(g, group, &state);
	if (nla_put_u32(skb, IOMMU_POLICY_A_GROUP, iommu_group_id(group)) ||
	    nla_put_u32(skb, IOMMU_POLICY_A_OWNER, state.owner) ||
	    nla_put_u32(skb, IOMMU_POLICY_A_DOMAIN, state.domain))
		return -EMSGSIZE;
	if (g && g->hold.portid)
		r = put_holder(skb, IOMMU_POLICY_A_HOLDER, &g->hold);
	if (!r && g && g->bracket.portid)
		r = put_holder(skb, IOMMU_POLICY_A_BRACKET, &g->bracket);
	if (!r && g && g->claimed)
		r = put_holder(skb, IOMMU_POLICY_A_CLAIM, &g->claim);
	if (!r && devices)
		r = put_devices(skb, g, group);
	if (!r && regions)
		r = put_regions(skb, group);
	if (!r && !(devices && regions))
		r = nla_put_flag(skb, IOMMU_POLICY_A_TRUNCATED);
	return r;
}

int message_put_info(struct sk_buff *skb, const struct gate_state *gate)
{
	struct nlattr *nest;

	if (nla_put_u32(skb, IOMMU_POLICY_A_VERSION, IOMMU_POLICY_GENL_VERSION))
		return -EMSGSIZE;
	if (!gate->armed)
		return 0;
	nest = nla_nest_start(skb, IOMMU_POLICY_A_GATE);
	if (!nest || nla_put_u32(skb, IOMMU_POLICY_GATE_A_FLAGS, gate->flags) ||
	    nla_put_u32(skb, IOMMU_POLICY_GATE_A_TIMEOUT_MS, gate->timeout_ms) ||
	    nla_put_u32(skb, IOMMU_POLICY_GATE_A_PORTID, gate->holder.portid) ||
	    nla_put_u32(skb, IOMMU_POLICY_GATE_A_PID, gate->holder.pid) ||
	    nla_put_u32(skb, IOMMU_POLICY_GATE_A_N_HELD, gate->n_held))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}
