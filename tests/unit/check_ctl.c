/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdint.h>

#include "ctl/address.h"
#include "ctl/args.h"
#include "ctl/describe.h"
#include "ctl/display.h"
#include "ctl/events.h"
#include "ctl/outcome.h"
#include "ctl/table.h"
#include "ctl/term.h"
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

static const struct {
	const char *text;
	const char *escaped;
} escapes[] = {
	{ NULL, "" },
	{ "plain words", "plain words" },
	{ "\033[31mred\n\t\177", "\\x1b[31mred\\x0a\\x09\\x7f" },
	{ "d\u00e9j\u00e0 \u65e5\u672c", "d\u00e9j\u00e0 \u65e5\u672c" },
	{ "\xc2\x85", "\\x85" },
	{ "a\u202eb\u2066c\u200bd\ufeff", "a\\u{202e}b\\u{2066}c\\u{200b}d\\u{feff}" },
	{ "\xff\xfe", "\\xff\\xfe" },
	{ "cut \xe2\x80", "cut \\xe2\\x80" },
	{ "\xc0\xaf", "\\xc0\\xaf" }, /* overlong */
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* surrogate */
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* past the last */
	{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
};

START_TEST(escape)
{
	_cleanup_free_ char *got = display_escape(escapes[_i].text);

	ck_assert_str_eq(got, escapes[_i].escaped);
}
END_TEST

START_TEST(width)
{
	ck_assert_uint_eq(display_width(""), 0);
	ck_assert_uint_eq(display_width("abc"), 3);
	ck_assert_uint_eq(display_width("d\u00e9j\u00e0"), 4);
	ck_assert_uint_eq(display_width("e\u0301"), 1);
	ck_assert_uint_eq(display_width("\u65e5\u672c"), 4);
	ck_assert_uint_eq(display_width("\xff"), 1);
}
END_TEST

static const struct {
	const char *text;
	size_t width;
	const char *plain; /* display_fit() */
	const char *list; /* display_fit_list() */
} fits[] = {
	{ "abcdef", 6, "abcdef", "abcdef" },
	{ "abcdef", 5, "ab...", "ab..." },
	{ "abcdef", 3, "...", "..." },
	{ "abcdef", 2, "..", ".." },
	{ "abcdef", 0, "", "" },
	{ "\u65e5\u672c\u8a9e", 5, "\u65e5...", "\u65e5..." },
	{ "\u65e5\u672c\u8a9e", 4, "...", "..." },
	{ "one, two, three", 15, "one, two, three", "one, two, three" },
	{ "one, two, three", 14, "one, two, t...", "one, two +1" },
	{ "one, two, three", 11, "one, two...", "one, two +1" },
	{ "one, two, three", 10, "one, tw...", "one +2" },
	{ "one, two, three", 6, "one...", "one +2" },
	{ "eleven, two, three", 8, "eleve...", "el... +2" },
	{ "one, two, three", 5, "on...", "on..." },
};

START_TEST(fit)
{
	_cleanup_free_ char *plain = display_fit(fits[_i].text, fits[_i].width, "...");
	_cleanup_free_ char *list = display_fit_list(fits[_i].text, fits[_i].width, "...");

	ck_assert_str_eq(plain, fits[_i].plain);
	ck_assert_str_eq(list, fits[_i].list);
}
END_TEST

static const struct {
	const char *text;
	struct display_wrap wrap;
	const char *wanted;
} wraps[] = {
	{ "", { .width = 20 }, "\n" },
	{ "one two", { .width = DISPLAY_UNLIMITED, .indent = 2 }, "  one two\n" },
	{ "one two three", { .width = 9 }, "one two\nthree\n" },
	{ "one two three", { .width = 13, .indent = 2 }, "  one two\n  three\n" },
	{ "one two three", { .width = 13, .indent = 2, .hanging = true }, "one two\n  three\n" },
	{ "abcdefghijklmnop", { .width = 10 }, "abcdefghij\nklmnop\n" },
	{ "one two three four",
	  { .width = 9, .max_lines = 2, .ellipsis = "..." },
	  "one two\nthree...\n" },
	{ "one two three", { .width = 9, .max_lines = 2, .ellipsis = "..." }, "one two\nthree\n" },
	{ "one two three", { .width = 9, .before = "<", .after = ">" }, "<one two>\n<three>\n" },
	{ "too narrow", { .width = 10, .indent = 6 }, "      too narrow\n" },
	{ "\u65e5\u672c\u8a9e\u65e5\u672c", { .width = 9 }, "\u65e5\u672c\u8a9e\u65e5\n\u672c\n" },
};

START_TEST(wrap)
{
	_cleanup_free_ char *got = NULL;
	size_t size;
	FILE *f = open_memstream(&got, &size);

	ck_assert_int_eq(display_print_wrapped(f, wraps[_i].text, &wraps[_i].wrap), 0);
	fclose(f);
	ck_assert_str_eq(got, wraps[_i].wanted);
}
END_TEST

START_TEST(colour)
{
	ck_assert(term_wants_colour(NULL, NULL, "xterm", true));
	ck_assert(!term_wants_colour(NULL, NULL, "xterm", false));
	ck_assert(!term_wants_colour(NULL, NULL, "dumb", true));
	ck_assert(!term_wants_colour(NULL, NULL, NULL, true));
	ck_assert(!term_wants_colour(NULL, "1", "xterm", true));
	ck_assert(term_wants_colour(NULL, "", "xterm", true));
	ck_assert(term_wants_colour("1", "1", "dumb", false));
	ck_assert(term_wants_colour("256", NULL, "xterm", false));
	ck_assert(!term_wants_colour("0", NULL, "xterm", true));
	ck_assert(!term_wants_colour("False", NULL, "xterm", true));
	ck_assert(!term_wants_colour("auto-16", NULL, "xterm", false));
	ck_assert(term_wants_colour("auto-16", NULL, "xterm", true));
}
END_TEST

START_TEST(column_numbers)
{
	ck_assert_uint_eq(term_parse_columns(NULL), 0);
	ck_assert_uint_eq(term_parse_columns(""), 0);
	ck_assert_uint_eq(term_parse_columns("80"), 80);
	ck_assert_uint_eq(term_parse_columns("80x"), 0);
	ck_assert_uint_eq(term_parse_columns("-1"), 0);
	ck_assert_uint_eq(term_parse_columns("99999999999999999999"), 0);
}
END_TEST

static const struct {
	size_t limit;
	size_t wanted[4];
} layouts[] = {
	{ DISPLAY_UNLIMITED, { 5, 10, 12, 40 } },
	{ 70, { 5, 10, 12, 40 } },
	{ 69, { 5, 10, 12, 39 } },
	{ 38, { 5, 10, 12, 8 } },
	{ 37, { 5, 10, 11, 8 } },
	{ 32, { 5, 8, 8, 8 } }, /* all at the first floor */
	{ 27, { 5, 8, 8, 3 } },
	{ 10, { 5, 3, 3, 3 } }, /* more than there is: the terminal breaks the lines */
};

START_TEST(layout)
{
	static const size_t natural[] = { 5, 10, 12, 40 };
	static const unsigned flags[] = { TABLE_RIGHT, TABLE_SHRINK, TABLE_SHRINK, TABLE_SHRINK };
	size_t got[4];

	table_layout(natural, flags, 4, layouts[_i].limit, got);
	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_eq(got[i], layouts[_i].wanted[i]);
}
END_TEST

static char *print_table(const struct term *term, bool filled)
{
	static const struct table_column columns[] = {
		{ "N", TABLE_RIGHT },
		{ "NAME", TABLE_SHRINK },
		{ "ITEMS", TABLE_SHRINK | TABLE_LIST },
	};
	_cleanup_(table_freep) struct table *table = table_new(columns, ARRAY_SIZE(columns));
	char *ret = NULL;
	size_t size;
	FILE *f = open_memstream(&ret, &size);

	table_note(table, STYLE_PLAIN, 0, "no row yet, so no note");
	if (filled) {
		table_addf(table, STYLE_PLAIN, "%d", 7);
		table_add(table, STYLE_GOOD, "caf\u00e9");
		table_add(table, STYLE_PLAIN, "one, two, three");
		table_note(table, STYLE_BAD, 1, "because of\nthis and that");
		table_addf(table, STYLE_PLAIN, "%d", 123);
		table_add(table, STYLE_PLAIN, "");
		table_add(table, STYLE_PLAIN, NULL);
	}
	ck_assert_uint_eq(table_n_rows(table), filled ? 2 : 0);
	ck_assert_int_eq(table_print(table, f, term), 0);
	fclose(f);
	return ret;
}

START_TEST(table)
{
	struct term term = { .width = DISPLAY_UNLIMITED, .legend = true };
	_cleanup_free_ char *wide = print_table(&term, true);
	_cleanup_free_ char *empty = print_table(&term, false);
	_cleanup_free_ char *narrow = NULL, *bare = NULL;

	ck_assert_str_eq(wide, "  N NAME ITEMS\n"
			       "  7 caf\u00e9 one, two, three\n"
			       "      because of\\x0athis and that\n"
			       "123 -    -\n");
	ck_assert_str_eq(empty, "");

	term = (struct term){ .width = 20, .legend = true, .colour = true };
	narrow = print_table(&term, true);
	ck_assert_str_eq(narrow, "  \033[1mN\033[0m \033[1mNAME\033[0m \033[1mITEMS\033[0m\n"
				 "  7 \033[32mcaf\u00e9\033[0m one, two +1\n"
				 "      \033[1;31mbecause of\\...\033[0m\n"
				 "123 -    -\n");

	term = (struct term){ .width = 20 };
	bare = print_table(&term, true);
	ck_assert_int_eq(strncmp(bare, "  7 ", 4), 0);
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
	g.target = (char *)"DMA-FQ"; /* drifted */
	ck_assert(group_needs_reason(&g));
	g.state = (char *)"pending";
	ck_assert(group_needs_reason(&g));
	g.reason = (char *)"";
	ck_assert(!group_needs_reason(&g));
	g.reason = (char *)"why";
	g.state = (char *)"unmanaged";
	ck_assert(!group_needs_reason(&g));
	g.type = (char *)"identity"; /* set by a rule that is gone */
	ck_assert(group_needs_reason(&g));
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
	tcase_add_loop_test(tc, escape, 0, (int)ARRAY_SIZE(escapes));
	tcase_add_test(tc, width);
	tcase_add_loop_test(tc, fit, 0, (int)ARRAY_SIZE(fits));
	tcase_add_loop_test(tc, wrap, 0, (int)ARRAY_SIZE(wraps));
	tcase_add_test(tc, colour);
	tcase_add_test(tc, column_numbers);
	tcase_add_loop_test(tc, layout, 0, (int)ARRAY_SIZE(layouts));
	tcase_add_test(tc, table);
	tcase_add_loop_test(tc, arguments, 0, (int)ARRAY_SIZE(lines));
	tcase_add_test(tc, verb_table);
	tcase_add_test(tc, outcome);
	tcase_add_loop_test(tc, age, 0, (int)ARRAY_SIZE(ages));
	tcase_add_test(tc, reasons);
	tcase_add_test(tc, subjects);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
