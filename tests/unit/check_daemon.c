/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/fence.h"
#include "daemon/inventory.h"
#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/record.h"
#include "daemon/settings.h"
#include "daemon/sysfs-virtual.h"
#include "daemon/sysfs.h"
#include "daemon/util.h"
#include "daemon/way.h"
#include "tests/unit/fake-sysfs.h"

#define NIC "0000:01:00.0"
#define NIC2 "0000:01:00.1"

START_TEST(address_valid)
{
	static const struct {
		const char *text;
		bool valid;
	} table[] = {
		{ "0000:00:00.0", true },  { "0000:3b:1f.7", true },   { "10000:00:00.0", true },
		{ "fffffffff:00:0.0", 0 }, { "0000:00:00.8", false },  { "000:00:00.0", false },
		{ "0000:00:00", false },   { "0000:00:00.0 ", false }, { "0000:0G:00.0", false },
		{ "0000:3B:00.0", false }, { "", false },	       { "../0000:00:00.0", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		ck_assert_msg(address_is_valid(table[i].text) == table[i].valid, "%s", table[i].text);
}
END_TEST

START_TEST(command_line)
{
	static const struct {
		const char *words[3];
		int status; /* -1: it goes on */
	} table[] = {
		{ { NULL }, -1 },
		{ { "--put-back" }, -1 },
		{ { "--once", "--config=/dev/null" }, -1 },
		{ { "--once", "--types-only" }, -1 },
		{ { "--types-only" }, 2 },
		{ { "--types-only", "--put-back" }, 2 },
		{ { "--put-back", "--once" }, 2 },
		{ { "--config=/dev/null", "--put-back" }, 2 },
		{ { "--version" }, 0 },
		{ { "--nonsense" }, 2 },
		{ { "nonsense" }, 2 },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char *argv[ARRAY_LEN(table[i].words) + 2] = { (char *)"iommu-policyd" };
		struct options options;
		int argc = 1, status;

		for (; table[i].words[argc - 1]; argc++)
			argv[argc] = (char *)table[i].words[argc - 1];
		optind = 0; /* from the beginning, getopt(3) */
		if (!options_parse(argc, argv, &options, &status))
			status = -1;
		ck_assert_msg(status == table[i].status, "%zu: %d", i, status);
	}
}
END_TEST

START_TEST(device_attributes)
{
	struct sysfs_device device;
	unsigned group;
	char *driver;

	fake_group(5, "DMA");
	fake_driver("e1000e");
	fake_device(NIC, 5, "e1000e");
	ck_assert_int_eq(sysfs_read_device(NIC, &device), 0);
	ck_assert_uint_eq(device.vendor, 0x8086);
	ck_assert_uint_eq(device.subdevice, 0xa01f);
	ck_assert_uint_eq(device.class_code, 0x020000);
	ck_assert(!device.bridge && !device.removable && !device.virtual_function && !device.multifunction);
	ck_assert_str_eq(device.iommu, "dmar0");
	ck_assert_uint_eq(strv_len(device.parents), 1);
	ck_assert_str_eq(device.parents[0], "0000:00:1c.0");
	sysfs_device_clear(&device);
	ck_assert_int_eq(sysfs_device_group(NIC, &group), 0);
	ck_assert_uint_eq(group, 5);
	ck_assert_int_eq(sysfs_device_driver(NIC, &driver), 0);
	ck_assert_str_eq(driver, "e1000e");
	free(driver);
	ck_assert_int_eq(sysfs_read_device("0000:09:00.0", &device), -ENOENT);
	ck_assert_int_eq(sysfs_read_device("../../etc", &device), -EINVAL);
}
END_TEST

/* The link comes after the event; the address is known from the beginning. */
START_TEST(virtual_functions)
{
	static const struct {
		const char *address, *offset, *stride;
		bool is;
	} table[] = {
		{ "0000:01:00.1", "1\n", "1\n", true },
		{ "0000:01:01.7", "1\n", "1\n", true }, /* the fifteenth */
		{ "0000:01:02.0", "1\n", "1\n", false }, /* there are fifteen */
		{ "0000:01:10.0", "128\n", "2\n", true },
		{ "0000:01:10.1", "128\n", "2\n", false }, /* of another physical function */
		{ "0000:02:00.0", "256\n", "2\n", true }, /* on the next bus */
		{ "0000:01:00.4", "4\n", "0\n", true },
		{ "0000:01:00.5", "4\n", "0\n", false },
		{ "0000:01:00.1", "2\n", "1\n", false }, /* a second physical function */
		{ "0000:01:00.1", "0\n", "1\n", false },
		{ "0000:01:00.1", "x\n", "1\n", false },
		{ "0000:01:00.1", "-1\n", "1\n", false },
		{ "0001:01:00.1", "1\n", "1\n", false },
	};
	bool is = false;

	fake_group(5, "DMA");
	fake_group(6, "DMA");
	fake_device(NIC, 5, NULL);
	fake_file("15\n", "bus/pci/devices/" NIC "/sriov_totalvfs");
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		fake_file(table[i].offset, "bus/pci/devices/" NIC "/sriov_offset");
		fake_file(table[i].stride, "bus/pci/devices/" NIC "/sriov_stride");
		fake_device(table[i].address, 6, NULL);
		ck_assert_int_eq(sysfs_is_virtual_function(table[i].address, &is), 0);
		ck_assert_msg(is == table[i].is, "%zu", i);
		ck_assert_int_eq(sysfs_is_virtual_function(NIC, &is), 0);
		ck_assert(!is);
		fake_unplug(table[i].address, 6);
		fake_group(6, "DMA");
	}
	fake_device("0000:01:00.1", 6, NULL);
	fake_link("../" NIC, "bus/pci/devices/0000:01:00.1/physfn");
	ck_assert_int_eq(sysfs_is_virtual_function("0000:01:00.1", &is), 0);
	ck_assert(is);
	ck_assert_int_eq(sysfs_is_virtual_function("0000:07:00.0", &is), -ENOENT);
}
END_TEST

START_TEST(device_garbage)
{
	static const char *const values[] = { "", "0x\n", "12345\n", "0x8086 \n", "zz\n", "-1\n" };
	struct sysfs_device device;

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		fake_file("", "bus/pci/drivers/none/bind");
		fake_group(5, "DMA");
		if (i == 0)
			fake_device(NIC, 5, NULL);
		fake_file(values[i], "devices/pci0000:00/0000:00:1c.0/" NIC "/vendor");
		ck_assert_msg(sysfs_read_device(NIC, &device) < 0, "'%s' was taken", values[i]);
	}
}
END_TEST

START_TEST(group_attributes)
{
	_cleanup_strv_ char **pci = NULL;
	_cleanup_strv_ char **other = NULL;
	struct sysfs_region *regions;
	enum domain type;
	size_t n;
	int fd;

	fake_group(7, "DMA-FQ");
	fake_device(NIC2, 7, NULL);
	fake_device(NIC, 7, NULL);
	fake_file("", "kernel/iommu_groups/7/devices/arm-smmu.0");
	fake_file("0x0000000000000000 0x0000000000ffffff direct\n"
		  "0x00000000fee00000 0x00000000feefffff direct-relaxable\n",
		  "kernel/iommu_groups/7/reserved_regions");
	fd = sysfs_open_group(7);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sysfs_group_devices(fd, &pci, &other), 0);
	ck_assert_uint_eq(strv_len(pci), 2);
	ck_assert_str_eq(pci[0], NIC);
	ck_assert_str_eq(other[0], "arm-smmu.0");
	ck_assert_int_eq(sysfs_group_type(fd, &type), 0);
	ck_assert_int_eq(type, DOMAIN_DMA_FQ);
	ck_assert_int_eq(sysfs_group_regions(fd, &regions, &n), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(regions[1].kind, "direct-relaxable");
	ck_assert_uint_eq(regions[1].start, 0xfee00000);
	free(regions);
	fake_file("nonsense\n", "kernel/iommu_groups/7/reserved_regions");
	ck_assert_int_eq(sysfs_group_regions(fd, &regions, &n), -EBADMSG);
	fake_file("blocked\n", "kernel/iommu_groups/7/type");
	ck_assert_int_eq(sysfs_group_type(fd, &type), 0);
	ck_assert_int_eq(type, DOMAIN_NONE);
	close(fd);
}
END_TEST

START_TEST(record_round_trip)
{
	_cleanup_(transaction_freep) struct transaction *t = calloc(1, sizeof(*t));
	_cleanup_(transaction_freep) struct transaction *back = NULL;
	struct transaction_device first = {
		.address = (char *)NIC,
		.driver = (char *)"e1000e",
		.override = (char *)"vfio-pci",
		.wanted = (char *)"nvme",
		.fresh = true,
		.pinned = true,
		.unbound = true,
		.id = 0x808610d38086a01f,
	};
	struct transaction_device second = { .address = (char *)NIC2, .bridge = true };
	unsigned *list;
	size_t n;

	t->group = 12;
	t->from = DOMAIN_DMA;
	t->to = DOMAIN_IDENTITY;
	t->step = STEP_UNFENCE;
	t->fence = &fence_module;
	t->quarantined = true;
	ck_assert_int_eq(transaction_add_device(t, &first), 0);
	ck_assert_int_eq(transaction_add_device(t, &second), 0);
	ck_assert_int_eq(record_write(fake_sysfs_root(), t), 0);
	ck_assert_int_eq(record_list(fake_sysfs_root(), &list, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(list[0], 12);
	free(list);
	ck_assert_int_eq(record_read(fake_sysfs_root(), 12, &back), 0);
	ck_assert_int_eq(back->step, STEP_UNFENCE);
	ck_assert_int_eq(back->from, DOMAIN_DMA);
	ck_assert_ptr_eq(back->fence, &fence_module);
	ck_assert(back->quarantined && !back->claimed);
	ck_assert_int_eq(back->to, DOMAIN_IDENTITY);
	ck_assert_uint_eq(back->n_devices, 2);
	ck_assert_str_eq(back->devices[0].driver, "e1000e");
	ck_assert_str_eq(back->devices[0].override, "vfio-pci");
	ck_assert_str_eq(back->devices[0].wanted, "nvme");
	ck_assert(back->devices[0].pinned && back->devices[0].unbound && back->devices[0].fresh);
	ck_assert(back->devices[0].id == first.id && !back->devices[1].id);
	ck_assert(back->devices[1].bridge && !back->devices[1].pinned);
	ck_assert_int_eq(record_remove(fake_sysfs_root(), 12), 0);
	ck_assert_int_eq(record_read(fake_sysfs_root(), 12, &back), -ENOENT);
}
END_TEST

START_TEST(record_garbage)
{
	static const char *const texts[] = {
		"[transaction]\ngroup=13\n", /* another group's */
		"[transaction]\ngroup=12\nstep=sideways\n",
		"[transaction]\ngroup=12\n[/etc]\ndriver=x\n",
		"[transaction]\ngroup=12\ncolour=red\n",
		"[transaction]\ngroup=12\nfence=garden\n",
		"[transaction]\ngroup=-1\n",
		"[transaction]\ngroup=12\n[0000:01:00.0]\nid=808610d3\n",
		"[transaction]\ngroup=12\n[0000:01:00.0]\nid=808610d38086a01fx\n",
		"\x01\x02\x03",
	};
	struct transaction *t = NULL;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		fake_file(texts[i], "12");
		ck_assert_msg(record_read(fake_sysfs_root(), 12, &t) == -EBADMSG, "'%s' was taken", texts[i]);
	}
	/* Not what the daemon has written: others may write it, or it leads elsewhere. */
	fake_file("[transaction]\ngroup=12\n", "12");
	{
		_cleanup_free_ char *path = strf("%s/12", fake_sysfs_root());

		ck_assert_int_eq(chmod(path, 0666), 0);
		ck_assert_int_eq(record_read(fake_sysfs_root(), 12, &t), -EPERM);
	}
	fake_file("[transaction]\ngroup=14\n", "elsewhere");
	fake_link("elsewhere", "14");
	ck_assert_int_eq(record_read(fake_sysfs_root(), 14, &t), -ELOOP);
}
END_TEST

START_TEST(settings_file)
{
	_cleanup_free_ char *path = strf("%s/settings", fake_sysfs_root());
	struct settings settings;

	fake_file("# comment\n[Daemon]\nMode = Audit\nMaxWorkers = 3\nTransactionTimeoutSec=9\nLogLevel=debug\n",
		  "settings");
	settings_load(path, false, &settings);
	ck_assert(settings.gate && settings.gate_on_timeout == GATE_OPEN);
	ck_assert_uint_eq(settings.gate_timeout_usec, 10 * USEC_PER_SEC);
	ck_assert_int_eq(settings.mode, MODE_AUDIT);
	ck_assert_uint_eq(settings.max_workers, 3);
	ck_assert_uint_eq(settings.transaction_timeout_usec, 9 * USEC_PER_SEC);
	ck_assert_int_eq(settings.log_level, LOG_DEBUG);
	/* What is wrong leaves the default, but for a mode; whatever is right beside it holds. */
	fake_file("[Daemon]\nMode=maybe\nMaxWorkers=0\nTransactionTimeoutSec=1h\nMaxWorker=3\n[Other]\nMode=audit\n"
		  "garbage\n[Daemon]\nLogLevel=7\n",
		  "settings");
	settings_load(path, false, &settings);
	ck_assert_int_eq(settings.mode, MODE_AUDIT);
	ck_assert_uint_eq(settings.max_workers, settings_default.max_workers);
	ck_assert_uint_eq(settings.transaction_timeout_usec, settings_default.transaction_timeout_usec);
	ck_assert_int_eq(settings.log_level, LOG_DEBUG);
}
END_TEST

START_TEST(settings_of_the_gate)
{
	_cleanup_free_ char *path = strf("%s/settings", fake_sysfs_root());
	struct settings settings;

	fake_file("[Daemon]\nGate=off\nGateTimeoutSec=3600\nGateOnTimeout = Hold\n", "settings");
	settings_load(path, false, &settings);
	ck_assert(!settings.gate && settings.gate_on_timeout == GATE_HOLD);
	ck_assert_uint_eq(settings.gate_timeout_usec, 3600 * USEC_PER_SEC);
	fake_file("[Daemon]\nGate=no\nGate=AutoProbe\n", "settings");
	settings_load(path, false, &settings);
	ck_assert(settings.gate && settings.gate_autoprobe);
	fake_file("[Daemon]\nGate=autoprobe\nGate=yes\n", "settings");
	settings_load(path, false, &settings);
	ck_assert(settings.gate && !settings.gate_autoprobe);
	fake_file("[Daemon]\nGate=maybe\nGateTimeoutSec=3601\nGateOnTimeout=shut\n", "settings");
	settings_load(path, false, &settings);
	ck_assert(settings.gate && settings.gate_on_timeout == GATE_OPEN);
	ck_assert_uint_eq(settings.gate_timeout_usec, 10 * USEC_PER_SEC);
	fake_file("[Daemon]\nGate=\nGateTimeoutSec=0\nGateOnTimeout=\n", "settings");
	settings_load(path, false, &settings);
	ck_assert(settings.gate && settings.gate_on_timeout == GATE_OPEN);
	ck_assert_uint_eq(settings.gate_timeout_usec, 10 * USEC_PER_SEC);
}
END_TEST

/* What an open fence leaves in driver_override. */
START_TEST(final_override)
{
	static const struct {
		const char *override, *wanted, *given, *result;
		enum step step;
		bool release;
	} table[] = {
		{ NULL, NULL, NULL, NULL, STEP_UNFENCE, false },
		{ "a", NULL, NULL, "a", STEP_UNFENCE, false },
		{ "a", "b", NULL, "b", STEP_UNFENCE, false },
		{ "a", "b", NULL, "a", STEP_FENCE, false }, /* on the way back */
		{ "a", NULL, "a", NULL, STEP_UNFENCE, true },
		{ "a", NULL, "a", "a", STEP_FENCE, true },
		{ "a", NULL, "b", "a", STEP_UNFENCE, true }, /* somebody else's by now */
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct transaction t = { .step = table[i].step };
		struct transaction_device device = {
			.override = (char *)table[i].override,
			.wanted = (char *)table[i].wanted,
			.given = (char *)table[i].given,
			.release = table[i].release,
		};

		ck_assert_str_eq(strempty(fence_final_override(&t, &device)), strempty(table[i].result));
	}
	ck_assert_ptr_eq(fence_by_name("sysfs"), &fence_pin);
	ck_assert_ptr_eq(fence_by_name("module"), &fence_module);
	ck_assert_ptr_null(fence_by_name(""));
}
END_TEST

enum { BOUND = 1, FRESH = 2, ALWAYS = 4, NEVER = 8, ASKED = 16, WANTS = 32, MISSING = 64, BRIDGE = 128 };

static const struct {
	enum domain from, to;
	unsigned flags;
	enum way way;
} way_table[] = {
	{ DOMAIN_DMA, DOMAIN_DMA, BOUND, WAY_NOTHING },
	{ DOMAIN_DMA, DOMAIN_DMA, 0, WAY_NOTHING },
	{ DOMAIN_DMA, DOMAIN_DMA_FQ, BOUND, WAY_LIVE },
	{ DOMAIN_DMA, DOMAIN_DMA_FQ, BOUND | NEVER, WAY_LIVE },
	{ DOMAIN_DMA, DOMAIN_DMA_FQ, 0, WAY_WRITE },
	{ DOMAIN_DMA_FQ, DOMAIN_DMA, BOUND, WAY_WAIT },
	{ DOMAIN_DMA_FQ, DOMAIN_DMA, 0, WAY_WRITE },
	{ DOMAIN_DMA, DOMAIN_IDENTITY, 0, WAY_WRITE },
	{ DOMAIN_DMA, DOMAIN_IDENTITY, BOUND, WAY_WAIT },
	{ DOMAIN_DMA, DOMAIN_IDENTITY, BOUND | BRIDGE, WAY_WRITE },
	{ DOMAIN_DMA, DOMAIN_IDENTITY, BOUND | FRESH, WAY_TRANSACTION },
	{ DOMAIN_DMA, DOMAIN_IDENTITY, BOUND | FRESH | NEVER, WAY_WAIT },
	{ DOMAIN_DMA, DOMAIN_IDENTITY, FRESH, WAY_TRANSACTION },
	{ DOMAIN_DMA, DOMAIN_IDENTITY, BOUND | ALWAYS, WAY_TRANSACTION },
	{ DOMAIN_DMA, DOMAIN_IDENTITY, BOUND | NEVER, WAY_WAIT },
	{ DOMAIN_DMA, DOMAIN_IDENTITY, BOUND | NEVER | ASKED, WAY_TRANSACTION },
	{ DOMAIN_DMA, DOMAIN_BLOCKED, BOUND, WAY_WAIT },
	{ DOMAIN_DMA, DOMAIN_BLOCKED, 0, WAY_TRANSACTION },
	{ DOMAIN_BLOCKED, DOMAIN_BLOCKED, 0, WAY_NOTHING },
	{ DOMAIN_BLOCKED, DOMAIN_DMA, NEVER, WAY_TRANSACTION },
	{ DOMAIN_DMA, DOMAIN_DMA, WANTS, WAY_TRANSACTION },
	{ DOMAIN_DMA, DOMAIN_DMA, BOUND | WANTS, WAY_WAIT },
	{ DOMAIN_DMA, DOMAIN_DMA, BOUND | WANTS | ALWAYS, WAY_TRANSACTION },
	/* A bound device keeps its driver until the wanted one is there. */
	{ DOMAIN_DMA, DOMAIN_DMA, BOUND | WANTS | MISSING | ALWAYS, WAY_NOTHING },
	{ DOMAIN_DMA, DOMAIN_DMA, WANTS | MISSING, WAY_TRANSACTION },
};

START_TEST(way)
{
	unsigned flags = way_table[_i].flags;
	struct device device = {
		.address = (char *)NIC,
		.driver = (char *)(flags & BOUND ? "e1000e" : NULL),
		.fresh = flags & FRESH,
		.attributes.bridge = flags & BRIDGE,
	};
	struct device *devices[] = { &device };
	struct device_decision wish = { .driver = flags & WANTS ? "vfio-pci" : NULL };
	struct group group = {
		.id = 5,
		.devices = devices,
		.n_devices = 1,
		.type = way_table[_i].from,
		.decided = true,
		.decision = {
			.verdict = VERDICT_TARGET,
			.target = way_table[_i].to,
			.rebind = flags & ALWAYS ? REBIND_ALWAYS : flags & NEVER ? REBIND_NEVER : REBIND_HOTPLUG,
			.devices = &wish,
			.n_devices = 1,
		},
	};
	struct way_options options = { .rebind = flags & ASKED };
	_cleanup_free_ char *reason = NULL;
	bool lacking;
	enum way chosen;

	fake_driver("e1000e");
	if (!(flags & MISSING))
		fake_driver("vfio-pci");
	fake_group(5, domain_to_string(way_table[_i].from));
	fake_device(NIC, 5, device.driver);
	chosen = way_choose(&group, &options, &lacking, &reason);
	ck_assert_str_eq(way_to_string(chosen), way_to_string(way_table[_i].way));
	if (chosen == WAY_WAIT || lacking)
		ck_assert_ptr_nonnull(reason);
	ck_assert_int_eq(lacking, (flags & MISSING) && (flags & BOUND));
}
END_TEST

static const struct {
	const char *iommu, *driver;
	bool bridge;
	enum domain from, to;
	bool refused;
} refusal_table[] = {
	{ "smmu3.0x0000000009050000", "pcieport", true, DOMAIN_DMA, DOMAIN_IDENTITY, true },
	{ "smmu3.0x0000000009050000", "pcieport", true, DOMAIN_IDENTITY, DOMAIN_DMA, true },
	{ "smmu3.0x0000000009050000", "pcieport", true, DOMAIN_DMA_FQ, DOMAIN_DMA, true },
	/* The domain stays the same one. */
	{ "smmu3.0x0000000009050000", "pcieport", true, DOMAIN_DMA, DOMAIN_DMA_FQ, false },
	{ "smmu3.0x0000000009050000", "pcieport", true, DOMAIN_DMA, DOMAIN_DMA, false },
	{ "smmu3.0x0000000009050000", NULL, true, DOMAIN_DMA, DOMAIN_IDENTITY, false },
	{ "smmu3.0x0000000009050000", "e1000e", false, DOMAIN_DMA, DOMAIN_IDENTITY, false },
	{ "dmar0", "pcieport", true, DOMAIN_DMA, DOMAIN_IDENTITY, false },
	{ NULL, "pcieport", true, DOMAIN_DMA, DOMAIN_IDENTITY, false },
};

/* What a group with a bridge in it cannot have. */
START_TEST(refusal)
{
	struct device bridge = {
		.address = (char *)"0000:00:08.0",
		.driver = (char *)refusal_table[_i].driver,
		.attributes.bridge = refusal_table[_i].bridge,
		.attributes.iommu = (char *)refusal_table[_i].iommu,
	};
	struct device nic = {
		.address = (char *)NIC,
		.driver = (char *)"e1000e",
		.attributes.iommu = (char *)refusal_table[_i].iommu,
	};
	struct device *devices[] = { &nic, &bridge };
	struct group group = {
		.id = 5,
		.devices = devices,
		.n_devices = 2,
		.type = refusal_table[_i].from,
		.decided = true,
		.decision = { .verdict = VERDICT_TARGET, .target = refusal_table[_i].to },
	};

	ck_assert_int_eq(way_refusal(&group) != NULL, refusal_table[_i].refused);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("daemon");
	TCase *tc = tcase_create("daemon");
	SRunner *runner;
	int failed;

	log_set_console(true);
	log_set_max_level(LOG_EMERG);
	tcase_add_checked_fixture(tc, fake_sysfs_make, fake_sysfs_remove);
	tcase_add_test(tc, address_valid);
	tcase_add_test(tc, command_line);
	tcase_add_test(tc, device_attributes);
	tcase_add_test(tc, virtual_functions);
	tcase_add_test(tc, device_garbage);
	tcase_add_test(tc, group_attributes);
	tcase_add_test(tc, record_round_trip);
	tcase_add_test(tc, record_garbage);
	tcase_add_test(tc, settings_file);
	tcase_add_test(tc, settings_of_the_gate);
	tcase_add_test(tc, final_override);
	tcase_add_loop_test(tc, way, 0, ARRAY_LEN(way_table));
	tcase_add_loop_test(tc, refusal, 0, ARRAY_LEN(refusal_table));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
