/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy files in tests/data/policy:
 *
 * good/NAME.conf is sound, and NAME.expect lists all its rules, one a line,
 *   rule LINE [SECTION] DOMAIN REBIND [force] [driver=…] [description=…]
 * then, for devices of the fixture, the line of the rule that wins: "nvme 3".
 * A device that is not listed is matched by no rule.
 *
 * bad/NAME.conf is not, and NAME.errors has all its messages.
 *
 * They are copied before they are read: a checkout may be writable by a group.
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/policy-fixture.h"

enum { FILES_MIN = 60 };

static int is_conf(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static struct policy *load_copy(const char *folder, const char *name, char **errors)
{
	const char *const paths[] = { fixture_path(name), NULL };
	char path[8192];
	size_t size;
	char *data;

	snprintf(path, sizeof(path), "%s/%s/%s", fixture_data_dir(), folder, name);
	data = fixture_read(path, &size);
	fixture_write_bytes(name, data, size);
	free(data);
	return fixture_load_files(paths, errors);
}

static char *read_expected(const char *folder, const char *name, const char *suffix)
{
	char path[8192];

	snprintf(path, sizeof(path), "%s/%s/%.*s.%s", fixture_data_dir(), folder,
		 (int)strlen(name) - 5, name, suffix);
	return fixture_read(path, NULL);
}

static char *dump(const struct policy *policy)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(f);
	for (size_t i = 0; i < policy_n_rules(policy); i++) {
		const struct policy_rule *rule = policy_rule(policy, i);

		ck_assert_uint_eq(rule->position, i);
		fprintf(f, "rule %u [%s] %s %s%s", rule->line, rule->name,
			domain_to_string(rule->domain), rebind_to_string(rule->rebind),
			rule->force ? " force" : "");
		if (rule->driver)
			fprintf(f, " driver=%s", rule->driver);
		if (rule->description)
			fprintf(f, " description=%s", rule->description);
		fputc('\n', f);
	}
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

/* The lines of EXPECTED that begin with "rule ", which come first. Returns the rest. */
static const char *check_rules(const struct policy *policy, const char *name, const char *expected)
{
	char *rules = dump(policy);
	size_t length = strlen(rules);

	if (strncmp(expected, rules, length) != 0 || strncmp(expected + length, "rule ", 5) == 0)
		ck_abort_msg("%s: expected\n%s\ngot\n%s", name, expected, rules);

	free(rules);
	return expected + length;
}

static void check_winners(const struct policy *policy, const char *name, const char *expected)
{
	unsigned lines[32] = { 0 };
	char device[32];
	int n;

	for (unsigned line; sscanf(expected, "%31s %u\n%n", device, &line, &n) == 2;
	     expected += n) {
		const struct device_facts *facts = fixture_device(device);

		for (size_t i = 0; i < fixture_n_devices; i++)
			if (&fixture_devices[i].facts == facts)
				lines[i] = line;
	}
	ck_assert_str_eq(expected, "");

	for (size_t i = 0; i < fixture_n_devices; i++) {
		const struct policy_rule *rule = policy_match(policy, &fixture_devices[i].facts);
		unsigned line = rule ? rule->line : 0;

		ck_assert_msg(line == lines[i], "%s: %s is matched on line %u, expected %u", name,
			      fixture_devices[i].name, line, lines[i]);
	}
}

static void check_good(const char *name)
{
	char *errors, *expected = read_expected("good", name, "expect");
	struct policy *policy = load_copy("good", name, &errors);

	if (!policy)
		ck_abort_msg("%s:\n%s", name, errors);

	ck_assert_ptr_nonnull(policy_files(policy)[0]);
	ck_assert_ptr_null(policy_files(policy)[1]);
	check_winners(policy, name, check_rules(policy, name, expected));
	policy_free(policy);
	free(expected);
	free(errors);
}

static void check_bad(const char *name)
{
	char *errors, *expected = read_expected("bad", name, "errors");

	ck_assert_ptr_null(load_copy("bad", name, &errors));
	ck_assert_msg(strcmp(errors, expected) == 0, "%s: expected\n%s\ngot\n%s", name, expected,
		      errors);
	free(expected);
	free(errors);
}

static void check_all(const char *folder, void (*check)(const char *name))
{
	struct dirent **entries;
	char path[8192];
	int n;

	snprintf(path, sizeof(path), "%s/%s", fixture_data_dir(), folder);
	n = scandir(path, &entries, is_conf, alphasort);
	ck_assert_msg(n >= FILES_MIN, "%s has %d files", path, n);

	for (int i = 0; i < n; i++) {
		check(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

START_TEST(good_files)
{
	check_all("good", check_good);
}
END_TEST

START_TEST(bad_files)
{
	check_all("bad", check_bad);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy files");
	TCase *tcase = tcase_create("data");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, good_files);
	tcase_add_test(tcase, bad_files);
	suite_add_tcase(suite, tcase);

	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
