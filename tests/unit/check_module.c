/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <string.h>

#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "daemon/module-link.h"
#include "daemon/module-message.h"
#include "daemon/util.h"

#define NIC "0000:01:00.0"
#define NIC2 "10000:e1:00.7"
#define FAMILY 33

static struct nl_msg *new_message(uint8_t command)
{
	struct nl_msg *message = nlmsg_alloc();

	ck_assert_ptr_nonnull(message);
	ck_assert_ptr_nonnull(genlmsg_put(message, 0, 7, FAMILY, 0, 0, command, 1));
	return message;
}

static void put_holder(struct nl_msg *message, int attribute, uint32_t portid, uint32_t pid)
{
	struct nlattr *nest = nla_nest_start(message, attribute);

	nla_put_u32(message, IOMMU_POLICY_HOLDER_A_PORTID, portid);
	nla_put_u32(message, IOMMU_POLICY_HOLDER_A_PID, pid);
	nla_nest_end(message, nest);
}

static void put_device(struct nl_msg *message, const char *address, uint32_t flags)
{
	struct nlattr *nest = nla_nest_start(message, IOMMU_POLICY_A_DEVICE_ENTRY);

	nla_put_string(message, IOMMU_POLICY_DEVICE_A_ADDRESS, address);
	nla_put_u32(message, IOMMU_POLICY_DEVICE_A_FLAGS, flags);
	nla_nest_end(message, nest);
}

static struct nl_msg *group_message(void)
{
	struct nl_msg *message = new_message(IOMMU_POLICY_CMD_GROUP_GET);
	struct nlattr *devices;

	nla_put_u32(message, IOMMU_POLICY_A_GROUP, 12);
	nla_put_u32(message, IOMMU_POLICY_A_OWNER, IOMMU_POLICY_OWNER_POLICY);
	nla_put_u32(message, IOMMU_POLICY_A_DOMAIN, IOMMU_POLICY_DOMAIN_BLOCKED);
	put_holder(message, IOMMU_POLICY_A_CLAIM, 0, 4711);
	devices = nla_nest_start(message, IOMMU_POLICY_A_DEVICES);
	put_device(message, NIC, IOMMU_POLICY_DEVICE_F_GATED);
	put_device(message, NIC2, IOMMU_POLICY_DEVICE_F_BOUND);
	nla_nest_end(message, devices);
	/* Of a later version. */
	nla_put_u32(message, IOMMU_POLICY_A_MAX + 3, 1);
	return message;
}

START_TEST(group)
{
	struct nl_msg *message = group_message();
	struct module_group found;

	ck_assert_int_eq(module_parse_group(nlmsg_hdr(message), &found), 0);
	ck_assert_uint_eq(found.id, 12);
	ck_assert_int_eq(found.owner, IOMMU_POLICY_OWNER_POLICY);
	ck_assert(found.claim.present && found.claim.portid == 0 && found.claim.pid == 4711);
	ck_assert(!found.hold.present && !found.bracket.present && !found.truncated);
	ck_assert_uint_eq(found.n_devices, 2);
	ck_assert_str_eq(found.devices[0].address, NIC);
	ck_assert_uint_eq(found.devices[0].flags, IOMMU_POLICY_DEVICE_F_GATED);
	ck_assert_str_eq(found.devices[1].address, NIC2);
	module_group_clear(&found);
	nlmsg_free(message);
}
END_TEST

/* Each makes a message that is not to be believed. */
static void without_group(struct nl_msg *message)
{
	nla_put_u32(message, IOMMU_POLICY_A_OWNER, 0);
}

static void without_owner(struct nl_msg *message)
{
	nla_put_u32(message, IOMMU_POLICY_A_GROUP, 1);
}

static void unknown_owner(struct nl_msg *message)
{
	nla_put_u32(message, IOMMU_POLICY_A_GROUP, 1);
	nla_put_u32(message, IOMMU_POLICY_A_OWNER, 4);
}

static void huge_group(struct nl_msg *message)
{
	nla_put_u32(message, IOMMU_POLICY_A_GROUP, 0x80000000);
	nla_put_u32(message, IOMMU_POLICY_A_OWNER, 0);
}

static void short_number(struct nl_msg *message)
{
	nla_put_u16(message, IOMMU_POLICY_A_GROUP, 1);
	nla_put_u32(message, IOMMU_POLICY_A_OWNER, 0);
}

static void long_number(struct nl_msg *message)
{
	nla_put_u64(message, IOMMU_POLICY_A_GROUP, 1);
	nla_put_u32(message, IOMMU_POLICY_A_OWNER, 0);
}

static void put_bad_device(struct nl_msg *message, const void *address, int length)
{
	struct nlattr *devices, *entry;

	nla_put_u32(message, IOMMU_POLICY_A_GROUP, 1);
	nla_put_u32(message, IOMMU_POLICY_A_OWNER, 0);
	devices = nla_nest_start(message, IOMMU_POLICY_A_DEVICES);
	entry = nla_nest_start(message, IOMMU_POLICY_A_DEVICE_ENTRY);
	if (address)
		nla_put(message, IOMMU_POLICY_DEVICE_A_ADDRESS, length, address);
	nla_put_u32(message, IOMMU_POLICY_DEVICE_A_FLAGS, 0);
	nla_nest_end(message, entry);
	nla_nest_end(message, devices);
}

static void device_without_address(struct nl_msg *message)
{
	put_bad_device(message, NULL, 0);
}

static void device_elsewhere(struct nl_msg *message)
{
	put_bad_device(message, "../../etc/passwd", 17);
}

static void address_without_end(struct nl_msg *message)
{
	put_bad_device(message, NIC, 12);
}

static void address_too_long(struct nl_msg *message)
{
	put_bad_device(message, "0000:01:00.0xxxxxxxxxxxxxxxxxxxx", 33);
}

static void empty_address(struct nl_msg *message)
{
	put_bad_device(message, "", 1);
}

static void holder_of_text(struct nl_msg *message)
{
	nla_put_u32(message, IOMMU_POLICY_A_GROUP, 1);
	nla_put_u32(message, IOMMU_POLICY_A_OWNER, 0);
	nla_put(message, IOMMU_POLICY_A_HOLDER, 9, "\x09\x00\x02\x00somebody");
}

static void (*const bad_groups[])(struct nl_msg *message) = {
	without_group,	      without_owner,	unknown_owner,	     huge_group,       short_number, long_number,
	device_without_address, device_elsewhere, address_without_end, address_too_long, empty_address, holder_of_text,
};

START_TEST(bad_group)
{
	struct nl_msg *message = new_message(IOMMU_POLICY_CMD_GROUP_GET);
	struct module_group found;

	bad_groups[_i](message);
	ck_assert_int_eq(module_parse_group(nlmsg_hdr(message), &found), -EBADMSG);
	nlmsg_free(message);
}
END_TEST

START_TEST(done)
{
	struct nl_msg *message = new_message(IOMMU_POLICY_CMD_DONE);
	struct module_done found;

	nla_put_u32(message, IOMMU_POLICY_A_COMMAND, IOMMU_POLICY_CMD_GATE_RELEASE);
	ck_assert_int_eq(module_parse_done(nlmsg_hdr(message), &found), -EBADMSG);
	nla_put_u64(message, IOMMU_POLICY_A_COOKIE, 0x1122334455667788);
	nla_put_u32(message, IOMMU_POLICY_A_ERROR, EBUSY);
	nla_put_string(message, IOMMU_POLICY_A_DEVICE, NIC);
	put_holder(message, IOMMU_POLICY_A_HOLDER, 5, 6);
	ck_assert_int_eq(module_parse_done(nlmsg_hdr(message), &found), 0);
	ck_assert_int_eq(found.command, IOMMU_POLICY_CMD_GATE_RELEASE);
	ck_assert_uint_eq(found.cookie, 0x1122334455667788);
	ck_assert_int_eq(found.error, -EBUSY);
	ck_assert_str_eq(found.device, NIC);
	ck_assert(!found.has_group && found.holder.present && found.holder.pid == 6);
	nlmsg_free(message);

	message = new_message(IOMMU_POLICY_CMD_DONE);
	nla_put_u32(message, IOMMU_POLICY_A_COMMAND, IOMMU_POLICY_CMD_HOLD);
	nla_put_u32(message, IOMMU_POLICY_A_ERROR, 0x80000005);
	ck_assert_int_eq(module_parse_done(nlmsg_hdr(message), &found), -EBADMSG);
	nlmsg_free(message);
}
END_TEST

START_TEST(event)
{
	struct nl_msg *message = new_message(IOMMU_POLICY_CMD_EVENT);
	struct module_event found;

	ck_assert_int_eq(module_parse_event(nlmsg_hdr(message), &found), -EBADMSG);
	nla_put_u32(message, IOMMU_POLICY_A_EVENT, IOMMU_POLICY_EVENT_GATE_HELD);
	nla_put_u32(message, IOMMU_POLICY_A_GROUP, 0);
	nla_put_string(message, IOMMU_POLICY_A_DEVICE, NIC);
	ck_assert_int_eq(module_parse_event(nlmsg_hdr(message), &found), 0);
	ck_assert_int_eq(found.event, IOMMU_POLICY_EVENT_GATE_HELD);
	ck_assert(found.has_group && found.group == 0);
	ck_assert_str_eq(found.device, NIC);
	nlmsg_free(message);
}
END_TEST

START_TEST(info)
{
	struct nl_msg *message = new_message(IOMMU_POLICY_CMD_INFO_GET);
	struct module_info found;
	struct nlattr *gate;

	nla_put_u32(message, IOMMU_POLICY_A_VERSION, 1);
	ck_assert_int_eq(module_parse_info(nlmsg_hdr(message), &found), 0);
	ck_assert(!found.gate_armed);
	gate = nla_nest_start(message, IOMMU_POLICY_A_GATE);
	nla_put_u32(message, IOMMU_POLICY_GATE_A_FLAGS, IOMMU_POLICY_GATE_F_STICKY);
	nla_put_u32(message, IOMMU_POLICY_GATE_A_PID, 99);
	nla_nest_end(message, gate);
	ck_assert_int_eq(module_parse_info(nlmsg_hdr(message), &found), 0);
	ck_assert(found.gate_armed && found.gate_flags == IOMMU_POLICY_GATE_F_STICKY && found.gate_pid == 99);
	nlmsg_free(message);
}
END_TEST

static struct nl_msg *family_message(const char *name, const char *mcast)
{
	struct nl_msg *message = nlmsg_alloc();
	struct nlattr *groups, *entry;

	genlmsg_put(message, 0, 1, GENL_ID_CTRL, 0, 0, CTRL_CMD_NEWFAMILY, 2);
	nla_put_string(message, CTRL_ATTR_FAMILY_NAME, name);
	nla_put_u16(message, CTRL_ATTR_FAMILY_ID, 31);
	nla_put_u32(message, CTRL_ATTR_VERSION, 1);
	groups = nla_nest_start(message, CTRL_ATTR_MCAST_GROUPS);
	entry = nla_nest_start(message, 1);
	nla_put_string(message, CTRL_ATTR_MCAST_GRP_NAME, mcast);
	nla_put_u32(message, CTRL_ATTR_MCAST_GRP_ID, 17);
	nla_nest_end(message, entry);
	nla_nest_end(message, groups);
	return message;
}

START_TEST(family)
{
	struct nl_msg *message = family_message("iommu_policy", "events");
	struct module_family found;

	ck_assert_int_eq(module_parse_family(nlmsg_hdr(message), "iommu_policy", "events", &found), 0);
	ck_assert(found.ours && found.id == 31 && found.version == 1 && found.events == 17);
	ck_assert_int_eq(module_parse_family(nlmsg_hdr(message), "iommu_policy2", "events", &found), 0);
	ck_assert(!found.ours);
	ck_assert_int_eq(module_parse_family(nlmsg_hdr(message), "iommu_policy", "notify", &found), 0);
	ck_assert(found.ours && found.events == 0);
	nlmsg_free(message);
}
END_TEST

/* As netlink_ack() writes it: what was asked, unless capped, and then the words. */
static struct nl_msg *ack_message(int error, bool capped, const char *text)
{
	struct nl_msg *message = nlmsg_alloc();
	struct nlmsgerr body = { .error = error, .msg.nlmsg_len = NLMSG_HDRLEN + 8 };
	uint64_t asked = 0x0102030405060708;

	nlmsg_put(message, 0, 7, NLMSG_ERROR, 0,
		  (capped ? NLM_F_CAPPED : 0) | (text ? NLM_F_ACK_TLVS : 0));
	nlmsg_append(message, &body, sizeof(body), 0);
	if (!capped)
		nlmsg_append(message, &asked, sizeof(asked), 0);
	if (text)
		nla_put_string(message, NLMSGERR_ATTR_MSG, text);
	return message;
}

START_TEST(ack)
{
	static const struct {
		int error;
		bool capped;
		const char *text;
	} table[] = {
		{ 0, true, NULL },	  { -EBUSY, true, NULL },   { -EBUSY, false, NULL },
		{ -EBUSY, true, "taken" }, { -EBUSY, false, "taken" },
	};
	char text[64];
	int error;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct nl_msg *message = ack_message(table[i].error, table[i].capped, table[i].text);

		ck_assert_int_eq(module_parse_ack(nlmsg_hdr(message), &error, text, sizeof(text)), 0);
		ck_assert_int_eq(error, table[i].error);
		ck_assert_str_eq(text, strempty(table[i].text));
		nlmsg_free(message);
	}
	{
		struct nl_msg *message = ack_message(EBUSY, true, NULL);

		ck_assert_int_eq(module_parse_ack(nlmsg_hdr(message), &error, text, sizeof(text)), -EBADMSG);
		nlmsg_free(message);
	}
	{
		struct nl_msg *message = ack_message(-EBUSY, false, "a text that is longer than there is room for it here");
		char few[8];

		ck_assert_int_eq(module_parse_ack(nlmsg_hdr(message), &error, few, sizeof(few)), 0);
		ck_assert_str_eq(few, "a text ");
		nlmsg_free(message);
	}
}
END_TEST

static struct nl_msg *done_message(void)
{
	struct nl_msg *message = new_message(IOMMU_POLICY_CMD_DONE);

	nla_put_u32(message, IOMMU_POLICY_A_COMMAND, IOMMU_POLICY_CMD_CLAIM);
	nla_put_u32(message, IOMMU_POLICY_A_ERROR, EBUSY);
	nla_put_string(message, IOMMU_POLICY_A_DEVICE, NIC);
	put_holder(message, IOMMU_POLICY_A_HOLDER, 5, 6);
	return message;
}

/* Whatever is in it, nothing is read beyond its end: sanitizers and valgrind would tell. */
static void take_apart(const struct nlmsghdr *original, size_t length, unsigned damage)
{
	_cleanup_free_ unsigned char *copy = malloc(length);
	struct nlmsghdr *message = (struct nlmsghdr *)copy;
	struct module_family found_family;
	struct module_group found_group;
	struct module_event found_event;
	struct module_done found_done;
	struct module_info found_info;
	char text[16];
	int error;

	memcpy(copy, original, length);
	for (unsigned i = 0; i < damage; i++)
		copy[NLMSG_HDRLEN + (size_t)rand() % (length - NLMSG_HDRLEN)] = (unsigned char)rand();
	message->nlmsg_len = (uint32_t)length;
	message->nlmsg_flags = (uint16_t)rand();
	if (module_parse_group(message, &found_group) == 0) {
		for (size_t i = 0; i < found_group.n_devices; i++)
			ck_assert(address_is_valid(found_group.devices[i].address));
		module_group_clear(&found_group);
	}
	if (module_parse_done(message, &found_done) == 0)
		ck_assert(found_done.error <= 0 && found_done.error >= -4095);
	module_parse_event(message, &found_event);
	module_parse_info(message, &found_info);
	module_parse_family(message, "iommu_policy", "events", &found_family);
	module_parse_ack(message, &error, text, sizeof(text));
}

START_TEST(garbage)
{
	const char *rounds = getenv("TEST_ROUNDS");
	unsigned n = rounds ? (unsigned)atoi(rounds) : 2000;
	struct nl_msg *originals[] = {
		group_message(),
		done_message(),
		family_message("iommu_policy", "events"),
		ack_message(-EBUSY, false, "taken"),
		ack_message(-EBUSY, true, "taken"),
	};

	srand(1);
	for (size_t i = 0; i < ARRAY_LEN(originals); i++) {
		const struct nlmsghdr *original = nlmsg_hdr(originals[i]);

		for (size_t length = NLMSG_HDRLEN + 1; length <= original->nlmsg_len; length++)
			take_apart(original, length, 0);
		for (unsigned j = 0; j < n; j++)
			take_apart(original, original->nlmsg_len, 1 + (unsigned)rand() % 4);
		nlmsg_free(originals[i]);
	}
}
END_TEST

/* A command gets what it takes, and nothing that the module would refuse. */
START_TEST(requests)
{
	static const struct {
		struct module_request request;
		bool group, device, flags, cookie, gate;
	} table[] = {
		{ { .command = IOMMU_POLICY_CMD_GROUP_GET, .dump = true, .cookie = 5 }, 0, 0, 0, 0, 0 },
		{ { .command = IOMMU_POLICY_CMD_GROUP_GET, .has_group = true, .cookie = 5 }, 1, 0, 0, 0, 0 },
		{ { .command = IOMMU_POLICY_CMD_HOLD, .has_group = true, .cookie = 5 }, 1, 0, 0, 1, 0 },
		{ { .command = IOMMU_POLICY_CMD_BRACKET_BEGIN, .has_group = true, .cookie = 5 }, 1, 0, 0, 0, 0 },
		{ { .command = IOMMU_POLICY_CMD_GATE_RELEASE, .device = NIC, .flags = 1, .cookie = 5 }, 0, 1, 1, 1, 0 },
		{ { .command = IOMMU_POLICY_CMD_GATE_ARM, .gate_timeout_ms = 100, .cookie = 5 }, 0, 0, 0, 0, 1 },
		{ { .command = IOMMU_POLICY_CMD_GATE_DISARM, .cookie = 5 }, 0, 0, 0, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct nl_msg *message = module_message_make(FAMILY, 5, &table[i].request);
		struct nlattr *found[IOMMU_POLICY_A_MAX + 1];

		ck_assert_ptr_nonnull(message);
		ck_assert_int_eq(genlmsg_parse(nlmsg_hdr(message), 0, found, IOMMU_POLICY_A_MAX, NULL), 0);
		ck_assert_int_eq(nlmsg_hdr(message)->nlmsg_type, FAMILY);
		ck_assert_uint_eq(nlmsg_hdr(message)->nlmsg_seq, 5);
		ck_assert_int_eq(genlmsg_hdr(nlmsg_hdr(message))->cmd, table[i].request.command);
		ck_assert(!!found[IOMMU_POLICY_A_GROUP] == table[i].group);
		ck_assert(!!found[IOMMU_POLICY_A_DEVICE] == table[i].device);
		ck_assert(!!found[IOMMU_POLICY_A_FLAGS] == table[i].flags);
		ck_assert(!!found[IOMMU_POLICY_A_COOKIE] == table[i].cookie);
		ck_assert(!!found[IOMMU_POLICY_A_GATE] == table[i].gate);
		nlmsg_free(message);
	}
}
END_TEST

START_TEST(holder_text)
{
	struct module_holder self = { .present = true, .pid = (uint32_t)getpid() };
	struct module_holder nobody = { .present = true, .pid = 0x7fffffff };
	_cleanup_free_ char *text = module_holder_describe(&self);
	_cleanup_free_ char *none = module_holder_describe(&nobody);
	_cleanup_free_ char *expected = strf("process %u (", self.pid);

	ck_assert_ptr_nonnull(text);
	ck_assert(strncmp(text, expected, strlen(expected)) == 0);
	ck_assert_str_eq(none, "process 2147483647");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("module");
	TCase *tc = tcase_create("module");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, group);
	tcase_add_loop_test(tc, bad_group, 0, ARRAY_LEN(bad_groups));
	tcase_add_test(tc, done);
	tcase_add_test(tc, event);
	tcase_add_test(tc, info);
	tcase_add_test(tc, family);
	tcase_add_test(tc, ack);
	tcase_add_test(tc, garbage);
	tcase_add_test(tc, requests);
	tcase_add_test(tc, holder_text);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
