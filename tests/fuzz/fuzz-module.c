/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as what comes from a netlink socket, taken apart into messages as
 * module_socket_receive() does: what is believed is as linux/iommu_policy.h says.
 */
#include <limits.h>
#include <string.h>

#include <netlink/msg.h>

#include "daemon/module-message.h"
#include "daemon/util.h"
#include "tests/fuzz/fuzz.h"

static void check_address(const char *address)
{
	require(memchr(address, '\0', IOMMU_POLICY_ADDRESS_SIZE));
	require(!*address || address_is_valid(address));
}

static void check_group(struct nlmsghdr *message)
{
	struct module_group group;

	if (module_parse_group(message, &group) < 0)
		return;
	require(group.id <= INT_MAX && (unsigned)group.owner <= IOMMU_POLICY_OWNER_POLICY);
	require(group.n_devices <= 4096);
	for (size_t i = 0; i < group.n_devices; i++) {
		require(*group.devices[i].address);
		check_address(group.devices[i].address);
	}
	module_group_clear(&group);
}

static void check_answers(struct nlmsghdr *message)
{
	struct module_done done;
	struct module_event event;
	struct module_info info;

	if (module_parse_done(message, &done) >= 0) {
		require(done.error <= 0 && done.error >= -4095 && done.group <= INT_MAX);
		check_address(done.device);
	}
	if (module_parse_event(message, &event) >= 0) {
		require(event.group <= INT_MAX);
		check_address(event.device);
	}
	module_parse_info(message, &info);
}

static void check_control(struct nlmsghdr *message)
{
	struct module_family family;
	char text[16];
	int error;

	if (module_parse_family(message, IOMMU_POLICY_GENL_NAME, IOMMU_POLICY_MCGRP_EVENTS, &family) >= 0)
		require(family.ours || (!family.id && !family.events));
	memset(text, 'x', sizeof(text));
	if (module_parse_ack(message, &error, text, sizeof(text)) >= 0) {
		require(error <= 0 && error >= -4095);
		require(memchr(text, '\0', sizeof(text)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *message, *buffer;
	int rest = (int)size;

	if (size == 0)
		return 0;
	/* Of its own and no byte longer, so that reading beyond it is seen. */
	buffer = malloc(size);
	require(buffer);
	memcpy(buffer, data, size);
	for (message = buffer; nlmsg_ok(message, rest); message = nlmsg_next(message, &rest)) {
		check_group(message);
		check_answers(message);
		check_control(message);
	}
	free(buffer);
	return 0;
}
