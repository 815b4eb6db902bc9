/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/policy-fixture.h"

#define RULE "[144d:*]\ndomain = DMA\n"

static const char *const dirs[] = { "/etc", "/run", "/usr", NULL };

static void setup(void)
{
	fixture_setup();
	fixture_mkdir("etc");
	fixture_mkdir("run");
	fixture_mkdir("usr");
}

/* FILES: what policy_files() shall say, below the temporary folder, parted by blanks. */
static void check_files(const char *files)
{
	char found[4096] = "", *errors;
	struct policy *policy = fixture_load(dirs, &errors);

	ck_assert_str_eq(errors, "");
	for (const char *const *path = policy_files(policy); *path; path++) {
		size_t length = strlen(found);

		ck_assert_int_eq(strncmp(*path, fixture_dir(), strlen(fixture_dir())), 0);
		snprintf(found + length, sizeof(found) - length, "%s%s", length > 0 ? " " : "",
			 *path + strlen(fixture_dir()) + 1);
	}
	ck_assert_str_eq(found, files);

	policy_free(policy);
	free(errors);
}

static void check_errors(const char *expected)
{
	char *errors;

	ck_assert_ptr_null(fixture_load(dirs, &errors));
	ck_assert_str_eq(errors, expected);
	free(errors);
}

START_TEST(nothing_there)
{
	static const char *const none[] = { NULL };
	static const char *const missing[] = { "/missing", "/also/missing", NULL };
	char *errors;
	struct policy *policy;

	check_files("");

	policy = fixture_load(none, &errors);
	ck_assert_uint_eq(policy_n_rules(policy), 0);
	ck_assert_ptr_null(policy_match(policy, fixture_device("nvme")));
	ck_assert_ptr_null(policy_rule(policy, 0));
	policy_free(policy);
	free(errors);

	policy = fixture_load(missing, &errors);
	ck_assert_str_eq(errors, "");
	policy_free(policy);
	free(errors);
	ck_assert_ptr_null(policy_free(NULL));
}
END_TEST

START_TEST(default_dirs)
{
	static const char *const expected[] = { "/etc", "/run", "/usr/local/lib", "/usr/lib" };
	char path[64];

	for (size_t i = 0; i < N_ELEMENTS(expected); i++) {
		snprintf(path, sizeof(path), "%s/iommu-policyd/policy.d", expected[i]);
		ck_assert_str_eq(policy_default_dirs[i], path);
	}
	ck_assert_ptr_null(policy_default_dirs[N_ELEMENTS(expected)]);
}
END_TEST

START_TEST(order_is_by_name)
{
	fixture_write("etc/20-b.conf", RULE);
	fixture_write("run/10-a.conf", RULE);
	fixture_write("usr/15-c.conf", RULE);
	fixture_write("usr/9-d.conf", RULE);
	fixture_write("etc/A.conf", RULE);
	check_files("run/10-a.conf usr/15-c.conf etc/20-b.conf usr/9-d.conf etc/A.conf");
}
END_TEST

START_TEST(later_file_wins)
{
	char *errors;
	struct policy *policy;

	fixture_write("etc/10-a.conf", "[144d:*]\ndomain = identity\n");
	fixture_write("usr/20-b.conf", "[144d:*]\ndomain = blocked\n");
	policy = fixture_load(dirs, &errors);
	ck_assert_int_eq(policy_match(policy, fixture_device("nvme"))->domain, DOMAIN_BLOCKED);
	ck_assert_str_eq(policy_match(policy, fixture_device("nvme"))->path,
			 fixture_path("usr/20-b.conf"));
	ck_assert_uint_eq(policy_n_rules(policy), 2);
	policy_free(policy);
	free(errors);
}
END_TEST

START_TEST(earlier_folder_replaces)
{
	fixture_write("etc/a.conf", RULE);
	fixture_write("run/a.conf", "this would be an error");
	fixture_write("run/b.conf", RULE);
	fixture_write("usr/a.conf", RULE);
	fixture_write("usr/b.conf", "and this");
	fixture_write("usr/c.conf", RULE);
	check_files("etc/a.conf run/b.conf usr/c.conf");
}
END_TEST

START_TEST(masks)
{
	fixture_write("etc/a.conf", "");
	ck_assert_int_eq(symlink("/dev/null", fixture_path("run/b.conf")), 0);
	fixture_write("etc/c.conf", "");
	for (const char *name = "abcd"; *name; name++) {
		char path[] = "usr/x.conf";

		path[4] = *name;
		fixture_write(path, RULE);
	}
	check_files("usr/d.conf");
}
END_TEST

START_TEST(other_names_are_left_alone)
{
	fixture_write("etc/a.conf~", "junk");
	fixture_write("etc/a.conf.dpkg-new", "junk");
	fixture_write("etc/.conf", "junk");
	fixture_write("etc/.a.conf", "junk");
	ck_assert_int_eq(symlink("user@host.1:2", fixture_path("etc/.#a.conf")), 0);
	fixture_write("etc/README", "junk");
	fixture_write("etc/a.CONF", "junk");
	fixture_write("etc/conf", "junk");
	fixture_mkdir("etc/a.conf.d");
	check_files("");
}
END_TEST

/* Of a folder's path every link is followed, of a file's the last part is not. */
START_TEST(links_to_folders_are_followed)
{
	fixture_mkdir("elsewhere");
	fixture_write("elsewhere/a.conf", RULE);
	ck_assert_int_eq(rmdir(fixture_path("run")), 0);
	ck_assert_int_eq(symlink("elsewhere", fixture_path("run")), 0);
	check_files("run/a.conf");
}
END_TEST

START_TEST(links_to_files_are_refused)
{
	fixture_mkdir("elsewhere");
	fixture_write("elsewhere/rules", RULE);
	fixture_write("elsewhere/empty", "");
	ck_assert_int_eq(symlink("../elsewhere/rules", fixture_path("etc/a.conf")), 0);
	ck_assert_int_eq(symlink("../elsewhere/empty", fixture_path("etc/b.conf")), 0);
	fixture_write("usr/b.conf", RULE);
	check_errors("etc/a.conf: is a link (expected a regular file, or a link to /dev/null)\n"
		     "etc/b.conf: is a link (expected a regular file, or a link to /dev/null)\n");
}
END_TEST

/* A mask through a link of a link is one all the same: nothing is read through it. */
START_TEST(mask_by_a_link_of_a_link)
{
	ck_assert_int_eq(symlink("/dev/null", fixture_path("etc/null")), 0);
	ck_assert_int_eq(symlink("null", fixture_path("etc/a.conf")), 0);
	fixture_write("usr/a.conf", "masked, or this would be an error");
	fixture_write("usr/b.conf", RULE);
	check_files("usr/b.conf");
}
END_TEST

#define EXPECTED_FILE "(expected a regular file, or a link to /dev/null)"

START_TEST(what_is_no_file)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	fixture_mkdir("etc/directory.conf");
	ck_assert_int_eq(mkfifo(fixture_path("etc/fifo.conf"), 0644), 0);
	ck_assert_int_eq(symlink("nowhere", fixture_path("etc/dangling.conf")), 0);
	ck_assert_int_eq(symlink("loop.conf", fixture_path("etc/loop.conf")), 0);
	ck_assert_int_eq(symlink("/dev/zero", fixture_path("etc/zero.conf")), 0);
	ck_assert_int_eq(symlink("/", fixture_path("etc/to-directory.conf")), 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_lt(snprintf(address.sun_path, sizeof(address.sun_path), "%s/etc/socket.conf",
				  fixture_dir()),
			 (int)sizeof(address.sun_path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);

	check_errors(
		"etc/dangling.conf: is a link " EXPECTED_FILE "\n"
		"etc/directory.conf: is a directory " EXPECTED_FILE "\n"
		"etc/fifo.conf: is a FIFO " EXPECTED_FILE "\n"
		"etc/loop.conf: is a link " EXPECTED_FILE "\n"
		"etc/socket.conf: cannot be opened: No such device or address " EXPECTED_FILE "\n"
		"etc/to-directory.conf: is a link " EXPECTED_FILE "\n"
		"etc/zero.conf: is a link " EXPECTED_FILE "\n");
}
END_TEST

START_TEST(modes)
{
	fixture_write("etc/group.conf", RULE);
	fixture_write("etc/world.conf", RULE);
	fixture_write("etc/empty.conf", "");
	fixture_write("etc/fine.conf", RULE);
	ck_assert_int_eq(chmod(fixture_path("etc/group.conf"), 0664), 0);
	ck_assert_int_eq(chmod(fixture_path("etc/world.conf"), 0646), 0);
	ck_assert_int_eq(chmod(fixture_path("etc/empty.conf"), 0666), 0);
	ck_assert_int_eq(chmod(fixture_path("etc/fine.conf"), 0600), 0);
	check_errors(
		"etc/empty.conf: is writable by everybody (expected to be writable by its owner only)\n"
		"etc/group.conf: is writable by its group (expected to be writable by its owner only)\n"
		"etc/world.conf: is writable by everybody (expected to be writable by its owner only)\n");
}
END_TEST

START_TEST(folder_modes)
{
	fixture_write("run/a.conf", RULE);
	ck_assert_int_eq(chmod(fixture_path("run"), 0777), 0);
	ck_assert_int_eq(rmdir(fixture_path("usr")), 0);
	fixture_write("usr", "a file where a folder should be");
	check_errors(
		"run: the folder is writable by everybody (expected to be writable by its owner only)\n"
		"usr: the folder cannot be read: Not a directory (expected policy files)\n");
}
END_TEST

/* Only root can give files away, and only others can be kept from reading. */
START_TEST(owner)
{
	fixture_write("etc/a.conf", RULE);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(fixture_path("etc/a.conf"), 65534, 65534), 0);
		check_errors(
			"etc/a.conf: is owned by somebody else than root (expected owner root)\n");
	} else {
		check_files("etc/a.conf");
		ck_assert_int_eq(chmod(fixture_path("etc/a.conf"), 0), 0);
		check_errors("etc/a.conf: cannot be opened: Permission denied " EXPECTED_FILE "\n");
	}
}
END_TEST

START_TEST(names_that_cannot_be_shown)
{
	fixture_write("etc/\xff.conf", RULE);
	fixture_write("etc/a\nb.conf", RULE);
	fixture_write("etc/ü.conf", RULE);
	check_errors("etc/a\\x0ab.conf: no good name for a policy file (expected printable UTF-8)\n"
		     "etc/\\xff.conf: no good name for a policy file (expected printable UTF-8)\n");
}
END_TEST

START_TEST(errors_of_all_files)
{
	fixture_write("etc/c.conf", "[x]\ndomain = DMA\nmatch-class = 1\n");
	fixture_write("run/a.conf", "[x]\nmatch-class = 01\n");
	fixture_mkdir("usr/b.conf");
	fixture_write("usr/d.conf", RULE);
	check_errors(
		"run/a.conf:1: [x] a section without domain (expected domain = identity, DMA, DMA-FQ, auto, "
		"blocked or keep)\n"
		"usr/b.conf: is a directory " EXPECTED_FILE "\n"
		"etc/c.conf:3: [x] match-class: \"1\" is no class code (expected 2, 4 or 6 hex digits, such as "
		"0108)\n");
}
END_TEST

START_TEST(a_section_may_be_in_two_files)
{
	fixture_write("etc/a.conf", RULE);
	fixture_write("etc/b.conf", RULE);
	check_files("etc/a.conf etc/b.conf");
}
END_TEST

START_TEST(too_big)
{
	fixture_write("etc/a.conf", RULE);
	ck_assert_int_eq(truncate(fixture_path("etc/a.conf"), (16 << 20) + 1), 0);
	check_errors("etc/a.conf: the file is too big (expected at most 16777216 bytes)\n");
}
END_TEST

/* One long line of zero bytes, in a file of the greatest size. */
START_TEST(big_and_sparse)
{
	fixture_write("etc/a.conf", RULE);
	ck_assert_int_eq(truncate(fixture_path("etc/a.conf"), 16 << 20), 0);
	check_errors("etc/a.conf:3: [144d:*] a NUL byte (expected UTF-8 text)\n");
}
END_TEST

START_TEST(too_many_errors)
{
	enum { LINES = 3000 };
	const char *const paths[] = { fixture_path("etc/a.conf"), NULL };
	struct policy_errors errors = { 0 };
	struct policy *policy;
	char *text = calloc(LINES, 2);

	for (size_t i = 0; i < LINES; i++)
		memcpy(text + i * 2, "x\n", 2);
	fixture_write_bytes("etc/a.conf", text, (size_t)LINES * 2);
	free(text);

	ck_assert_int_eq(policy_load_files(paths, &policy, &errors), -EBADMSG);
	ck_assert_uint_eq(errors.n_items, POLICY_ERRORS_MAX);
	ck_assert_uint_eq(errors.n_dropped, LINES - POLICY_ERRORS_MAX);
	ck_assert_uint_eq(errors.items[0].line, 1);
	ck_assert_uint_eq(errors.items[POLICY_ERRORS_MAX - 1].line, POLICY_ERRORS_MAX);
	policy_errors_clear(&errors);
	ck_assert_uint_eq(errors.n_items, 0);
}
END_TEST

START_TEST(a_hundred_thousand_rules)
{
	enum { RULES = 100000 };
	struct device_facts device = *fixture_device("nvme");
	struct policy *policy;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (unsigned i = 0; i < RULES; i++)
		fprintf(f, "[%04x:%04x]\ndomain = DMA\n", 0x1000 + i / 0x1000, i % 0x1000);
	fclose(f);
	policy = fixture_policy(text);
	free(text);

	ck_assert_uint_eq(policy_n_rules(policy), RULES);
	device.vendor = 0x1003;
	device.device = 0x0123;
	ck_assert_uint_eq(policy_match(policy, &device)->position, 3 * 0x1000 + 0x123);
	policy_free(policy);
}
END_TEST

START_TEST(too_many_rules)
{
	enum { RULES = 250001 };
	const char *const paths[] = { fixture_path("many.conf"), NULL };
	char *text = NULL, *errors;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (unsigned i = 0; i < RULES; i++)
		fprintf(f, "[%x:%x]\ndomain = DMA\n", i >> 8, i & 0xff);
	fclose(f);
	fixture_write_bytes("many.conf", text, size);
	free(text);

	ck_assert_ptr_null(fixture_load_files(paths, &errors));
	ck_assert_str_eq(
		errors,
		"many.conf:500001: [3d0:90] too many rules (expected at most 250000 in all files)\n");
	free(errors);
}
END_TEST

START_TEST(too_many_files)
{
	char *errors;

	for (unsigned i = 0; i <= 4096; i++) {
		char name[32];

		snprintf(name, sizeof(name), "etc/%u.conf", i);
		ck_assert_int_eq(symlink("/dev/null", fixture_path(name)), 0);
	}
	ck_assert_ptr_null(fixture_load(dirs, &errors));
	ck_assert_str_eq(errors,
			 "etc: too many policy files (expected at most 4096 in all folders)\n");
	free(errors);
}
END_TEST

START_TEST(named_files_keep_their_order)
{
	const char *const paths[] = { fixture_path("z.conf"), fixture_path("empty"),
				      fixture_path("a.txt"), NULL };
	const char *const missing[] = { fixture_path("missing.conf"), NULL };
	struct policy *policy;
	char *errors;

	fixture_write("z.conf", RULE);
	fixture_write("empty", "");
	fixture_write("a.txt", RULE);
	policy = fixture_load_files(paths, &errors);
	ck_assert_str_eq(errors, "");
	ck_assert_str_eq(policy_files(policy)[0], fixture_path("z.conf"));
	ck_assert_str_eq(policy_files(policy)[1], fixture_path("a.txt"));
	ck_assert_ptr_null(policy_files(policy)[2]);
	ck_assert_str_eq(policy_match(policy, fixture_device("nvme"))->path, fixture_path("a.txt"));
	policy_free(policy);
	free(errors);

	ck_assert_ptr_null(fixture_load_files(missing, &errors));
	ck_assert_str_eq(errors,
			 "missing.conf: cannot be opened: No such file or directory " EXPECTED_FILE
			 "\n");
	free(errors);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy search path");
	TCase *tcase = tcase_create("search");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, fixture_teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, nothing_there);
	tcase_add_test(tcase, default_dirs);
	tcase_add_test(tcase, order_is_by_name);
	tcase_add_test(tcase, later_file_wins);
	tcase_add_test(tcase, earlier_folder_replaces);
	tcase_add_test(tcase, masks);
	tcase_add_test(tcase, other_names_are_left_alone);
	tcase_add_test(tcase, links_to_folders_are_followed);
	tcase_add_test(tcase, links_to_files_are_refused);
	tcase_add_test(tcase, mask_by_a_link_of_a_link);
	tcase_add_test(tcase, what_is_no_file);
	tcase_add_test(tcase, modes);
	tcase_add_test(tcase, folder_modes);
	tcase_add_test(tcase, owner);
	tcase_add_test(tcase, names_that_cannot_be_shown);
	tcase_add_test(tcase, errors_of_all_files);
	tcase_add_test(tcase, a_section_may_be_in_two_files);
	tcase_add_test(tcase, too_big);
	tcase_add_test(tcase, big_and_sparse);
	tcase_add_test(tcase, too_many_errors);
	tcase_add_test(tcase, a_hundred_thousand_rules);
	tcase_add_test(tcase, too_many_rules);
	tcase_add_test(tcase, too_many_files);
	tcase_add_test(tcase, named_files_keep_their_order);
	suite_add_tcase(suite, tcase);

	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
