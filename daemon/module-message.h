/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_MODULE_MESSAGE_H
#define DAEMON_MODULE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/iommu_policy.h>

struct nl_msg;
struct nlmsghdr;

/*
 * The kernel module's messages as plain data, in both directions; what they
 * mean is in linux/iommu_policy.h. Nothing is sent or received here. What is
 * received is checked before it is used: functions that take a message apart
 * return 0, -EBADMSG for one that is not as the header says, or -ENOMEM.
 */

/* What to ask for; what a command does not take is left 0. */
struct module_request {
	enum iommu_policy_command command;
	bool dump;
	bool has_group;
	unsigned group;
	const char *device; /* address, NULL for none */
	uint32_t flags; /* IOMMU_POLICY_F_* */
	uint64_t cookie; /* sent where the command answers later */
	uint32_t gate_flags; /* GATE_ARM: IOMMU_POLICY_GATE_F_* */
	uint32_t gate_timeout_ms; /* GATE_ARM */
};

/* Somebody who has something on a group. */
struct module_holder {
	bool present;
	uint32_t portid; /* 0: nobody any more */
	uint32_t pid;
};

struct module_device {
	char address[IOMMU_POLICY_ADDRESS_SIZE];
	uint32_t flags; /* IOMMU_POLICY_DEVICE_F_* */
};

struct module_group {
	unsigned id;
	enum iommu_policy_owner owner;
	struct module_holder hold, bracket, claim;
	struct module_device *devices; /* malloc'd */
	size_t n_devices;
	bool truncated;
};

struct module_done {
	enum iommu_policy_command command;
	uint64_t cookie;
	bool has_group;
	unsigned group;
	char device[IOMMU_POLICY_ADDRESS_SIZE]; /* "": none was named */
	int error; /* 0 or a negative errno */
	struct module_holder holder;
};

struct module_event {
	enum iommu_policy_event event; /* may be one that is not known here */
	bool has_group;
	unsigned group;
	char device[IOMMU_POLICY_ADDRESS_SIZE];
};

struct module_info {
	bool gate_armed;
	uint32_t gate_flags, gate_portid, gate_pid;
};

/* What the kernel's list of families tells about one of them. */
struct module_family {
	bool ours;
	uint16_t id;
	uint32_t version;
	uint32_t events; /* number of the multicast group, 0: it has none */
};

/* Whether an acknowledgement is not the outcome yet. */
bool module_answers_later(enum iommu_policy_command command);

/* NULL when out of memory. FAMILY: the number that the kernel gave the family. */
struct nl_msg *module_message_make(uint16_t family, uint32_t seq, const struct module_request *request);

int module_parse_group(struct nlmsghdr *message, struct module_group *ret);
void module_group_clear(struct module_group *group);
int module_parse_done(struct nlmsghdr *message, struct module_done *ret);
int module_parse_event(struct nlmsghdr *message, struct module_event *ret);
int module_parse_info(struct nlmsghdr *message, struct module_info *ret);

/* A message of nlctrl about a family: CTRL_CMD_NEWFAMILY or _DELFAMILY. GROUP: which multicast group is looked for. */
int module_parse_family(struct nlmsghdr *message, const char *name, const char *group, struct module_family *ret);

/* An acknowledgement: 0 or the negative errno in *RET, and in TEXT what the kernel has to say about it ("" for nothing). */
int module_parse_ack(const struct nlmsghdr *message, int *ret, char *text, size_t size);

#endif
