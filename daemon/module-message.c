/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "daemon/module-message.h"
#include "daemon/util.h"

/* A group has as many devices as a bus and its bridges can hold, and not more. */
#define DEVICES_MAX 4096
/* Linux knows no errno above this (MAX_ERRNO). */
#define ERRNO_MAX 4095

#define U32 { .type = NLA_U32, .minlen = sizeof(uint32_t), .maxlen = sizeof(uint32_t) }
#define U64 { .type = NLA_U64, .minlen = sizeof(uint64_t), .maxlen = sizeof(uint64_t) }
#define ADDRESS { .type = NLA_STRING, .minlen = 1, .maxlen = IOMMU_POLICY_ADDRESS_SIZE }
#define NEST { .type = NLA_NESTED }

/* Attributes that are newer than this are passed over. */
static struct nla_policy message_policy[IOMMU_POLICY_A_MAX + 1] = {
	[IOMMU_POLICY_A_VERSION] = U32,	  [IOMMU_POLICY_A_GROUP] = U32,
	[IOMMU_POLICY_A_DEVICE] = ADDRESS, [IOMMU_POLICY_A_COOKIE] = U64,
	[IOMMU_POLICY_A_COMMAND] = U32,	  [IOMMU_POLICY_A_ERROR] = U32,
	[IOMMU_POLICY_A_OWNER] = U32,	  [IOMMU_POLICY_A_DOMAIN] = U32,
	[IOMMU_POLICY_A_DEVICES] = NEST,  [IOMMU_POLICY_A_REGIONS] = NEST,
	[IOMMU_POLICY_A_HOLDER] = NEST,	  [IOMMU_POLICY_A_BRACKET] = NEST,
	[IOMMU_POLICY_A_CLAIM] = NEST,	  [IOMMU_POLICY_A_GATE] = NEST,
	[IOMMU_POLICY_A_EVENT] = U32,
};

static struct nla_policy device_policy[IOMMU_POLICY_DEVICE_A_MAX + 1] = {
	[IOMMU_POLICY_DEVICE_A_ADDRESS] = ADDRESS,
	[IOMMU_POLICY_DEVICE_A_FLAGS] = U32,
};

static struct nla_policy holder_policy[IOMMU_POLICY_HOLDER_A_MAX + 1] = {
	[IOMMU_POLICY_HOLDER_A_PORTID] = U32,
	[IOMMU_POLICY_HOLDER_A_PID] = U32,
};

static struct nla_policy gate_policy[IOMMU_POLICY_GATE_A_MAX + 1] = {
	[IOMMU_POLICY_GATE_A_FLAGS] = U32,	[IOMMU_POLICY_GATE_A_TIMEOUT_MS] = U32,
	[IOMMU_POLICY_GATE_A_PORTID] = U32,	[IOMMU_POLICY_GATE_A_PID] = U32,
	[IOMMU_POLICY_GATE_A_N_HELD] = U32,
};

static struct nla_policy family_policy[CTRL_ATTR_MAX + 1] = {
	[CTRL_ATTR_FAMILY_ID] = { .type = NLA_U16, .minlen = 2, .maxlen = 2 },
	[CTRL_ATTR_FAMILY_NAME] = { .type = NLA_STRING, .minlen = 1 },
	[CTRL_ATTR_VERSION] = U32,
	[CTRL_ATTR_MCAST_GROUPS] = NEST,
};

static struct nla_policy mcast_policy[CTRL_ATTR_MCAST_GRP_MAX + 1] = {
	[CTRL_ATTR_MCAST_GRP_NAME] = { .type = NLA_STRING, .minlen = 1 },
	[CTRL_ATTR_MCAST_GRP_ID] = U32,
};

static int put_gate(struct nl_msg *message, const struct module_request *request)
{
	struct nlattr *gate = nla_nest_start(message, IOMMU_POLICY_A_GATE | NLA_F_NESTED);

	if (!gate || nla_put_u32(message, IOMMU_POLICY_GATE_A_FLAGS, request->gate_flags) < 0 ||
	    nla_put_u32(message, IOMMU_POLICY_GATE_A_TIMEOUT_MS, request->gate_timeout_ms) < 0)
		return -ENOMEM;
	nla_nest_end(message, gate);
	return 0;
}

bool module_answers_later(enum iommu_policy_command command)
{
	return command == IOMMU_POLICY_CMD_HOLD || command == IOMMU_POLICY_CMD_RELEASE ||
	       command == IOMMU_POLICY_CMD_CLAIM || command == IOMMU_POLICY_CMD_UNCLAIM ||
	       command == IOMMU_POLICY_CMD_GATE_RELEASE;
}

struct nl_msg *module_message_make(uint16_t family, uint32_t seq, const struct module_request *request)
{
	struct nl_msg *message = nlmsg_alloc();
	int flags = NLM_F_REQUEST | (request->dump ? NLM_F_DUMP : NLM_F_ACK);

	if (!message)
		return NULL;
	if (!genlmsg_put(message, NL_AUTO_PORT, seq, family, 0, flags, (uint8_t)request->command,
			 IOMMU_POLICY_GENL_VERSION) ||
	    (request->has_group && nla_put_u32(message, IOMMU_POLICY_A_GROUP, request->group) < 0) ||
	    (request->device && nla_put_string(message, IOMMU_POLICY_A_DEVICE, request->device) < 0) ||
	    (request->flags && nla_put_u32(message, IOMMU_POLICY_A_FLAGS, request->flags) < 0) ||
	    (module_answers_later(request->command) &&
	     nla_put_u64(message, IOMMU_POLICY_A_COOKIE, request->cookie) < 0) ||
	    (request->command == IOMMU_POLICY_CMD_GATE_ARM && put_gate(message, request) < 0)) {
		nlmsg_free(message);
		return NULL;
	}
	return message;
}

static int parse(struct nlmsghdr *message, struct nlattr **attributes)
{
	return genlmsg_parse(message, 0, attributes, IOMMU_POLICY_A_MAX, message_policy) < 0 ? -EBADMSG : 0;
}

static uint32_t get_u32(struct nlattr *attribute)
{
	return attribute ? nla_get_u32(attribute) : 0;
}

/* A policy has seen that it fits and ends with its 0; a 0 before that is none of ours. */
static int get_address(struct nlattr *attribute, char *ret)
{
	memset(ret, 0, IOMMU_POLICY_ADDRESS_SIZE);
	if (!attribute)
		return 0;
	memcpy(ret, nla_data(attribute), (size_t)nla_len(attribute));
	return address_is_valid(ret) ? 0 : -EBADMSG;
}

static int get_group(struct nlattr *attribute, bool *ret_has, unsigned *ret)
{
	*ret_has = attribute != NULL;
	*ret = get_u32(attribute);
	return *ret > INT_MAX ? -EBADMSG : 0;
}

static int get_holder(struct nlattr *attribute, struct module_holder *ret)
{
	struct nlattr *found[IOMMU_POLICY_HOLDER_A_MAX + 1];

	*ret = (struct module_holder){};
	if (!attribute)
		return 0;
	if (nla_parse_nested(found, IOMMU_POLICY_HOLDER_A_MAX, attribute, holder_policy) < 0)
		return -EBADMSG;
	ret->present = true;
	ret->portid = get_u32(found[IOMMU_POLICY_HOLDER_A_PORTID]);
	ret->pid = get_u32(found[IOMMU_POLICY_HOLDER_A_PID]);
	return 0;
}

static int add_device(struct module_group *group, struct nlattr *attribute)
{
	struct nlattr *found[IOMMU_POLICY_DEVICE_A_MAX + 1];
	struct module_device device, *grown;

	if (group->n_devices == DEVICES_MAX ||
	    nla_parse_nested(found, IOMMU_POLICY_DEVICE_A_MAX, attribute, device_policy) < 0 ||
	    !found[IOMMU_POLICY_DEVICE_A_ADDRESS] ||
	    get_address(found[IOMMU_POLICY_DEVICE_A_ADDRESS], device.address) < 0)
		return -EBADMSG;
	device.flags = get_u32(found[IOMMU_POLICY_DEVICE_A_FLAGS]);
	grown = reallocarray(group->devices, group->n_devices + 1, sizeof(device));
	if (!grown)
		return -ENOMEM;
	group->devices = grown;
	group->devices[group->n_devices++] = device;
	return 0;
}

static int add_devices(struct module_group *group, struct nlattr *attribute)
{
	struct nlattr *entry;
	int rest, r = 0;

	if (!attribute)
		return 0;
	nla_for_each_nested(entry, attribute, rest) {
		if (nla_type(entry) == IOMMU_POLICY_A_DEVICE_ENTRY)
			r = add_device(group, entry);
		if (r < 0)
			return r;
	}
	return 0;
}

void module_group_clear(struct module_group *group)
{
	free(group->devices);
	*group = (struct module_group){};
}

int module_parse_group(struct nlmsghdr *message, struct module_group *ret)
{
	struct nlattr *found[IOMMU_POLICY_A_MAX + 1];
	struct module_group group = {};
	bool has_group;
	int r;

	if (parse(message, found) < 0 || !found[IOMMU_POLICY_A_OWNER] ||
	    get_group(found[IOMMU_POLICY_A_GROUP], &has_group, &group.id) < 0 || !has_group)
		return -EBADMSG;
	group.owner = get_u32(found[IOMMU_POLICY_A_OWNER]);
	if (group.owner > IOMMU_POLICY_OWNER_POLICY)
		return -EBADMSG;
	group.truncated = found[IOMMU_POLICY_A_TRUNCATED];
	if ((r = get_holder(found[IOMMU_POLICY_A_HOLDER], &group.hold)) < 0 ||
	    (r = get_holder(found[IOMMU_POLICY_A_BRACKET], &group.bracket)) < 0 ||
	    (r = get_holder(found[IOMMU_POLICY_A_CLAIM], &group.claim)) < 0 ||
	    (r = add_devices(&group, found[IOMMU_POLICY_A_DEVICES])) < 0) {
		module_group_clear(&group);
		return r;
	}
	*ret = group;
	return 0;
}

int module_parse_done(struct nlmsghdr *message, struct module_done *ret)
{
	struct nlattr *found[IOMMU_POLICY_A_MAX + 1];
	struct module_done done = {};
	uint32_t error;

	if (parse(message, found) < 0 || !found[IOMMU_POLICY_A_COMMAND] || !found[IOMMU_POLICY_A_ERROR] ||
	    get_group(found[IOMMU_POLICY_A_GROUP], &done.has_group, &done.group) < 0 ||
	    get_address(found[IOMMU_POLICY_A_DEVICE], done.device) < 0 ||
	    get_holder(found[IOMMU_POLICY_A_HOLDER], &done.holder) < 0)
		return -EBADMSG;
	done.command = get_u32(found[IOMMU_POLICY_A_COMMAND]);
	if (found[IOMMU_POLICY_A_COOKIE])
		done.cookie = nla_get_u64(found[IOMMU_POLICY_A_COOKIE]);
	error = get_u32(found[IOMMU_POLICY_A_ERROR]);
	if (error > ERRNO_MAX)
		return -EBADMSG;
	done.error = -(int)error;
	*ret = done;
	return 0;
}

int module_parse_event(struct nlmsghdr *message, struct module_event *ret)
{
	struct nlattr *found[IOMMU_POLICY_A_MAX + 1];
	struct module_event event = {};

	if (parse(message, found) < 0 || !found[IOMMU_POLICY_A_EVENT] ||
	    get_group(found[IOMMU_POLICY_A_GROUP], &event.has_group, &event.group) < 0 ||
	    get_address(found[IOMMU_POLICY_A_DEVICE], event.device) < 0)
		return -EBADMSG;
	event.event = get_u32(found[IOMMU_POLICY_A_EVENT]);
	*ret = event;
	return 0;
}

int module_parse_info(struct nlmsghdr *message, struct module_info *ret)
{
	struct nlattr *found[IOMMU_POLICY_A_MAX + 1], *gate[IOMMU_POLICY_GATE_A_MAX + 1];

	if (parse(message, found) < 0)
		return -EBADMSG;
	*ret = (struct module_info){};
	if (!found[IOMMU_POLICY_A_GATE])
		return 0;
	if (nla_parse_nested(gate, IOMMU_POLICY_GATE_A_MAX, found[IOMMU_POLICY_A_GATE], gate_policy) < 0)
		return -EBADMSG;
	*ret = (struct module_info){
		.gate_armed = true,
		.gate_flags = get_u32(gate[IOMMU_POLICY_GATE_A_FLAGS]),
		.gate_portid = get_u32(gate[IOMMU_POLICY_GATE_A_PORTID]),
		.gate_pid = get_u32(gate[IOMMU_POLICY_GATE_A_PID]),
	};
	return 0;
}

static int find_mcast(struct nlattr *attribute, const char *name, uint32_t *ret)
{
	struct nlattr *entry, *found[CTRL_ATTR_MCAST_GRP_MAX + 1];
	int rest;

	*ret = 0;
	if (!attribute)
		return 0;
	nla_for_each_nested(entry, attribute, rest) {
		if (nla_parse_nested(found, CTRL_ATTR_MCAST_GRP_MAX, entry, mcast_policy) < 0)
			return -EBADMSG;
		if (found[CTRL_ATTR_MCAST_GRP_NAME] && found[CTRL_ATTR_MCAST_GRP_ID] &&
		    strcmp(nla_get_string(found[CTRL_ATTR_MCAST_GRP_NAME]), name) == 0)
			*ret = nla_get_u32(found[CTRL_ATTR_MCAST_GRP_ID]);
	}
	return 0;
}

int module_parse_family(struct nlmsghdr *message, const char *name, const char *group, struct module_family *ret)
{
	struct nlattr *found[CTRL_ATTR_MAX + 1];

	*ret = (struct module_family){};
	if (genlmsg_parse(message, 0, found, CTRL_ATTR_MAX, family_policy) < 0 || !found[CTRL_ATTR_FAMILY_NAME])
		return -EBADMSG;
	if (strcmp(nla_get_string(found[CTRL_ATTR_FAMILY_NAME]), name) != 0)
		return 0;
	if (!found[CTRL_ATTR_FAMILY_ID])
		return -EBADMSG;
	ret->ours = true;
	ret->id = nla_get_u16(found[CTRL_ATTR_FAMILY_ID]);
	ret->version = get_u32(found[CTRL_ATTR_VERSION]);
	return find_mcast(found[CTRL_ATTR_MCAST_GROUPS], group, &ret->events);
}

int module_parse_ack(const struct nlmsghdr *message, int *ret, char *text, size_t size)
{
	const struct nlmsgerr *error = nlmsg_data(message);
	struct nlattr *found[NLMSGERR_ATTR_MAX + 1];
	int skip = sizeof(*error);

	*text = '\0';
	if (nlmsg_datalen(message) < (int)sizeof(*error) || error->error > 0 || error->error < -ERRNO_MAX)
		return -EBADMSG;
	*ret = error->error;
	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return 0;
	/* What was asked comes back before it, unless the socket has asked not to. */
	if (!(message->nlmsg_flags & NLM_F_CAPPED)) {
		if (error->msg.nlmsg_len < NLMSG_HDRLEN || error->msg.nlmsg_len > message->nlmsg_len)
			return -EBADMSG;
		skip += NLMSG_ALIGN(error->msg.nlmsg_len) - NLMSG_HDRLEN;
	}
	if (nlmsg_datalen(message) < skip ||
	    nla_parse(found, NLMSGERR_ATTR_MAX, (struct nlattr *)((char *)nlmsg_data(message) + skip),
		      nlmsg_datalen(message) - skip, NULL) < 0)
		return -EBADMSG;
	if (found[NLMSGERR_ATTR_MSG])
		nla_strlcpy(text, found[NLMSGERR_ATTR_MSG], size);
	return 0;
}
