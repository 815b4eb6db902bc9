/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "daemon/bus-auth.h"
#include "daemon/bus-backlog.h"
#include "tests/unit/fake-bus.h"

/* What callers, and a bus that does not read, can fill up. */

#define MANAGER BUS_NAME ".Manager"
#define NO_GROUP BUS_NAME ".Error.NoSuchGroup"
#define CALLER ":1.7"
#define USER 1000

static struct fake_bus fake;

static void setup(void)
{
	fake = (struct fake_bus){ .uid = USER };
	fake_bus_start(&fake);
}

static void teardown(void)
{
	fake_bus_stop(&fake);
	ck_assert_uint_eq(fake.m.n_asked, 0);
	ck_assert_ptr_null(fake.m.callers);
}

#if ENABLE_POLKIT
static void restore(struct fake_answer *answer)
{
	fake_bus_call(&fake, CALLER, MANAGER, "Restore", "u", answer);
}

START_TEST(limits)
{
	static struct fake_answer answers[BUS_AUTH_MAX_POLKIT + 2];
	char sender[16];
	size_t n = 0;

	fake.silent = true;
	for (size_t i = 0; i <= BUS_AUTH_MAX_CALLER; i++)
		restore(&answers[i]);
	for (size_t i = 0; i < BUS_AUTH_MAX_CALLER; i++)
		ck_assert(!answers[i].here);
	ck_assert_str_eq(answers[BUS_AUTH_MAX_CALLER].error, SD_BUS_ERROR_LIMITS_EXCEEDED);

	/* Neither by another connection of the same user, … */
	fake_bus_call(&fake, ":1.8", MANAGER, "Restore", "u", &answers[BUS_AUTH_MAX_CALLER]);
	ck_assert_str_eq(answers[BUS_AUTH_MAX_CALLER].error, SD_BUS_ERROR_LIMITS_EXCEEDED);
	/* … nor by any number of users. */
	for (n = BUS_AUTH_MAX_USER; n < BUS_AUTH_MAX_POLKIT + 1; n++) {
		fake.uid++;
		snprintf(sender, sizeof(sender), ":1.%zu", 100 + n);
		fake_bus_call(&fake, sender, MANAGER, "Restore", "u", &answers[n]);
		ck_assert_int_eq(answers[n].here, n == BUS_AUTH_MAX_POLKIT);
	}
	ck_assert_str_eq(answers[BUS_AUTH_MAX_POLKIT].error, SD_BUS_ERROR_LIMITS_EXCEEDED);

	/* Root is not held up by all that, */
	fake.uid = 0;
	fake_bus_call(&fake, ":1.9", MANAGER, "Restore", "u", &answers[n]);
	ck_assert_str_eq(answers[n].error, NO_GROUP);
	/* and who has gone makes room. */
	fake.uid = USER;
	fake_bus_gone(&fake, CALLER);
	ck_assert_uint_eq(fake.n_cancelled, BUS_AUTH_MAX_CALLER);
	fake_bus_call(&fake, ":1.8", MANAGER, "Restore", "u", &answers[n]);
	ck_assert(!answers[n].here);
}
END_TEST
#endif

/* Nobody's user is known yet: one user, with as many connections as dbus-daemon allows, must leave room for root. */
START_TEST(limits_before_the_bus_tells_who_calls)
{
	static struct fake_answer answers[BUS_AUTH_MAX + 2];
	const size_t of_user = 256 * BUS_AUTH_MAX_CALLER;
	char sender[16];
	size_t n = 0;

	fake.user_silent = true;
	for (size_t i = 0; i < BUS_AUTH_MAX; i++) {
		if (i == of_user) {
			fake.user_silent = false;
			fake.uid = 0;
			fake_bus_call(&fake, ":1.2", MANAGER, "Restore", "u", &answers[BUS_AUTH_MAX]);
			ck_assert_str_eq(answers[BUS_AUTH_MAX].error, NO_GROUP);
			fake.user_silent = true;
		}
		snprintf(sender, sizeof(sender), ":1.%zu", 100 + i / BUS_AUTH_MAX_CALLER);
		fake_bus_call(&fake, sender, MANAGER, "Restore", "u", &answers[i]);
		ck_assert(!answers[i].here);
		/* Not one more of the same connection. */
		if (i == BUS_AUTH_MAX_CALLER - 1) {
			fake_bus_call(&fake, sender, MANAGER, "Restore", "u", &answers[BUS_AUTH_MAX]);
			ck_assert_str_eq(answers[BUS_AUTH_MAX].error, SD_BUS_ERROR_LIMITS_EXCEEDED);
		}
	}
	ck_assert_uint_eq(fake.m.n_asked, BUS_AUTH_MAX);
	fake_bus_call(&fake, ":1.2", MANAGER, "Restore", "u", &answers[BUS_AUTH_MAX + 1]);
	ck_assert_str_eq(answers[BUS_AUTH_MAX + 1].error, SD_BUS_ERROR_LIMITS_EXCEEDED);
	for (size_t i = 0; i < BUS_AUTH_MAX; i++)
		n += answers[i].here;
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(arguments_that_are_too_long)
{
	static char text[BUS_AUTH_MAX_BYTES + 1];
	struct fake_answer answer;

	memset(text, 'x', sizeof(text) - 1);
	fake_bus_set(&fake, CALLER, BUS_LOG_PATH, BUS_LOG_INTERFACE, "LogLevel", "s", text, &answer);
	ck_assert_str_eq(answer.error, SD_BUS_ERROR_LIMITS_EXCEEDED);
	ck_assert_uint_eq(fake.n_users, 0);
}
END_TEST

static uint64_t queued(void)
{
	uint64_t n;

	ck_assert_int_ge(sd_bus_get_n_queued_write(fake.m.bus, &n), 0);
	return n;
}

/* Answers are long: an object's, with all that is in it. The fake bus does not read them. */
static void introspect(struct fake_answer *answer)
{
	fake_bus_send(&fake, ":1.7", "org.freedesktop.DBus.Introspectable", "Introspect", answer);
	while (sd_bus_process(fake.m.bus, NULL) > 0)
		;
}

START_TEST(a_bus_that_does_not_read)
{
	/* sd-bus has a socket with room for 8 MB. */
	static struct fake_answer answers[10000];
	size_t n_refused = 0;

	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		introspect(&answers[i]);
	ck_assert_uint_ge(queued(), BUS_BACKLOG_MAX);
	fake_bus_run(&fake);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		ck_assert(answers[i].here);
		if (*answers[i].error) {
			ck_assert_str_eq(answers[i].error, SD_BUS_ERROR_LIMITS_EXCEEDED);
			n_refused++;
		}
	}
	ck_assert_uint_gt(n_refused, BUS_BACKLOG_MAX);
	ck_assert_str_eq(answers[0].error, "");
	/* It is read again, and answers come as before. */
	fake_bus_call(&fake, ":1.7", MANAGER, "Plan", "", &answers[0]);
	ck_assert_str_eq(answers[0].error, "");
}
END_TEST

static void signals(uint64_t n)
{
	while (queued() < n)
		ck_assert_int_ge(sd_bus_emit_signal(fake.m.bus, BUS_ROOT, MANAGER, "PolicyReloaded", "tb", (uint64_t)1,
						    true), 0);
}

/* What we say by ourselves, as after a reload that changes a lot, does not count. */
START_TEST(signals_refuse_nobody)
{
	static struct fake_answer answers[BUS_BACKLOG_MAX + 1];

	signals(10 * BUS_BACKLOG_MAX);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		introspect(&answers[i]);
	fake_bus_run(&fake);
	for (size_t i = 0; i < BUS_BACKLOG_MAX; i++) {
		ck_assert(answers[i].here);
		ck_assert_str_eq(answers[i].error, "");
	}
	ck_assert_str_eq(answers[BUS_BACKLOG_MAX].error, SD_BUS_ERROR_LIMITS_EXCEEDED);
	/* All has been taken, and is forgotten by the time the event loop has gone round. */
	bus_backlog_is_stuck(&fake.m, USEC_PER_SEC);
	signals(10 * BUS_BACKLOG_MAX);
	introspect(&answers[0]);
	fake_bus_run(&fake);
	ck_assert_str_eq(answers[0].error, "");
}
END_TEST

START_TEST(a_bus_is_stuck_when_the_queue_is_never_empty)
{
	const uint64_t start = 1000 * USEC_PER_SEC;

	ck_assert(!bus_backlog_is_stuck(&fake.m, start));
	signals(1);
	/* From when it was first seen. */
	ck_assert(!bus_backlog_is_stuck(&fake.m, start + BUS_BACKLOG_USEC));
	ck_assert(!bus_backlog_is_stuck(&fake.m, start + 2 * BUS_BACKLOG_USEC - 1));
	ck_assert(bus_backlog_is_stuck(&fake.m, start + 2 * BUS_BACKLOG_USEC));
	fake_bus_run(&fake);
	ck_assert(!bus_backlog_is_stuck(&fake.m, start + 3 * BUS_BACKLOG_USEC));
	signals(1);
	ck_assert(!bus_backlog_is_stuck(&fake.m, start + 4 * BUS_BACKLOG_USEC));
}
END_TEST

/* Check ends a test that takes too long, as one with sd_bus_flush() in bus_stop() would. */
START_TEST(stop_does_not_wait_for_a_bus_that_does_not_read)
{
	signals(1);
	bus_stop(&fake.m);
	ck_assert_ptr_null(fake.m.bus);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bus limits");
	TCase *tcase = tcase_create("limits");
	SRunner *runner;
	int failed;

	/* Some make thousands of calls, on a machine that may be busy. */
	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
#if ENABLE_POLKIT
	tcase_add_test(tcase, limits);
#endif
	tcase_add_test(tcase, limits_before_the_bus_tells_who_calls);
	tcase_add_test(tcase, arguments_that_are_too_long);
	tcase_add_test(tcase, a_bus_that_does_not_read);
	tcase_add_test(tcase, signals_refuse_nobody);
	tcase_add_test(tcase, a_bus_is_stuck_when_the_queue_is_never_empty);
	tcase_add_test(tcase, stop_does_not_wait_for_a_bus_that_does_not_read);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
