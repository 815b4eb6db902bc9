// SPDX-License-Identifier: GPL-2.0
/*
 * The commands. Each runs under the generic netlink locks and takes policy_mutex
 * and an IOMMU group's mutex at most; see group.c for what may wait.
 */
#include <linux/netlink.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "bracket.h"
#include "compat.h"
#include "gate.h"
#include "group.h"
#include "message.h"
#include "netlink.h"
#include "transit.h"

/* What the reply about one group may take: a nest is no longer than 16 bits can say. */
#define REPLY_MAX (60U << 10)

/* Not const: older kernels have no const pointer to them. */
static struct netlink_range_validation group_range = { .max = S32_MAX };
static struct netlink_range_validation timeout_range = {
	.min = IOMMU_POLICY_GATE_MIN_MS,
	.max = IOMMU_POLICY_GATE_MAX_MS,
};

/* One policy for each set of attributes: what a command does not take is refused. */
#define GROUP_POLICY                                                                    \
	[IOMMU_POLICY_A_GROUP] = NLA_POLICY_FULL_RANGE(NLA_U32, &group_range),          \
	[IOMMU_POLICY_A_DEVICE] = { .type = NLA_NUL_STRING, .len = IOMMU_POLICY_ADDRESS_SIZE - 1 }

static const struct nla_policy nothing_policy[IOMMU_POLICY_A_MAX + 1] = {};

static const struct nla_policy group_policy[IOMMU_POLICY_A_MAX + 1] = { GROUP_POLICY };

static const struct nla_policy hold_policy[IOMMU_POLICY_A_MAX + 1] = {
	GROUP_POLICY,
	[IOMMU_POLICY_A_COOKIE] = { .type = NLA_U64 },
};

static const struct nla_policy release_policy[IOMMU_POLICY_A_MAX + 1] = {
	GROUP_POLICY,
	[IOMMU_POLICY_A_COOKIE] = { .type = NLA_U64 },
	[IOMMU_POLICY_A_FLAGS] = NLA_POLICY_MASK(NLA_U32, IOMMU_POLICY_F_PROBE),
};

static const struct nla_policy claim_policy[IOMMU_POLICY_A_MAX + 1] = {
	GROUP_POLICY,
	[IOMMU_POLICY_A_COOKIE] = { .type = NLA_U64 },
	[IOMMU_POLICY_A_FLAGS] = NLA_POLICY_MASK(NLA_U32, IOMMU_POLICY_F_PERSISTENT),
};

static const struct nla_policy bracket_policy[IOMMU_POLICY_A_MAX + 1] = {
	GROUP_POLICY,
	[IOMMU_POLICY_A_FLAGS] = NLA_POLICY_MASK(NLA_U32, IOMMU_POLICY_F_LIVE),
};

static const struct nla_policy device_policy[IOMMU_POLICY_A_MAX + 1] = {
	[IOMMU_POLICY_A_DEVICE] = { .type = NLA_NUL_STRING, .len = IOMMU_POLICY_ADDRESS_SIZE - 1 },
	[IOMMU_POLICY_A_COOKIE] = { .type = NLA_U64 },
	[IOMMU_POLICY_A_FLAGS] = NLA_POLICY_MASK(NLA_U32, IOMMU_POLICY_F_PROBE),
};

static const struct nla_policy gate_settings_policy[IOMMU_POLICY_GATE_A_MAX + 1] = {
	[IOMMU_POLICY_GATE_A_FLAGS] =
		NLA_POLICY_MASK(NLA_U32, IOMMU_POLICY_GATE_F_STICKY | IOMMU_POLICY_GATE_F_KEEP_SHUT),
	[IOMMU_POLICY_GATE_A_TIMEOUT_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &timeout_range),
};

static const struct nla_policy gate_policy[IOMMU_POLICY_A_MAX + 1] = {
	[IOMMU_POLICY_A_GATE] = NLA_POLICY_NESTED(gate_settings_policy),
};

/* netlink_capable() itself looks at the opener only where a message does not name its destination, as most do. */
static bool is_capable(const struct sk_buff *skb, int cap)
{
	return netlink_capable(skb, cap) &&
	       file_ns_capable(NETLINK_CB(skb).sk->sk_socket->file, &init_user_ns, cap);
}

/* As the type file: of whoever opened the socket and of whoever sends, in the initial user namespace. */
static int check_caller(const struct sk_buff *skb)
{
	return is_capable(skb, CAP_SYS_ADMIN) && is_capable(skb, CAP_SYS_RAWIO) ? 0 : -EPERM;
}

static struct holder caller(const struct genl_info *info)
{
	return (struct holder){ .portid = info->snd_portid, .pid = task_tgid_nr(current) };
}

static u32 get_flags(const struct genl_info *info)
{
	return info->attrs[IOMMU_POLICY_A_FLAGS] ? nla_get_u32(info->attrs[IOMMU_POLICY_A_FLAGS]) : 0;
}

static int check_names_one(const struct genl_info *info)
{
	if (!info->attrs[IOMMU_POLICY_A_GROUP] == !info->attrs[IOMMU_POLICY_A_DEVICE]) {
		GENL_SET_ERR_MSG(info, "one of GROUP and DEVICE must be given");
		return -EINVAL;
	}
	return 0;
}

/* A reference to the group that the command is about. With policy_mutex held. */
static struct iommu_group *get_group(const struct genl_info *info, int *error)
{
	const struct nlattr *id = info->attrs[IOMMU_POLICY_A_GROUP];
	const struct nlattr *address = info->attrs[IOMMU_POLICY_A_DEVICE];
	struct iommu_group *group;

	*error = check_names_one(info);
	if (*error)
		return NULL;
	group = id ? group_by_id(nla_get_u32(id)) : group_by_address(nla_data(address));
	*error = group ? 0 : -ENODEV;
	if (!group && id)
		GENL_SET_ERR_MSG(info, "no PCI device has this group");
	else if (!group)
		GENL_SET_ERR_MSG(info, "no such PCI device, or it has no group");
	return group;
}

static struct sk_buff *new_reply(const struct genl_info *info, size_t size, u8 command, void **header)
{
	struct sk_buff *skb = genlmsg_new(size, GFP_KERNEL);

	*header = skb ? genlmsg_put(skb, info->snd_portid, info->snd_seq, &policy_family, 0, command) : NULL;
	if (!*header) {
		nlmsg_free(skb);
		return NULL;
	}
	return skb;
}

static int info_get(struct sk_buff *request, struct genl_info *info)
{
	struct gate_state gate;
	struct sk_buff *skb;
	void *header;
	int r = check_caller(request);

	if (r)
		return r;
	skb = new_reply(info, GENLMSG_DEFAULT_SIZE, IOMMU_POLICY_CMD_INFO_GET, &header);
	if (!skb)
		return -ENOMEM;
	mutex_lock(&policy_mutex);
	gate_get(&gate);
	mutex_unlock(&policy_mutex);
	r = message_put_info(skb, &gate);
	if (r) {
		nlmsg_free(skb);
		return r;
	}
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, info);
}

/* A group may have hundreds of devices, and how many is known only when they have been written. */
static int reply_group(const struct genl_info *info, struct iommu_group *group, struct sk_buff **ret)
{
	size_t size = GENLMSG_DEFAULT_SIZE;
	int r = -EMSGSIZE;

	while (r == -EMSGSIZE) {
		bool all = size <= REPLY_MAX;
		void *header;
		struct sk_buff *skb = new_reply(info, all ? size : GENLMSG_DEFAULT_SIZE, IOMMU_POLICY_CMD_GROUP_GET,
						&header);

		if (!skb)
			return -ENOMEM;
		r = message_put_group(skb, group, all, all);
		if (!r) {
			genlmsg_end(skb, header);
			*ret = skb;
			return 0;
		}
		nlmsg_free(skb);
		size *= 4;
	}
	return r;
}

static int group_get_one(struct sk_buff *request, struct genl_info *info)
{
	struct iommu_group *group;
	struct sk_buff *skb = NULL;
	int r = check_caller(request);

	if (r)
		return r;
	mutex_lock(&policy_mutex);
	group = get_group(info, &r);
	if (group)
		r = reply_group(info, group, &skb);
	iommu_group_put(group);
	mutex_unlock(&policy_mutex);
	return r ? r : genlmsg_reply(skb, info);
}

static int dump_start(struct netlink_callback *cb)
{
	int r = check_caller(cb->skb);

	if (r)
		return r;
	return nlmsg_attrlen(cb->nlh, GENL_HDRLEN) ? -EINVAL : 0;
}

static int dump_group(struct sk_buff *skb, struct netlink_callback *cb, struct iommu_group *group)
{
	bool all = true;
	int r;

	for (;;) {
		void *header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &policy_family,
					   NLM_F_MULTI, IOMMU_POLICY_CMD_GROUP_GET);

		if (!header)
			return -EMSGSIZE;
		r = message_put_group(skb, group, all, all);
		if (!r) {
			genl_dump_check_consistent(cb, header);
			genlmsg_end(skb, header);
			return 0;
		}
		genlmsg_cancel(skb, header);
		/* It has a buffer for itself and does not fit: the next would be no bigger. */
		if (r != -EMSGSIZE || skb->len || !all)
			return r;
		all = false;
	}
}

struct lowest {
	struct pci_dev *pdev;
};

static int find_lowest(struct device *dev, void *data)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	struct lowest *lowest = data;

	if (transit_has_device(dev))
		return 0;
	if (!lowest->pdev || pci_domain_nr(pdev->bus) < pci_domain_nr(lowest->pdev->bus) ||
	    (pci_domain_nr(pdev->bus) == pci_domain_nr(lowest->pdev->bus) &&
	     pci_dev_id(pdev) < pci_dev_id(lowest->pdev)))
		lowest->pdev = pdev;
	return 0;
}

/* Each group comes once, with that device of it. */
static bool stands_for(struct pci_dev *pdev, struct iommu_group *group)
{
	struct lowest lowest = {};

	group_for_each_pci(group, &lowest, find_lowest);
	return lowest.pdev == pdev;
}

static int dump_groups(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct pci_dev *pdev = NULL;
	long index = 0;
	int r = 0;

	mutex_lock(&policy_mutex);
	cb->seq = transit_generation();
	for_each_pci_dev(pdev) {
		struct iommu_group *group;

		if (index++ < cb->args[0])
			continue;
		group = group_of_device(&pdev->dev);
		if (group && stands_for(pdev, group))
			r = dump_group(skb, cb, group);
		iommu_group_put(group);
		if (r) {
			pci_dev_put(pdev);
			break;
		}
		cb->args[0] = index;
	}
	mutex_unlock(&policy_mutex);
	/* What is there goes out first; the error is met again. */
	return r && !skb->len ? r : skb->len;
}

static void describe_request(const struct genl_info *info, struct request *what)
{
	const struct nlattr *id = info->attrs[IOMMU_POLICY_A_GROUP];
	const struct nlattr *address = info->attrs[IOMMU_POLICY_A_DEVICE];
	const struct nlattr *cookie = info->attrs[IOMMU_POLICY_A_COOKIE];

	what->command = info->genlhdr->cmd;
	what->holder = caller(info);
	what->flags = get_flags(info);
	what->cookie = cookie ? nla_get_u64(cookie) : 0;
	what->group = id ? (int)nla_get_u32(id) : -1;
	if (address)
		nla_strscpy(what->device, address, sizeof(what->device));
}

static int queue_request(struct iommu_group *group, const struct request *what)
{
	struct request *request;
	struct policy_group *g;
	int r = 0;

	g = group_get(group, &r);
	if (!g)
		return r;
	request = request_new(what);
	if (request)
		group_queue(g, request);
	else
		group_trim(g);
	/* Its HOLD may be waiting for a driver. */
	if (request && what->command == IOMMU_POLICY_CMD_RELEASE)
		group_cancel(g, what->holder.portid);
	return request ? 0 : -ENOBUFS;
}

static int request_for_group(struct sk_buff *skb, struct genl_info *info)
{
	struct iommu_group *group;
	struct request what = {};
	int r = check_caller(skb);

	if (r)
		return r;
	describe_request(info, &what);
	mutex_lock(&policy_mutex);
	group = get_group(info, &r);
	if (group)
		r = queue_request(group, &what);
	iommu_group_put(group);
	mutex_unlock(&policy_mutex);
	return r;
}

static int begin_bracket(struct iommu_group *group, const struct genl_info *info)
{
	struct holder holder = caller(info);
	struct policy_group *g;
	int r = 0;

	g = group_get(group, &r);
	if (!g)
		return r;
	r = bracket_begin(g, &holder, get_flags(info) & IOMMU_POLICY_F_LIVE);
	if (r == -EBUSY)
		GENL_SET_ERR_MSG(info, "a driver owns the group's DMA, or another socket has it");
	else if (r == -EUSERS)
		GENL_SET_ERR_MSG(info, "a user (VFIO, iommufd) owns the group's DMA");
	group_trim(g);
	return r;
}

static int do_bracket_begin(struct sk_buff *skb, struct genl_info *info)
{
	struct iommu_group *group;
	int r = check_caller(skb);

	if (r)
		return r;
	mutex_lock(&policy_mutex);
	group = get_group(info, &r);
	if (group)
		r = begin_bracket(group, info);
	iommu_group_put(group);
	mutex_unlock(&policy_mutex);
	return r;
}

/* Not by get_group(): all devices of the group may be going, and wait for this. */
static struct policy_group *find_bracket(const struct genl_info *info)
{
	const struct nlattr *id = info->attrs[IOMMU_POLICY_A_GROUP];
	const struct nlattr *address = info->attrs[IOMMU_POLICY_A_DEVICE];
	struct policy_group *g = NULL;
	struct device *dev;

	if (id)
		return group_find_by_id(nla_get_u32(id));
	dev = bus_find_device_by_name(&pci_bus_type, NULL, nla_data(address));
	if (dev && dev->iommu_group)
		g = group_find(dev->iommu_group);
	put_device(dev);
	return g;
}

static int do_bracket_end(struct sk_buff *skb, struct genl_info *info)
{
	struct policy_group *g;
	int r = check_caller(skb);

	if (r)
		return r;
	r = check_names_one(info);
	if (r)
		return r;
	mutex_lock(&policy_mutex);
	g = find_bracket(info);
	r = g ? bracket_end(g, info->snd_portid) : -ENOENT;
	if (g)
		group_trim(g);
	mutex_unlock(&policy_mutex);
	return r;
}

static int do_gate_arm(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *attrs[IOMMU_POLICY_GATE_A_MAX + 1];
	const struct nlattr *settings = info->attrs[IOMMU_POLICY_A_GATE];
	struct holder holder = caller(info);
	int r = check_caller(skb);

	if (r)
		return r;
	if (!settings) {
		GENL_SET_ERR_MSG(info, "GATE must be given");
		return -EINVAL;
	}
	r = nla_parse_nested(attrs, IOMMU_POLICY_GATE_A_MAX, settings, gate_settings_policy, info->extack);
	if (r)
		return r;
	if (!attrs[IOMMU_POLICY_GATE_A_TIMEOUT_MS]) {
		GENL_SET_ERR_MSG(info, "GATE must have a TIMEOUT_MS");
		return -EINVAL;
	}
	mutex_lock(&policy_mutex);
	r = gate_arm(&holder,
		     attrs[IOMMU_POLICY_GATE_A_FLAGS] ? nla_get_u32(attrs[IOMMU_POLICY_GATE_A_FLAGS]) : 0,
		     nla_get_u32(attrs[IOMMU_POLICY_GATE_A_TIMEOUT_MS]));
	mutex_unlock(&policy_mutex);
	return r;
}

static int do_gate_disarm(struct sk_buff *skb, struct genl_info *info)
{
	int r = check_caller(skb);

	if (r)
		return r;
	mutex_lock(&policy_mutex);
	r = gate_disarm(info->snd_portid);
	mutex_unlock(&policy_mutex);
	return r;
}

static int do_gate_release(struct sk_buff *skb, struct genl_info *info)
{
	struct request what = {};
	struct request *request;
	int r = check_caller(skb);

	if (r)
		return r;
	if (!info->attrs[IOMMU_POLICY_A_DEVICE]) {
		GENL_SET_ERR_MSG(info, "DEVICE must be given");
		return -EINVAL;
	}
	describe_request(info, &what);
	mutex_lock(&policy_mutex);
	request = request_new(&what);
	r = request ? gate_release(request) : -ENOBUFS;
	if (r && request)
		request_free(request);
	mutex_unlock(&policy_mutex);
	return r;
}

#define OP(command, function, attributes) \
	{ .cmd = IOMMU_POLICY_CMD_##command, .doit = function, .policy = attributes, .maxattr = IOMMU_POLICY_A_MAX }

static const struct genl_ops ops[] = {
	OP(INFO_GET, info_get, nothing_policy),
	{
		.cmd = IOMMU_POLICY_CMD_GROUP_GET,
		.doit = group_get_one,
		.start = dump_start,
		.dumpit = dump_groups,
		.policy = group_policy,
		.maxattr = IOMMU_POLICY_A_MAX,
	},
	OP(HOLD, request_for_group, hold_policy),
	OP(RELEASE, request_for_group, release_policy),
	OP(BRACKET_BEGIN, do_bracket_begin, bracket_policy),
	OP(BRACKET_END, do_bracket_end, group_policy),
	OP(GATE_ARM, do_gate_arm, gate_policy),
	OP(GATE_DISARM, do_gate_disarm, nothing_policy),
	OP(GATE_RELEASE, do_gate_release, device_policy),
	OP(CLAIM, request_for_group, claim_policy),
	OP(UNCLAIM, request_for_group, release_policy),
};

static const struct genl_multicast_group multicast_groups[] = {
	{ .name = IOMMU_POLICY_MCGRP_EVENTS, COMPAT_MCAST_SYS_ADMIN },
};

/*
 * Not there for other network namespaces: port ids, which tell sockets apart,
 * are a namespace's own.
 */
struct genl_family policy_family __ro_after_init = {
	.name = IOMMU_POLICY_GENL_NAME,
	.version = IOMMU_POLICY_GENL_VERSION,
	.module = THIS_MODULE,
	.ops = ops,
	.n_ops = ARRAY_SIZE(ops),
	.parallel_ops = true, /* policy_mutex is what they need */
	.resv_start_op = IOMMU_POLICY_CMD_UNSPEC + 1,
	.mcgrps = multicast_groups,
	.n_mcgrps = ARRAY_SIZE(multicast_groups),
};

/* In process context, when the last copy of the socket is closed, also by the end of its process. */
static int on_netlink(struct notifier_block *nb, unsigned long action, void *data)
{
	const struct netlink_notify *notify = data;

	if (action != NETLINK_URELEASE || notify->protocol != NETLINK_GENERIC || notify->net != &init_net)
		return NOTIFY_DONE;
	mutex_lock(&policy_mutex);
	group_end_socket(notify->portid);
	gate_end_socket(notify->portid);
	mutex_unlock(&policy_mutex);
	return NOTIFY_DONE;
}

static struct notifier_block notifier = { .notifier_call = on_netlink };

int netlink_init(void)
{
	int r = netlink_register_notifier(&notifier);

	if (r)
		return r;
	r = genl_register_family(&policy_family);
	if (r)
		netlink_unregister_notifier(&notifier);
	return r;
}

void netlink_exit(void)
{
	genl_unregister_family(&policy_family);
	netlink_unregister_notifier(&notifier);
}
