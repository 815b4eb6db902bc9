/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdint.h>

#include "ctl/address.h"
#include "ctl/args.h"
#include "ctl/describe.h"
#include "ctl/display.h"
#include "ctl/document.h"
#include "ctl/events.h"
#include "ctl/outcome.h"
#include "ctl/util.h"

static const struct {
	const char *text;
	const char *address; /* NULL: not an address */
} addresses[] = {
	{ "0000:3b:00.0", "0000:3b:00.0" },
	{ "3b:00.0", "0000:3b:00.0" },
	{ "3B:1F.7", "0000:3b:1f.7" },
	{ "ABCD:00:00.0", "abcd:00:00.0" },
	{ "10000:e1:00.0", "10000:e1:00.0" },
	{ "00010000:e1:00.0", "10000:e1:00.0" },
	{ "ffffffff:ff:1f.7", "ffffffff:ff:1f.7" },
	{ "", NULL },
	{ "12", NULL },
	{ ":", NULL },
	{ "3b:00", NULL },
	{ "3b:00.", NULL },
	{ "3b:00.8", NULL },
	{ "3b:20.0", NULL },
	{ "3b:0.0", NULL },
	{ "b:00.0", NULL },
	{ "3b:00.00", NULL },
	{ "3b:00.0 ", NULL },
	{ " 3b:00.0", NULL },
	{ "0:3b:00.0", NULL },
	{ "123456789:3b:00.0", NULL },
	{ "0000:0000:3b:00.0", NULL },
	{ "0000:3b.00.0", NULL },
	{ "0x00:3b:00.0", NULL },
	{ "000g:3b:00.0", NULL },
	{ "-001:3b:00.0", NULL },
};

START_TEST(address)
{
	const char *wanted = addresses[_i].address;
	char got[ADDRESS_MAX];
	int r = address_normalize(addresses[_i].text, got);

	ck_assert_int_eq(r, wanted ? 0 : -EINVAL);
	if (wanted)
		ck_assert_str_eq(got, wanted);
}
END_TEST

START_TEST(address_order)
{
	ck_assert_int_lt(address_compare("0000:3b:00.0", "0000:3b:00.1"), 0);
	ck_assert_int_lt(address_compare("ffff:ff:1f.7", "10000:00:00.0"), 0);
	ck_assert_int_eq(address_compare("0000:3b:00.0", "0000:3b:00.0"), 0);
}
END_TEST

static const struct {
	const char *text;
	int result;
	enum target_kind kind;
	uint32_t group;
} targets[] = {
	{ "0", 0, TARGET_GROUP, 0 },
	{ "007", 0, TARGET_GROUP, 7 },
	{ "4294967295", 0, TARGET_GROUP, UINT32_MAX },
	{ "4294967296", -EINVAL, 0, 0 },
	{ "99999999999999999999999999", -EINVAL, 0, 0 },
	{ "-1", -EINVAL, 0, 0 },
	{ "+1", -EINVAL, 0, 0 },
	{ "1 ", -EINVAL, 0, 0 },
	{ "", -EINVAL, 0, 0 },
	{ "3b:00.0", 0, TARGET_DEVICE, 0 },
	{ "eth0", -EINVAL, 0, 0 },
};

START_TEST(target)
{
	struct target got;

	ck_assert_int_eq(target_parse(targets[_i].text, &got), targets[_i].result);
	if (targets[_i].result < 0)
		return;
	ck_assert_int_eq(got.kind, targets[_i].kind);
	ck_assert_uint_eq(got.group, targets[_i].group);
}
END_TEST

static int no_verb(struct ctl *ctl _unused_, char **args _unused_, int n_args _unused_)
{
	return 0;
}

static const struct verb test_verbs[] = {
	{ .name = "status", .args = "", .run = no_verb },
	{ .name = "show", .args = "THING", .min_args = 1, .max_args = 1, .run = no_verb },
	{ .name = "set",
	  .args = "A B",
	  .min_args = 2,
	  .max_args = 2,
	  .options = VERB_REBIND,
	  .run = no_verb },
	{ .name = "check", .args = "[FILE...]", .max_args = -1, .run = no_verb },
	{ 0 },
};

static const struct {
	const char *line; /* words after the program's name */
	int result;
	enum action action;
	const char *verb; /* NULL: none */
	int n_operands;
	bool rebind, force;
	const char *problem; /* NULL: none */
} lines[] = {
	{ "", 0, ACTION_RUN, "status", 0, 0, 0, NULL },
	{ "status", 0, ACTION_RUN, "status", 0, 0, 0, NULL },
	{ "show 12", 0, ACTION_RUN, "show", 1, 0, 0, NULL },
	{ "set 12 identity --rebind", 0, ACTION_RUN, "set", 2, 1, 0, NULL },
	{ "--rebind set 12 identity", 0, ACTION_RUN, "set", 2, 1, 0, NULL },
	{ "check -- -x --help", 0, ACTION_RUN, "check", 2, 0, 0, NULL },
	{ "check a b c d", 0, ACTION_RUN, "check", 4, 0, 0, NULL },
	{ "--help", 0, ACTION_HELP, NULL, 0, 0, 0, NULL },
	{ "-h", 0, ACTION_HELP, NULL, 0, 0, 0, NULL },
	{ "set --help", 0, ACTION_HELP, "set", 0, 0, 0, NULL },
	{ "--version", 0, ACTION_VERSION, NULL, 0, 0, 0, NULL },
	{ "show", -EINVAL, 0, "show", 0, 0, 0, "'show' needs THING" },
	{ "show 1 2", -EINVAL, 0, "show", 2, 0, 0,
	  "too many arguments for 'show', which takes THING" },
	{ "status 1", -EINVAL, 0, "status", 1, 0, 0, "'status' takes no arguments" },
	{ "set 1 2 --force", -EINVAL, 0, "set", 2, 0, 1, "'set' does not take --force" },
	{ "--rebind", -EINVAL, 0, "status", 0, 1, 0, "'status' does not take --rebind" },
	{ "staus", -EINVAL, 0, NULL, 1, 0, 0, "unknown verb 'staus', did you mean 'status'?" },
	{ "hsow 1", -EINVAL, 0, NULL, 2, 0, 0, "unknown verb 'hsow', did you mean 'show'?" },
	{ "frobnicate", -EINVAL, 0, NULL, 1, 0, 0, "unknown verb 'frobnicate'" },
	{ "frobnicate --help", -EINVAL, 0, NULL, 1, 0, 0, "unknown verb 'frobnicate'" },
	{ "--frob", -EINVAL, 0, NULL, 0, 0, 0, "unknown option --frob" },
	{ "-z", -EINVAL, 0, NULL, 0, 0, 0, "unknown option -z" },
	{ "status --force=yes", -EINVAL, 0, NULL, 0, 0, 0, "option --force takes no value" },
	{ "set 1 2 --host", -EINVAL, 0, NULL, 0, 0, 0, "option --host needs [USER@]HOST" },
	{ "set 1 2 -H", -EINVAL, 0, NULL, 0, 0, 0, "option --host needs [USER@]HOST" },
	{ "set 1 2 --host=", -EINVAL, 0, NULL, 0, 0, 0,
	  "option --host needs [USER@]HOST, not nothing" },
	{ "set 1 2 -H box", -EINVAL, 0, "set", 2, 0, 0, "'set' does not take --host" },
	{ "set 1 2 --permanent", -EINVAL, 0, "set", 2, 0, 0, "'set' does not take --permanent" },
	{ "show 1 --policy-dir=/tmp", -EINVAL, 0, "show", 1, 0, 0,
	  "'show' does not take --policy-dir" },
	{ "show 1 --tree", -EINVAL, 0, "show", 1, 0, 0, "'show' does not take --tree" },
	{ "status --json=short", -EINVAL, 0, "status", 0, 0, 0, "'status' does not take --json" },
	{ "status --json=off", 0, ACTION_RUN, "status", 0, 0, 0, NULL },
	{ "status --json=yaml", -EINVAL, 0, NULL, 0, 0, 0,
	  "--json takes pretty, short or off, not 'yaml'" },
	{ "status --no-pager --no-legend --no-ask-password", 0, ACTION_RUN, "status", 0, 0, 0, NULL },
	{ "--help=yes", -EINVAL, 0, NULL, 0, 0, 0, "option --help takes no value" },
};

START_TEST(arguments)
{
	_cleanup_free_ char *line = strdup(lines[_i].line);
	char *argv[16] = { (char *)"iommu-policyctl" };
	struct arguments got;
	int argc = 1;

	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;

	ck_assert_int_eq(arguments_parse(argc, argv, test_verbs, &got), lines[_i].result);
	if (lines[_i].problem)
		ck_assert_str_eq(got.problem, lines[_i].problem);
	else
		ck_assert_ptr_null(got.problem);
	if (lines[_i].result == 0) {
		ck_assert_int_eq(got.action, lines[_i].action);
		ck_assert_int_eq(got.n_operands, lines[_i].n_operands);
		ck_assert(got.rebind == lines[_i].rebind && got.force == lines[_i].force);
	}
	ck_assert_str_eq(got.verb ? got.verb->name : "", lines[_i].verb ? lines[_i].verb : "");
	arguments_clear(&got);
}
END_TEST

/* Whoever adds a verb gets its help and its arguments checked here. */
START_TEST(verb_table)
{
	ck_assert_str_eq(verbs[0].name, "status");
	for (const struct verb *v = verbs; v->name; v++) {
		ck_assert_msg(v->run && v->summary && v->args, "%s", v->name);
		ck_assert_msg(v->max_args < 0 || v->min_args <= v->max_args, "%s", v->name);
		ck_assert_msg((v->max_args == 0) == (*v->args == '\0'), "%s", v->name);
		ck_assert_msg(display_width(v->summary) <= 54, "%s", v->name);
	}
}
END_TEST

START_TEST(outcome)
{
	static const char *const refused[] = { "InUse", "UserOwned", "RequiresDirect", "Untrusted",
					       "KernelRefused" };
	char name[64];

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		snprintf(name, sizeof(name), "org.iommupolicy1.Error.%s", refused[i]);
		ck_assert_int_eq(outcome_of_error(name), EXIT_CODE_REFUSED);
	}
	ck_assert_int_eq(outcome_of_error("org.iommupolicy1.Error.Timeout"), EXIT_CODE_FAILED);
	ck_assert_int_eq(outcome_of_error("org.iommupolicy1.Error.NotAuthorized"),
			 EXIT_CODE_FAILED);
	ck_assert_int_eq(outcome_of_error("org.example.Unheard"), EXIT_CODE_FAILED);
	ck_assert_int_eq(outcome_of_error(NULL), EXIT_CODE_FAILED);

	ck_assert_int_eq(outcome_of_state("compliant"), EXIT_CODE_DONE);
	ck_assert_int_eq(outcome_of_state("unmanaged"), EXIT_CODE_DONE);
	ck_assert_int_eq(outcome_of_state("pending"), EXIT_CODE_PENDING);
	ck_assert_int_eq(outcome_of_state("applying"), EXIT_CODE_PENDING);
	ck_assert_int_eq(outcome_of_state("refused"), EXIT_CODE_REFUSED);
	ck_assert_int_eq(outcome_of_state("user-owned"), EXIT_CODE_REFUSED);
	ck_assert_int_eq(outcome_of_state("failed"), EXIT_CODE_FAILED);
	ck_assert_int_eq(outcome_of_state("of the future"), EXIT_CODE_FAILED);

	ck_assert_int_eq(outcome_worse(EXIT_CODE_DONE, EXIT_CODE_PENDING), EXIT_CODE_PENDING);
	ck_assert_int_eq(outcome_worse(EXIT_CODE_REFUSED, EXIT_CODE_PENDING), EXIT_CODE_REFUSED);
	ck_assert_int_eq(outcome_worse(EXIT_CODE_FAILED, EXIT_CODE_REFUSED), EXIT_CODE_FAILED);

	ck_assert_ptr_nonnull(
		strstr(outcome_hint("org.iommupolicy1.Error.InUse", true), "--force"));
	ck_assert_ptr_null(strstr(outcome_hint("org.iommupolicy1.Error.InUse", false), "--force"));
	ck_assert_str_eq(outcome_hint("org.example.Unheard", true), "");
	ck_assert_str_ne(outcome_hint("org.freedesktop.systemd1.NoSuchUnit", false), "");
}
END_TEST

static const struct {
	uint64_t seconds;
	const char *wanted;
} ages[] = {
	{ 0, "now" },	       { 1, "1s ago" },	   { 59, "59s ago" },	 { 60, "1min ago" },
	{ 3599, "59min ago" }, { 3600, "1h ago" }, { 86399, "23h ago" }, { 86400, "1d ago" },
};

START_TEST(age)
{
	uint64_t then = 1000000000000000;
	char got[32];

	describe_age(then, then + ages[_i].seconds * 1000000, got, sizeof(got));
	ck_assert_str_eq(got, ages[_i].wanted);
	/* A clock that was put back is no reason for millions of days. */
	describe_age(then + 5000000, then, got, sizeof(got));
	ck_assert_str_eq(got, "now");
}
END_TEST

START_TEST(reasons)
{
	struct model_group g = {
		.type = (char *)"DMA",
		.boot_type = (char *)"DMA",
		.target = (char *)"DMA",
		.state = (char *)"compliant",
		.reason = (char *)"why",
	};

	ck_assert(!group_needs_reason(&g));
	g.target = (char *)"DMA-FQ";
	g.state = (char *)"pending";
	ck_assert(group_needs_reason(&g));
	g.reason = (char *)"";
	ck_assert(!group_needs_reason(&g));
	g.reason = (char *)"why";
	g.state = (char *)"unmanaged";
	ck_assert(!group_needs_reason(&g));
	g.drifted = true;
	ck_assert(group_needs_reason(&g));
	g.drifted = false;
	g.type = (char *)"identity"; /* set by a rule that is gone */
	ck_assert(group_needs_reason(&g));
}
END_TEST

/* As check has it: section and key apart. */
START_TEST(policy_errors)
{
	static const struct {
		const char *key, *section, *name;
	} errors[] = {
		{ "[8086:10d3] domain", "8086:10d3", "domain" },
		{ "[a b]", "a b", NULL },
		{ "", NULL, NULL },
		{ "[a] b] c", "a", "b] c" },
		{ "[open", NULL, "[open" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct model_policy_error error = { .file = (char *)"/p/x.conf",
						    .key = (char *)errors[i].key,
						    .message = (char *)"why" };
		struct model_manager manager = { .errors = &error, .n_errors = 1 };
		json_object *document = json_object_new_object(), *got;
		struct json_builder b = { 0 };
		const char *text;

		document_policy(&b, document, &manager);
		ck_assert(!b.failed);
		got = json_object_array_get_idx(json_object_object_get(document, "policy_errors"), 0);
		text = json_object_get_string(json_object_object_get(got, "section"));
		ck_assert_pstr_eq(text, errors[i].section);
		text = json_object_get_string(json_object_object_get(got, "key"));
		ck_assert_pstr_eq(text, errors[i].name);
		json_object_put(document);
	}
}
END_TEST

START_TEST(subjects)
{
	static const struct {
		const char *path;
		const char *wanted;
	} paths[] = {
		{ "/org/iommupolicy1/group/_312", "group 12" },
		{ "/org/iommupolicy1/device/_30000_3a3b_3a00_2e0", "device 0000:3b:00.0" },
		{ "/org/iommupolicy1/device/_1b", "device \\x1b" },
		{ "/org/iommupolicy1", "daemon" },
		{ "/org/example", "/org/example" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_free_ char *got = event_subject(paths[i].path);

		ck_assert_str_eq(got, paths[i].wanted);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl");
	TCase *tc = tcase_create("ctl");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, address, 0, (int)ARRAY_SIZE(addresses));
	tcase_add_test(tc, address_order);
	tcase_add_loop_test(tc, target, 0, (int)ARRAY_SIZE(targets));
	tcase_add_loop_test(tc, arguments, 0, (int)ARRAY_SIZE(lines));
	tcase_add_test(tc, verb_table);
	tcase_add_test(tc, outcome);
	tcase_add_loop_test(tc, age, 0, (int)ARRAY_SIZE(ages));
	tcase_add_test(tc, reasons);
	tcase_add_test(tc, policy_errors);
	tcase_add_test(tc, subjects);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
