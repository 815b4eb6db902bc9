/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/in-use.h"
#include "daemon/in-use-sources.h"
#include "daemon/sysfs-session.h"
#include "tests/unit/fake-sysfs.h"

#define DEVICE "0000:01:00.0"
#define PLACE "devices/pci0000:00/0000:00:1c.0/" DEVICE

START_TEST(addresses)
{
	static const struct {
		const char *in, *text, *scope; /* NULL: none */
		bool link_local;
	} table[] = {
		{ "192.0.2.2", "192.0.2.2", "", false },
		{ "2001:db8::2", "2001:db8::2", "", false },
		{ "2001:0db8:0000:0000:0000:0000:0000:0002", "2001:db8::2", "", false },
		{ "[2001:db8::2]", "2001:db8::2", "", false },
		{ "fe80::2%eth0", "fe80::2", "eth0", true },
		{ "[fe80::2%3]", "fe80::2", "3", true },
		{ "febf::1", "febf::1", "", true },
		{ "fec0::1", "fec0::1", "", false },
		{ "169.254.1.1", "169.254.1.1", "", false },
		{ "", NULL, NULL, false },
		{ "[]", NULL, NULL, false },
		{ "[", NULL, NULL, false },
		{ "%", NULL, NULL, false },
		{ "fe80::2%", NULL, NULL, false },
		{ "fe80::2%0123456789abcdef", NULL, NULL, false },
		{ "192.0.2.2%eth0", NULL, NULL, false },
		{ "192.0.2.2 ", NULL, NULL, false },
		{ "192.0.2", NULL, NULL, false },
		{ "storage.example", NULL, NULL, false },
		{ "0000:01:00.0", NULL, NULL, false },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff", NULL, NULL, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct session_address found;
		bool ok = session_address_parse(table[i].in, &found);

		ck_assert_msg(ok == !!table[i].text, "'%s'", table[i].in);
		if (!ok)
			continue;
		ck_assert_str_eq(found.text, table[i].text);
		ck_assert_str_eq(found.scope, table[i].scope);
		ck_assert_int_eq(found.family, strchr(table[i].text, ':') ? AF_INET6 : AF_INET);
		ck_assert_int_eq(session_address_is_link_local(&found), table[i].link_local);
	}
}
END_TEST

START_TEST(option)
{
	static const char text[] = "traddr=192.0.2.2,trsvcid=4420,,empty=,host_traddr=192.0.2.1,src_addr=192.0.2.1";
	char value[12];

	ck_assert(session_option(text, "traddr", value, sizeof(value)));
	ck_assert_str_eq(value, "192.0.2.2");
	ck_assert(session_option(text, "host_traddr", value, sizeof(value)));
	ck_assert_str_eq(value, "192.0.2.1");
	ck_assert(session_option(text, "src_addr", value, sizeof(value)));
	ck_assert(!session_option(text, "empty", value, sizeof(value)));
	ck_assert(!session_option(text, "addr", value, sizeof(value)));
	ck_assert(!session_option(text, "host_iface", value, sizeof(value)));
	ck_assert(!session_option(text, "traddr", value, 9));
	ck_assert(session_option(text, "traddr", value, 10));
	ck_assert(!session_option("", "traddr", value, sizeof(value)));
	ck_assert(!session_option("traddr", "traddr", value, sizeof(value)));
}
END_TEST

START_TEST(fc_port)
{
	uint64_t port;

	ck_assert(session_fc_port("nn-0x20000090fa942779:pn-0x10000090FA942779", &port));
	ck_assert_uint_eq(port, 0x10000090fa942779);
	ck_assert(session_fc_port("0x10000090fa942779", &port));
	ck_assert_uint_eq(port, 0x10000090fa942779);
	ck_assert(!session_fc_port("", &port));
	ck_assert(!session_fc_port("pn-0x", &port));
	ck_assert(!session_fc_port("nn-0x20000090fa942779", &port));
	ck_assert(!session_fc_port("0x10000090fa94277", &port));
	ck_assert(!session_fc_port("0x10000090fa9427790", &port));
	ck_assert(!session_fc_port("0x-1000090fa942779", &port));
}
END_TEST

static void fake_nvme(const char *name, const char *transport, const char *address)
{
	fake_file(transport, "class/nvme/%s/transport", name);
	fake_file(address, "class/nvme/%s/address", name);
}

static void fake_iscsi(const char *name, const char *address, const char *persistent)
{
	_cleanup_free_ char *place = strf("devices/platform/host4/session1/%s/iscsi_connection/%s", name, name);

	if (address)
		fake_file(address, "%s/address", place);
	fake_file(persistent, "%s/persistent_address", place);
	fake_link(place, "class/iscsi_connection/%s", name);
	fake_file("iqn.2003-01.example:disk\n", "class/iscsi_session/session1/targetname");
}

START_TEST(sessions)
{
	struct sysfs_session *s;
	size_t n;

	ck_assert_int_eq(sysfs_sessions(&s, &n), 0);
	ck_assert_uint_eq(n, 0);
	free(s);
	fake_nvme("nvme0", "pcie\n", "0000:01:00.0\n");
	fake_nvme("nvme7", "loop\n", "\n");
	fake_file("tcp\n", "class/nvme/nvme9/other");
	ck_assert_int_eq(sysfs_sessions(&s, &n), 0);
	ck_assert_uint_eq(n, 0);
	free(s);
	fake_nvme("nvme1", "tcp\n", "traddr=fe80::2%eth0,trsvcid=4420,host_iface=eth1\n");
	ck_assert_int_eq(sysfs_sessions(&s, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(s->kind, SESSION_NVME);
	ck_assert_str_eq(s->name, "nvme1");
	ck_assert_str_eq(s->transport, "TCP");
	ck_assert(s->has_remote);
	ck_assert_str_eq(s->remote.text, "fe80::2");
	ck_assert_str_eq(s->remote.scope, "eth0");
	ck_assert_str_eq(s->interface, "eth1");
	free(s);
	fake_nvme("nvme1", "tcp\n", "traddr=192.0.2.2,host_iface=0123456789abcdef\n");
	ck_assert_int_eq(sysfs_sessions(&s, &n), -ENAMETOOLONG);
	fake_nvme("nvme1", "rdma\n", "traddr=nowhere\n");
	ck_assert_int_eq(sysfs_sessions(&s, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(s->transport, "RDMA");
	ck_assert(!s->has_remote);
	free(s);
}
END_TEST

START_TEST(iscsi)
{
	struct sysfs_session *s;
	size_t n;

	/* Nobody's; and one between two connections, whose address cannot be read. */
	fake_file("x", "class/iscsi_connection/other/address");
	fake_iscsi("connection1:0", NULL, "192.0.2.2\n");
	ck_assert_int_eq(sysfs_sessions(&s, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(s->kind, SESSION_ISCSI);
	ck_assert_str_eq(s->name, "1");
	ck_assert_str_eq(s->target, "iqn.2003-01.example:disk");
	ck_assert_str_eq(s->remote.text, "192.0.2.2");
	ck_assert_str_eq(s->interface, "");
	free(s);
}
END_TEST

/* The kernel's word has no scope, the other one no address. */
static const struct {
	const char *address, *persistent, *netdev;
	const char *text, *scope, *interface; /* text NULL: nothing is known */
} remotes[] = {
	{ "192.0.2.3\n", "192.0.2.2\n", "default\n", "192.0.2.3", "", "" },
	{ "192.0.2.3\n", "storage.example\n", "<NULL>\n", "192.0.2.3", "", "" },
	{ "fe80:0000:0000:0000:0000:0000:0000:0002\n", "fe80::2%eth0\n", "(null)\n", "fe80::2", "eth0", "" },
	{ "\n", "storage.example\n", "eth2\n", NULL, NULL, "eth2" },
};

START_TEST(iscsi_remote)
{
	struct sysfs_session *s;
	size_t n;

	fake_iscsi("connection1:0", remotes[_i].address, remotes[_i].persistent);
	fake_file(remotes[_i].netdev, "class/iscsi_host/host4/netdev");
	ck_assert_int_eq(sysfs_sessions(&s, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(s->has_remote, !!remotes[_i].text);
	if (s->has_remote) {
		ck_assert_str_eq(s->remote.text, remotes[_i].text);
		ck_assert_str_eq(s->remote.scope, remotes[_i].scope);
	}
	ck_assert_str_eq(s->interface, remotes[_i].interface);
	free(s);
}
END_TEST

static const struct net_link links[] = {
	{ .index = 3, .name = "eth0", .up = true, .master = 5 },
	{ .index = 4, .name = "eth1", .up = true },
	{ .index = 5, .name = "bond0", .kind = "bond", .up = true },
	{ .index = 6, .name = "bond0.7", .kind = "vlan", .up = true, .lower = 5, .master = 7 },
	{ .index = 7, .name = "br0", .kind = "bridge", .up = true },
	{ .index = 8, .name = "veth0", .up = true, .lower = 9 },
	{ .index = 9, .name = "veth1", .up = true, .lower = 8 },
	{ .index = 0 },
};

START_TEST(stands_on)
{
	static const struct {
		int upper, lower, expected;
	} table[] = {
		{ 3, 3, 1 }, { 5, 3, 1 }, { 6, 3, 1 }, { 7, 3, 1 }, { 7, 6, 1 },	{ 7, 4, 0 },  { 3, 5, 0 },
		{ 4, 3, 0 }, { 8, 9, 1 }, { 8, 3, 0 }, { 7, 8, 0 }, { 77, 3, -ENODEV }, { 7, 77, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		ck_assert_msg(net_use_stands_on(links, ARRAY_LEN(links), table[i].upper, table[i].lower) ==
				      table[i].expected,
			      "%d on %d", table[i].upper, table[i].lower);
}
END_TEST

/* What is said of eth0 and eth1 while there is a session; NULL: nothing. "?" and what: it cannot be told. */
static void check_ways(const char *expected)
{
	static const struct sysfs_interface interfaces[] = { { "eth0", 3 }, { "eth1", 4 } };
	struct uses uses = {};
	char *text;
	int r;

	ck_assert_int_eq(in_use_session(links, ARRAY_LEN(links), interfaces, ARRAY_LEN(interfaces), &uses), 0);
	r = uses_tell(&uses, &text);
	if (!expected)
		ck_assert_msg(r == 0, "%d %s", r, strempty(text));
	else if (*expected == '?')
		ck_assert_msg(r < 0 && text && strcmp(text, expected + 1) == 0, "%d %s", r, strempty(text));
	else
		ck_assert_msg(r == 1 && strcmp(text, expected) == 0, "%d %s", r, strempty(text));
	free(text);
	uses_clear(&uses);
}

START_TEST(ways)
{
	check_ways(NULL);
	fake_nvme("nvme0", "pcie\n", "0000:01:00.0\n");
	check_ways(NULL);
	fake_nvme("nvme1", "tcp\n", "traddr=fe80::2%eth1,trsvcid=4420\n");
	check_ways("eth1 carries the NVMe over TCP session nvme1 to fe80::2");
	/* By number, as the kernel takes it, too. */
	fake_nvme("nvme1", "rdma\n", "traddr=fe80::2%4,trsvcid=4420\n");
	check_ways("eth1 carries the NVMe over RDMA session nvme1 to fe80::2");
	fake_nvme("nvme1", "tcp\n", "traddr=192.0.2.2,host_iface=br0\n");
	check_ways("eth0 carries the NVMe over TCP session nvme1 to 192.0.2.2");
	fake_nvme("nvme1", "tcp\n", "traddr=192.0.2.2,host_iface=veth0\n");
	check_ways(NULL);
	fake_nvme("nvme1", "tcp\n", "traddr=192.0.2.2,host_iface=gone\n");
	check_ways("?cannot tell which way the NVMe over TCP session nvme1 to 192.0.2.2 goes: No such device");
	fake_nvme("nvme1", "tcp\n", "traddr=fe80::2\n");
	check_ways("?cannot tell which way the NVMe over TCP session nvme1 to fe80::2 goes: No data available");
	fake_nvme("nvme1", "tcp\n", "garbage\n");
	check_ways("?cannot tell which way the NVMe over TCP session nvme1 goes: No data available");
	fake_nvme("nvme1", "pcie\n", "garbage\n");
	fake_iscsi("connection1:0", NULL, "fe80::2%eth1\n");
	check_ways("eth1 carries the iSCSI session 1 to iqn.2003-01.example:disk at fe80::2");
	/* A word that is no interface's is none; one that is, is what counts. */
	fake_file("host4\n", "class/iscsi_host/host4/netdev");
	check_ways("eth1 carries the iSCSI session 1 to iqn.2003-01.example:disk at fe80::2");
	fake_file("bond0\n", "class/iscsi_host/host4/netdev");
	check_ways("eth0 carries the iSCSI session 1 to iqn.2003-01.example:disk at fe80::2");
}
END_TEST

START_TEST(fibre_channel)
{
	struct sysfs_fc_host *hosts;
	struct uses uses = {};
	char *text;
	size_t n;

	fake_group(5, "DMA");
	fake_device(DEVICE, 5, NULL);
	ck_assert_int_eq(sysfs_fc_hosts_below(DEVICE, &hosts, &n), 0);
	ck_assert_uint_eq(n, 0);
	free(hosts);
	fake_file("0x10000090fa942779\n", PLACE "/host3/fc_host/host3/port_name");
	fake_link(PLACE "/host3/fc_host/host3", "class/fc_host/host3");
	fake_file("0x10000090fa94277a\n", "devices/other/host4/port_name");
	fake_link("devices/other/host4", "class/fc_host/host4");
	ck_assert_int_eq(sysfs_fc_hosts_below(DEVICE, &hosts, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(hosts[0].name, "host3");
	free(hosts);
	/* By the other port; by this one; and who knows. */
	fake_nvme("nvme1", "fc\n", "traddr=nn-0x1:pn-0x2,host_traddr=nn-0x20000090fa94277a:pn-0x10000090fa94277a\n");
	ck_assert_int_eq(in_use_fc(DEVICE, &uses), 0);
	ck_assert_int_eq(uses_tell(&uses, &text), 0);
	fake_nvme("nvme1", "fc\n", "traddr=nn-0x1:pn-0x2,host_traddr=nn-0x20000090fa942779:pn-0x10000090fa942779\n");
	ck_assert_int_eq(in_use_fc(DEVICE, &uses), 0);
	ck_assert_int_eq(uses_tell(&uses, &text), 1);
	ck_assert_str_eq(text, "host3 carries the NVMe over FC session nvme1");
	free(text);
	uses_clear(&uses);
	fake_nvme("nvme1", "fc\n", "traddr=nn-0x1:pn-0x2\n");
	ck_assert_int_eq(in_use_fc(DEVICE, &uses), 0);
	ck_assert_int_eq(uses_tell(&uses, &text), -ENODATA);
	free(text);
	uses_clear(&uses);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session");
	TCase *tc = tcase_create("session");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, fake_sysfs_make, fake_sysfs_remove);
	tcase_add_test(tc, addresses);
	tcase_add_test(tc, option);
	tcase_add_test(tc, fc_port);
	tcase_add_test(tc, sessions);
	tcase_add_test(tc, iscsi);
	tcase_add_loop_test(tc, iscsi_remote, 0, ARRAY_LEN(remotes));
	tcase_add_test(tc, stands_on);
	tcase_add_test(tc, ways);
	tcase_add_test(tc, fibre_channel);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
