/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/surroundings.h"
#include "daemon/sysfs-machine.h"
#include "daemon/util.h"
#include "tests/unit/fake-sysfs.h"

#define GOOD .n_groups = 3, .groups_folder = true, .iommu = true, .type_file = true, .capable = true
#define NONE .groups_folder = true, .capable = true

static const struct {
	struct surroundings_facts facts;
	enum surroundings_kind kind;
	const char *found, *remedy; /* part of it */
} table[] = {
	{ { GOOD }, SURROUNDINGS_FINE, NULL, NULL },
	/* What is on the command line matters only where nothing is in use. */
	{ { GOOD, .cmdline = "intel_iommu=off" }, SURROUNDINGS_FINE, NULL, NULL },
	{ { GOOD, .container = true }, SURROUNDINGS_FINE, NULL, NULL },
	{ { NONE, .iommu = true }, SURROUNDINGS_NO_GROUP, "no device has a group yet", "first drivers" },
	{ { NONE }, SURROUNDINGS_NO_IOMMU, "No IOMMU is in use", "firmware's set-up" },
	{ { NONE, .container = true }, SURROUNDINGS_NO_IOMMU, "in this container", "on the host" },
	{ { .capable = true }, SURROUNDINGS_NO_IOMMU, "built without", "CONFIG_IOMMU_SUPPORT" },
	{ { NONE, .cmdline = "quiet iommu=off" }, SURROUNDINGS_NO_IOMMU, "by iommu=off on", "boot without" },
	{ { NONE, .cmdline = "intel_iommu=sm_on,off ro", .table_intel = true },
	  SURROUNDINGS_NO_IOMMU,
	  "by intel_iommu=sm_on,off on",
	  "intel_iommu=on" },
	{ { NONE, .cmdline = "amd_iommu=off\n", .table_amd = true }, SURROUNDINGS_NO_IOMMU, "by amd_iommu=off", "boot" },
	{ { NONE, .cmdline = "quiet", .table_intel = true }, SURROUNDINGS_NO_IOMMU, "VT-d", "intel_iommu=on" },
	{ { NONE, .table_amd = true }, SURROUNDINGS_NO_IOMMU, "AMD-Vi", "dmesg" },
	{ { NONE, .table_arm = true }, SURROUNDINGS_NO_IOMMU, "SMMU", "dmesg" },
	{ { NONE, .table_virtio = true }, SURROUNDINGS_NO_IOMMU, "virtio-iommu", "virtio_iommu" },
	{ { .n_groups = 1, .iommu = true, .capable = true }, SURROUNDINGS_NO_TYPE_FILE, "no file", "5.11" },
	{ { GOOD, .read_only = true }, SURROUNDINGS_READ_ONLY, "/sys is read-only", "writable" },
	{ { GOOD, .read_only = true, .container = true }, SURROUNDINGS_READ_ONLY, "in this container", "on the host" },
	{ { .n_groups = 1, .iommu = true, .type_file = true }, SURROUNDINGS_POWERLESS, "CAP_SYS_RAWIO", "as its unit" },
	{ { .n_groups = 1, .type_file = true, .container = true }, SURROUNDINGS_POWERLESS, "CAP_SYS_ADMIN", "host" },
};

START_TEST(judged)
{
	struct surroundings found;

	ck_assert_int_eq(surroundings_judge(&table[_i].facts, &found), 0);
	ck_assert_int_eq(found.kind, table[_i].kind);
	ck_assert_int_eq(found.had_groups, table[_i].facts.n_groups > 0);
	ck_assert_int_eq(surroundings_prevent(&found), table[_i].kind >= SURROUNDINGS_NO_TYPE_FILE);
	if (!table[_i].found) {
		ck_assert_ptr_null(found.found);
		ck_assert_ptr_null(found.remedy);
	} else {
		ck_assert_msg(strstr(found.found, table[_i].found), "%s", found.found);
		ck_assert_msg(strstr(found.remedy, table[_i].remedy), "%s", found.remedy);
	}
	surroundings_clear(&found);
	ck_assert_ptr_null(found.found);
}
END_TEST

START_TEST(command_line)
{
	static const struct {
		const char *cmdline, *off, *passthrough;
	} words[] = {
		{ NULL, NULL, NULL },
		{ "", NULL, NULL },
		{ "ro quiet iommu=pt", NULL, "iommu=pt" },
		{ "iommu=soft,pt,off x", "iommu=soft,pt,off", "iommu=soft,pt,off" },
		{ "iommu.passthrough=1\n", NULL, "iommu.passthrough=1" },
		{ "iommu.passthrough=0 intel_iommu=on", NULL, NULL },
		{ "iommu=offload iommu= xiommu=off intel_iommu=off_ iommu", NULL, NULL },
		{ "a=b,\tiommu=nopt  amd_iommu=off", "amd_iommu=off", NULL },
		/* The last one counts. */
		{ "iommu=pt iommu.passthrough=0", NULL, NULL },
		{ "iommu=nopt iommu.passthrough=on", NULL, "iommu.passthrough=on" },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		_cleanup_free_ char *off = surroundings_off_word(words[i].cmdline);
		_cleanup_free_ char *passthrough = surroundings_passthrough_word(words[i].cmdline);

		ck_assert_pstr_eq(off, words[i].off);
		ck_assert_pstr_eq(passthrough, words[i].passthrough);
	}
}
END_TEST

START_TEST(machine)
{
	ck_assert(!sysfs_has_groups_folder());
	ck_assert(!sysfs_has_firmware_table("DMAR"));
	ck_assert(!sysfs_is_read_only());
	ck_assert_ptr_null(sysfs_lockdown());
	fake_group(3, "DMA");
	fake_file("", "firmware/acpi/tables/DMAR");
	fake_file("none [integrity] confidentiality\n", "kernel/security/lockdown");
	ck_assert(sysfs_has_groups_folder());
	ck_assert(sysfs_has_firmware_table("DMAR") && !sysfs_has_firmware_table("IVRS"));
	ck_assert_str_eq(sysfs_lockdown(), "integrity");
	fake_file("none integrity [confidentiality]\n", "kernel/security/lockdown");
	ck_assert_str_eq(sysfs_lockdown(), "confidentiality");
	fake_file("[none] integrity confidentiality\n", "kernel/security/lockdown");
	ck_assert_ptr_null(sysfs_lockdown());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("surroundings");
	TCase *tc = tcase_create("surroundings");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, fake_sysfs_make, fake_sysfs_remove);
	tcase_add_loop_test(tc, judged, 0, ARRAY_LEN(table));
	tcase_add_test(tc, command_line);
	tcase_add_test(tc, machine);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
