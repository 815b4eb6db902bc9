/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon believes: settings and state files that only root can have
 * written, of a size that is read; and what it says of others' names.
 * Policy files have the same cases in check_policy_search.c.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/log.h"
#include "daemon/outcome.h"
#include "daemon/record.h"
#include "daemon/settings.h"
#include "daemon/state-file.h"
#include "daemon/uses.h"
#include "daemon/util.h"
#include "policy/text.h"
#include "tests/unit/fake-sysfs.h"

#define RECORD "[transaction]\ngroup=12\nfrom=DMA\nto=identity\n"

#define SETTINGS "[Daemon]\nMode=audit\n"

static char path[128];
static const char *content; /* of the files to come, which is fine by itself */

static void setup(void)
{
	content = RECORD;
	fake_sysfs_make();
	snprintf(path, sizeof(path), "%s/12", fake_sysfs_root());
}

static void make_file(const char *text)
{
	fake_file(text, "12");
}

static void make_writable_by_others(void)
{
	make_file(content);
	ck_assert_int_eq(chmod(path, 0646), 0);
}

static void make_writable_by_group(void)
{
	make_file(content);
	ck_assert_int_eq(chmod(path, 0664), 0);
}

static void make_link(void)
{
	fake_file(content, "elsewhere");
	fake_link("elsewhere", "12");
}

/* Nobody ever writes to it: whoever opens it and waits does so for good. */
static void make_fifo(void)
{
	ck_assert_int_eq(mkfifo(path, 0644), 0);
}

static void make_directory(void)
{
	ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void make_zero(void)
{
	ck_assert_int_eq(symlink("/dev/zero", path), 0);
}

static void make_huge(void)
{
	make_file(content);
	ck_assert_int_eq(truncate(path, 1LL << 40), 0);
}

/* As long as is allowed and not as is written: the size alone is no reason. */
static void make_nul(void)
{
	make_file(content);
	ck_assert_int_eq(truncate(path, 4096), 0);
}

static const struct bad_file {
	void (*make)(void);
	int error; /* of a state file */
	const char *fault; /* of a settings file */
} bad_files[] = {
	{ make_writable_by_others, -EPERM, "is writable by everybody" },
	{ make_writable_by_group, -EPERM, "is writable by its group" },
	{ make_link, -ELOOP, "is a link" },
	{ make_fifo, -EPERM, "is a FIFO" },
	{ make_directory, -EPERM, "is a directory" },
	{ make_zero, -ELOOP, "is a link" },
	{ make_huge, -EFBIG, "the file is too big" },
	{ make_nul, -EBADMSG, "it holds a NUL byte" },
};

START_TEST(state_files)
{
	const struct bad_file *bad = &bad_files[_i];
	struct transaction *t = NULL;

	bad->make();
	ck_assert_int_eq(record_read(fake_sysfs_root(), 12, &t), bad->error);
	ck_assert_ptr_null(t);
}
END_TEST

START_TEST(state_file_that_is_fine)
{
	struct transaction *t = NULL;

	make_file(RECORD);
	ck_assert_int_eq(record_read(fake_sysfs_root(), 12, &t), 0);
	ck_assert_int_eq(t->to, DOMAIN_IDENTITY);
	transaction_free(t);
	ck_assert_str_eq(state_file_describe(-EPERM), "not a regular file that only root can have written");
	ck_assert_str_eq(state_file_describe(-ELOOP), state_file_describe(-EPERM));
	ck_assert_str_eq(state_file_describe(-EBADMSG), "not what the daemon writes");
	ck_assert_str_eq(state_file_describe(-EFBIG), strerror(EFBIG));
}
END_TEST

START_TEST(state_folders)
{
	_cleanup_free_ char *link = strf("%s/link", fake_sysfs_root());
	_cleanup_(transaction_freep) struct transaction *t = calloc(1, sizeof(*t));
	unsigned *list;
	size_t n;

	t->group = 12;
	ck_assert_int_eq(record_write(fake_sysfs_root(), t), 0);
	ck_assert_int_eq(symlink(fake_sysfs_root(), link), 0);
	ck_assert_int_eq(record_read(link, 12, &t), -ENOTDIR);
	ck_assert_int_eq(record_write(link, t), -ENOTDIR);
	ck_assert_int_eq(record_list(link, &list, &n), -ENOTDIR);
	ck_assert_int_eq(chmod(fake_sysfs_root(), 0777), 0);
	ck_assert_int_eq(record_read(fake_sysfs_root(), 12, &t), -EPERM);
	ck_assert_int_eq(record_write(fake_sysfs_root(), t), -EPERM);
	ck_assert_int_eq(record_list(fake_sysfs_root(), &list, &n), -EPERM);
}
END_TEST

/* A link that somebody has laid where the new version is written: it is not followed. */
START_TEST(state_file_written_over_a_link)
{
	_cleanup_free_ char *elsewhere = strf("%s/elsewhere", fake_sysfs_root());
	_cleanup_(transaction_freep) struct transaction *t = calloc(1, sizeof(*t));
	struct stat st;

	fake_file("precious", "elsewhere");
	fake_link("elsewhere", "12");
	t->group = 12;
	ck_assert_int_eq(record_write(fake_sysfs_root(), t), 0);
	ck_assert_int_eq(stat(elsewhere, &st), 0);
	ck_assert_int_eq(st.st_size, strlen("precious"));
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_int_eq(unlink(path), 0);
	fake_link("elsewhere", ".12.new");
	ck_assert_int_eq(record_write(fake_sysfs_root(), t), -ELOOP);
	ck_assert_int_eq(stat(elsewhere, &st), 0);
	ck_assert_int_eq(st.st_size, strlen("precious"));
	/* What is half done is cleared away at the next start, and nothing else. */
	fake_file("precious", "12");
	state_dir_clean(fake_sysfs_root());
	ck_assert_int_eq(record_write(fake_sysfs_root(), t), 0);
	ck_assert_int_eq(stat(elsewhere, &st), 0);
}
END_TEST

/* What the record could not give back is not written to it, and so the device not touched. */
START_TEST(record_of_what_it_cannot_hold)
{
	char longest[200];
	const char *const overrides[] = { "a ; comment", " leading", "trailing ", "two\nlines", "", longest };

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(overrides); i++) {
		_cleanup_(transaction_freep) struct transaction *t = calloc(1, sizeof(*t));
		struct transaction_device device = { .address = (char *)"0000:01:00.0",
						     .override = (char *)overrides[i] };

		t->group = 12;
		ck_assert_int_eq(transaction_add_device(t, &device), 0);
		ck_assert_msg(record_write(fake_sysfs_root(), t) == -EINVAL, "'%s' was taken", overrides[i]);
		ck_assert_int_lt(access(path, F_OK), 0);
	}
}
END_TEST

/* What SETTINGS_LOAD has to say. */
static char *load_settings(bool again, struct settings *settings)
{
	_cleanup_free_ char *log = strf("%s/log", fake_sysfs_root());
	int saved = dup(STDERR_FILENO), fd = open(log, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *text = NULL;

	ck_assert(saved >= 0 && fd >= 0);
	log_set_console(true);
	ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
	settings_load(path, again, settings);
	ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
	close(saved);
	close(fd);
	ck_assert_int_eq(read_file_at(AT_FDCWD, log, 65536, &text), 0);
	return text;
}

static void check_settings(const char *expected)
{
	struct settings settings;
	struct settings before = { .mode = MODE_ENFORCE, .max_workers = 77 };
	_cleanup_free_ char *text = load_settings(false, &settings);
	_cleanup_free_ char *again = load_settings(true, &before);

	if (!expected) {
		ck_assert_int_eq(settings.mode, MODE_ENFORCE);
		ck_assert_str_eq(text, "");
		return;
	}
	/* It may have asked for it; and who had asked for something else before still has that. */
	ck_assert_int_eq(settings.mode, MODE_AUDIT);
	ck_assert_ptr_nonnull(strstr(text, "(Mode=audit)"));
	ck_assert_int_eq(before.mode, MODE_ENFORCE);
	ck_assert_uint_eq(before.max_workers, 77);
	ck_assert_ptr_nonnull(strstr(again, "stay in force"));
	ck_assert_msg(strstr(text, path) && strstr(text, expected), "'%s' lacks '%s'", text, expected);
	ck_assert_int_eq(text_check(text, strcspn(text, "\n"), NULL), TEXT_CLEAN);
}

START_TEST(settings_files)
{
	content = SETTINGS;
	bad_files[_i].make();
	check_settings(bad_files[_i].fault);
}
END_TEST

START_TEST(settings_masked_or_missing)
{
	struct settings settings;

	make_file(SETTINGS);
	free(load_settings(false, &settings));
	ck_assert_int_eq(settings.mode, MODE_AUDIT);
	ck_assert_int_eq(unlink(path), 0);
	check_settings(NULL);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	check_settings(NULL);
	ck_assert_int_eq(unlink(path), 0);
	make_file("");
	check_settings(NULL);
}
END_TEST

/* A line is left aside by itself; what it says is not repeated where it could do harm. */
START_TEST(settings_lines)
{
	static const char *const lines[] = {
		"Mode=audit\x1b[2J", "Mode=\xff\xfe", "Mode=audit\x01", "\x80=\x80", "[\xc3]",
	};
	struct settings settings;

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		_cleanup_free_ char *lines_text = strf("[Daemon]\n%s\nMaxWorkers=3\r\n", lines[i]);
		_cleanup_free_ char *text = NULL;

		make_file(lines_text);
		text = load_settings(false, &settings);
		ck_assert_ptr_nonnull(strstr(text, ":2: the line is no printable UTF-8"));
		ck_assert_int_eq(text_check(text, strcspn(text, "\n"), NULL), TEXT_CLEAN);
		ck_assert_int_eq(settings.mode, MODE_ENFORCE);
		ck_assert_uint_eq(settings.max_workers, 3);
	}
}
END_TEST

/* dbus-daemon hangs up on whoever sends what is not UTF-8, and so any user could hang up for us. */
START_TEST(names_of_others)
{
	_cleanup_(uses_clear) struct uses uses = {};
	_cleanup_free_ char *text = NULL;
	struct outcome outcome = {};

	ck_assert_int_eq(uses_add(&uses, USE_OPEN, strf("card0 is open in \xff\x1b[2J\n (pid 7)")), 0);
	ck_assert_int_eq(uses_tell(&uses, &text), 1);
	ck_assert_str_eq(text, "card0 is open in ??[2J? (pid 7)");
	/* Whatever the length, a character of several bytes is in it whole or not at all. */
	for (size_t length = sizeof(outcome.reason) - 8; length < sizeof(outcome.reason) + 8; length++) {
		outcome_set(&outcome, RESULT_FAILED, PROBLEM_FAILED, EIO, "%*s\xe2\x82\xac", (int)length, "");
		ck_assert_int_eq(text_check(outcome.reason, strlen(outcome.reason), NULL), TEXT_CLEAN);
		ck_assert_int_eq(strstr(outcome.reason, "\xe2\x82\xac") != NULL,
				 length + 3 < sizeof(outcome.reason));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trust");
	TCase *tc = tcase_create("trust");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tc, setup, fake_sysfs_remove);
	tcase_add_loop_test(tc, state_files, 0, ARRAY_LEN(bad_files));
	tcase_add_test(tc, state_file_that_is_fine);
	tcase_add_test(tc, state_folders);
	tcase_add_test(tc, state_file_written_over_a_link);
	tcase_add_test(tc, record_of_what_it_cannot_hold);
	tcase_add_loop_test(tc, settings_files, 0, ARRAY_LEN(bad_files));
	tcase_add_test(tc, settings_masked_or_missing);
	tcase_add_test(tc, settings_lines);
	tcase_add_test(tc, names_of_others);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
