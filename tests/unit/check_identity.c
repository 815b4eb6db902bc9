/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a worker does to a device that has taken the place of the one it was
 * sent for: nothing. Numbers and addresses are the same, as the kernel uses
 * them again.
 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "daemon/fence.h"
#include "daemon/record.h"
#include "daemon/sysfs.h"
#include "daemon/transaction-steps.h"
#include "daemon/util.h"
#include "tests/unit/fake-sysfs.h"

#define NIC "0000:01:00.0"
#define GROUP 7

static struct transaction *t;

static void plug(void)
{
	fake_group(GROUP, "DMA");
	fake_device(NIC, GROUP, NULL);
}

static void setup(void)
{
	struct transaction_device device = { .address = (char *)NIC };
	struct sysfs_device found;

	fake_sysfs_make();
	fake_driver("e1000e");
	plug();
	ck_assert_int_eq(sysfs_read_device(NIC, &found), 0);
	device.id = sysfs_device_id(&found);
	sysfs_device_clear(&found);
	t = calloc(1, sizeof(*t));
	t->group = GROUP;
	t->way = WAY_TRANSACTION;
	t->from = DOMAIN_DMA;
	t->to = DOMAIN_IDENTITY;
	t->fence = &fence_pin;
	ck_assert_int_eq(transaction_add_device(t, &device), 0);
}

static void teardown(void)
{
	t = transaction_free(t);
	fake_sysfs_remove();
}

static void exchange(void)
{
	fake_unplug(NIC, GROUP);
	plug();
}

static void check_type(enum domain expected)
{
	int fd = sysfs_open_group(GROUP);
	enum domain type = DOMAIN_NONE;

	ck_assert_int_eq(sysfs_group_type(fd, &type), 0);
	ck_assert_int_eq(type, expected);
	close(fd);
}

static void check_override(const char *expected)
{
	_cleanup_free_ char *override = NULL;

	ck_assert_int_eq(sysfs_read_override(0, NIC, &override), 0);
	ck_assert_str_eq(strempty(override), strempty(expected));
}

/* That the rest of this file shows something. */
START_TEST(the_same)
{
	const struct transaction_device *failed = NULL;
	struct outcome outcome = {};

	ck_assert_int_eq(transaction_hold_identity(t), 0);
	ck_assert(transaction_same_group(t) && transaction_same_device(&t->devices[0]));
	ck_assert_int_eq(fence_pin.close(t, &failed), 0);
	check_override(TRANSACTION_PIN);
	ck_assert_int_eq(transaction_write_type(t, &outcome), 0);
	check_type(DOMAIN_IDENTITY);
	ck_assert_int_eq(fence_pin.open(t, &failed), 0);
	check_override(NULL);
}
END_TEST

START_TEST(exchanged_before)
{
	t->devices[0].id++;
	ck_assert_int_eq(transaction_hold_identity(t), -ESTALE);
}
END_TEST

/* Nothing is begun, and so nothing of the newcomer is undone. */
START_TEST(exchanged_before_it_is_begun)
{
	struct outcome outcome;

	t->from = DOMAIN_BLOCKED;
	t->devices[0].id++;
	t->devices[0].pinned = t->devices[0].unbound = true;
	ck_assert_int_eq(replace_str(&t->devices[0].driver, "e1000e"), 0);
	t->record_dir = fake_sysfs_root();
	transaction_run(t, &outcome);
	ck_assert_int_eq(outcome.result, RESULT_FAILED);
	ck_assert_int_eq(outcome.error, ESTALE);
	check_override(NULL);
	check_type(DOMAIN_DMA);
	ck_assert_int_eq(record_read(fake_sysfs_root(), GROUP, &(struct transaction *){ NULL }), -ENOENT);
}
END_TEST

/* Also one of the same model is another. */
START_TEST(the_same_model)
{
	struct sysfs_device one = { .vendor = 0x8086, .device = 0x10d3, .inode = 0x100001234 };
	struct sysfs_device other = one;

	ck_assert(sysfs_device_id(&one) == sysfs_device_id(&other));
	other.inode = 0x200001234;
	ck_assert(sysfs_device_id(&one) != sysfs_device_id(&other));
	other = one;
	other.subdevice = 1;
	ck_assert(sysfs_device_id(&one) != sysfs_device_id(&other));
}
END_TEST

START_TEST(gone_before)
{
	fake_unplug(NIC, GROUP);
	ck_assert_int_lt(transaction_hold_identity(t), 0);
}
END_TEST

START_TEST(exchanged_before_the_fence)
{
	const struct transaction_device *failed = NULL;

	ck_assert_int_eq(transaction_hold_identity(t), 0);
	exchange();
	ck_assert(!transaction_same_group(t) && !transaction_same_device(&t->devices[0]));
	ck_assert_int_eq(sysfs_write_override(t->devices[0].dir_fd, NIC, TRANSACTION_PIN), -ENODEV);
	ck_assert_int_eq(fence_pin.close(t, &failed), -ENODEV);
	ck_assert_ptr_eq(failed, &t->devices[0]);
	check_override(NULL);
}
END_TEST

START_TEST(exchanged_before_the_write)
{
	struct outcome outcome = {};
	enum domain type;

	ck_assert_int_eq(transaction_hold_identity(t), 0);
	exchange();
	ck_assert_int_lt(transaction_write_type(t, &outcome), 0);
	ck_assert_int_eq(outcome.result, RESULT_FAILED);
	ck_assert(!transaction_read_type(t, &type));
	check_type(DOMAIN_DMA);
}
END_TEST

/* A pin that somebody else has set on the newcomer is theirs to lift. */
START_TEST(exchanged_before_the_end)
{
	const struct transaction_device *failed = NULL;
	struct outcome outcome = {};

	ck_assert_int_eq(transaction_hold_identity(t), 0);
	ck_assert_int_eq(fence_pin.close(t, &failed), 0);
	exchange();
	ck_assert_int_eq(sysfs_write_override(0, NIC, TRANSACTION_PIN), 0);
	t->step = STEP_PROBE;
	t->devices[0].unbound = true;
	ck_assert_int_eq(replace_str(&t->devices[0].driver, "e1000e"), 0);
	ck_assert_int_eq(transaction_probe_device(t, &t->devices[0], "e1000e"), -ENODEV);
	transaction_roll_back(t, &outcome);
	check_override(TRANSACTION_PIN);
	check_type(DOMAIN_DMA);
	ck_assert_str_eq(outcome.reason, "");
}
END_TEST

/* The record has the names and IDs alone, as after the daemon's end. */
START_TEST(exchanged_before_the_recovery)
{
	struct outcome outcome = {};

	ck_assert_int_eq(sysfs_write_override(0, NIC, TRANSACTION_PIN), 0);
	t->step = STEP_FENCE;
	t->devices[0].pinned = true;
	t->devices[0].id++;
	t->record_dir = fake_sysfs_root();
	ck_assert_int_eq(record_write(t->record_dir, t), 0);
	transaction_recover(t, &outcome);
	check_override(TRANSACTION_PIN);
	ck_assert_uint_eq(t->n_devices, 0);
	/* Nobody of it is left. */
	ck_assert_int_eq(record_read(fake_sysfs_root(), GROUP, &(struct transaction *){ NULL }), -ENOENT);
}
END_TEST

START_TEST(the_same_at_the_recovery)
{
	struct outcome outcome = {};

	ck_assert_int_eq(sysfs_write_override(0, NIC, TRANSACTION_PIN), 0);
	t->step = STEP_FENCE;
	t->devices[0].pinned = true;
	transaction_recover(t, &outcome);
	check_override(NULL);
	ck_assert_uint_eq(t->n_devices, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("identity");
	TCase *tc = tcase_create("identity");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_same);
	tcase_add_test(tc, exchanged_before);
	tcase_add_test(tc, exchanged_before_it_is_begun);
	tcase_add_test(tc, the_same_model);
	tcase_add_test(tc, gone_before);
	tcase_add_test(tc, exchanged_before_the_fence);
	tcase_add_test(tc, exchanged_before_the_write);
	tcase_add_test(tc, exchanged_before_the_end);
	tcase_add_test(tc, exchanged_before_the_recovery);
	tcase_add_test(tc, the_same_at_the_recovery);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
