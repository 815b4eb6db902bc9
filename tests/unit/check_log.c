/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "daemon/log-limit.h"
#include "daemon/log.h"
#include "daemon/util.h"

/* Any moment will do, but for 0. */
#define START (1000 * USEC_PER_SEC)
#define APPLIED MESSAGE_APPLIED
#define FAILED MESSAGE_FAILED

static struct log_limit limit;

static void make(void)
{
	limit = (struct log_limit){};
}

static void end(void)
{
	struct log_limit_report report;

	while (log_limit_report(&limit, UINT64_MAX, true, &report))
		free(report.last);
}

/* How many of N entries, one each STEP, are written. */
static unsigned flood(const char *kind, long group, unsigned n, uint64_t from, uint64_t step)
{
	unsigned written = 0;

	for (unsigned i = 0; i < n; i++) {
		_cleanup_free_ char *message = strf("entry %u", i);

		written += log_limit_take(&limit, kind, group, message, from + i * step);
	}
	return written;
}

static void expect_report(uint64_t now, bool all, const char *kind, long group, uint64_t n, const char *last)
{
	struct log_limit_report report;

	ck_assert(log_limit_report(&limit, now, all, &report));
	ck_assert_str_eq(report.kind, kind);
	ck_assert_int_eq(report.group, group);
	ck_assert_uint_eq(report.n_dropped, n);
	ck_assert_str_eq(report.last, last);
	free(report.last);
}

static void expect_no_report(uint64_t now)
{
	struct log_limit_report report;

	ck_assert(!log_limit_report(&limit, now, false, &report));
}

START_TEST(a_burst_is_written)
{
	ck_assert_uint_eq(flood(APPLIED, 7, LOG_LIMIT_BURST, START, 0), LOG_LIMIT_BURST);
	ck_assert_uint_eq(log_limit_next(&limit), UINT64_MAX);
	ck_assert(!log_limit_take(&limit, APPLIED, 7, "one more", START));
	ck_assert_uint_eq(log_limit_next(&limit), START + LOG_LIMIT_REPORT_USEC);
}
END_TEST

START_TEST(each_kind_and_group_has_its_own)
{
	ck_assert_uint_eq(flood(APPLIED, 7, 2 * LOG_LIMIT_BURST, START, 0), LOG_LIMIT_BURST);
	ck_assert_uint_eq(flood(APPLIED, 8, LOG_LIMIT_BURST, START, 0), LOG_LIMIT_BURST);
	ck_assert_uint_eq(flood(FAILED, 7, LOG_LIMIT_BURST, START, 0), LOG_LIMIT_BURST);
	ck_assert_uint_eq(flood("a text without ID", -1, LOG_LIMIT_BURST, START, 0), LOG_LIMIT_BURST);
}
END_TEST

/* The same ID is another string in another file. */
START_TEST(kinds_are_compared_by_text)
{
	char copy[] = MESSAGE_APPLIED;

	flood(APPLIED, 7, LOG_LIMIT_BURST, START, 0);
	ck_assert(!log_limit_take(&limit, copy, 7, "one more", START));
}
END_TEST

START_TEST(what_is_slow_is_never_left_out)
{
	ck_assert_uint_eq(flood(APPLIED, 7, 10000, START, LOG_LIMIT_REFILL_USEC), 10000);
}
END_TEST

START_TEST(tokens_come_back)
{
	uint64_t now = START + 3 * LOG_LIMIT_REFILL_USEC;

	ck_assert_uint_eq(flood(APPLIED, 7, LOG_LIMIT_BURST, START, 0), LOG_LIMIT_BURST);
	/* Three, and half of a fourth one, which is not forgotten when the three are taken. */
	ck_assert_uint_eq(flood(APPLIED, 7, 3, now + LOG_LIMIT_REFILL_USEC / 2, 0), 3);
	ck_assert(log_limit_take(&limit, APPLIED, 7, "the fourth", now + LOG_LIMIT_REFILL_USEC));
	ck_assert(!log_limit_take(&limit, APPLIED, 7, "too much", now + LOG_LIMIT_REFILL_USEC));
}
END_TEST

START_TEST(no_more_than_a_burst_comes_back)
{
	ck_assert_uint_eq(flood(APPLIED, 7, LOG_LIMIT_BURST, START, 0), LOG_LIMIT_BURST);
	ck_assert_uint_eq(flood(APPLIED, 7, 2 * LOG_LIMIT_BURST, START + 100000 * USEC_PER_SEC, 0), LOG_LIMIT_BURST);
}
END_TEST

START_TEST(what_was_left_out_is_told)
{
	uint64_t due = START + LOG_LIMIT_REPORT_USEC;

	flood(APPLIED, 7, LOG_LIMIT_BURST + 12, START, 0);
	expect_no_report(due - 1);
	expect_report(due, false, APPLIED, 7, 12, "entry 61");
	expect_no_report(due + LOG_LIMIT_REPORT_USEC);
	ck_assert_uint_eq(log_limit_next(&limit), UINT64_MAX);
	/* And from then on entries are written again. */
	ck_assert_uint_eq(flood(APPLIED, 7, 100, due, 0), LOG_LIMIT_REPORT_USEC / LOG_LIMIT_REFILL_USEC);
}
END_TEST

/* A line between two that were left out would look as if it followed the last that was written. */
START_TEST(nothing_is_written_between)
{
	uint64_t due = START + LOG_LIMIT_REPORT_USEC;

	flood(APPLIED, 7, LOG_LIMIT_BURST + 1, START, 0);
	ck_assert(!log_limit_take(&limit, APPLIED, 7, "later", due - 1));
	expect_report(due, false, APPLIED, 7, 2, "later");
}
END_TEST

/* An hour of 100 entries a second: a burst, then six a minute and a line that counts the others. */
START_TEST(a_flood_that_does_not_end)
{
	uint64_t written = 0, told = 0, counted = 0, n = 3600 * 100;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t now = START + i * USEC_PER_SEC / 100;
		struct log_limit_report report;

		if (log_limit_next(&limit) <= now) {
			ck_assert(log_limit_report(&limit, now, false, &report));
			free(report.last);
			counted += report.n_dropped;
			told++;
		}
		written += log_limit_take(&limit, APPLIED, 7, "again", now);
	}
	ck_assert_uint_le(written, LOG_LIMIT_BURST + 3600 * USEC_PER_SEC / LOG_LIMIT_REFILL_USEC);
	ck_assert_uint_ge(told, 58);
	ck_assert_uint_le(told, 60);
	expect_report(START + 3601 * USEC_PER_SEC, true, APPLIED, 7, n - written - counted, "again");
}
END_TEST

START_TEST(all_is_told_at_the_end)
{
	flood(APPLIED, 7, LOG_LIMIT_BURST + 1, START, 0);
	flood(FAILED, 8, LOG_LIMIT_BURST + 2, START, 0);
	expect_report(START, true, APPLIED, 7, 1, "entry 50");
	expect_report(START, true, FAILED, 8, 2, "entry 51");
}
END_TEST

/* What is quiet longest makes room, and what has still something to tell does not. */
START_TEST(more_groups_than_buckets)
{
	flood(APPLIED, 0, LOG_LIMIT_BURST + 1, START, 0);
	for (long group = 1; group < 3 * LOG_LIMIT_BUCKETS; group++)
		ck_assert(log_limit_take(&limit, APPLIED, group, "once", START + (uint64_t)group));
	ck_assert(!log_limit_take(&limit, APPLIED, 0, "again", START));
	expect_report(START, true, APPLIED, 0, 2, "again");
}
END_TEST

START_TEST(more_floods_than_buckets)
{
	for (long group = 0; group < LOG_LIMIT_BUCKETS; group++)
		flood(APPLIED, group, LOG_LIMIT_BURST + 1, START, 0);
	ck_assert_uint_eq(flood(APPLIED, LOG_LIMIT_BUCKETS, 1000, START, 0), 1000);
}
END_TEST

/* Standard error is whatever a test says; it is read back. */
static char *said(void (*what)(void))
{
	FILE *file = tmpfile();
	char *text;
	int saved;

	ck_assert_ptr_nonnull(file);
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
	what();
	fflush(stderr);
	ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
	close(saved);
	rewind(file);
	ck_assert_int_eq(read_fd(fileno(file), 1 << 20, &text), 0);
	fclose(file);
	return text;
}

static void many(void)
{
	for (int i = 0; i < 3 * LOG_LIMIT_BURST; i++)
		log_warning("line %d", i);
}

/* A terminal is for somebody who looks. */
START_TEST(a_terminal_gets_all)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0;

	log_set_console(true);
	text = said(many);
	for (const char *p = text; (p = strstr(p, "<4>iommu-policyd: line ")); p++)
		n++;
	ck_assert_uint_eq(n, 3 * LOG_LIMIT_BURST);
	log_set_console(false);
}
END_TEST

static void of_groups(void)
{
	log_group(LOG_WARNING, 7, "cannot be %s", "read");
	log_group(LOG_DEBUG, 7, "not at this level");
}

START_TEST(a_group_is_named)
{
	_cleanup_free_ char *text = NULL;

	log_set_console(true);
	text = said(of_groups);
	ck_assert_str_eq(text, "<4>iommu-policyd: Group 7: cannot be read\n");
	log_set_console(false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, make, end);
	tcase_add_test(tc, a_burst_is_written);
	tcase_add_test(tc, each_kind_and_group_has_its_own);
	tcase_add_test(tc, kinds_are_compared_by_text);
	tcase_add_test(tc, what_is_slow_is_never_left_out);
	tcase_add_test(tc, tokens_come_back);
	tcase_add_test(tc, no_more_than_a_burst_comes_back);
	tcase_add_test(tc, what_was_left_out_is_told);
	tcase_add_test(tc, nothing_is_written_between);
	tcase_add_test(tc, a_flood_that_does_not_end);
	tcase_add_test(tc, all_is_told_at_the_end);
	tcase_add_test(tc, more_groups_than_buckets);
	tcase_add_test(tc, more_floods_than_buckets);
	tcase_add_test(tc, a_terminal_gets_all);
	tcase_add_test(tc, a_group_is_named);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
