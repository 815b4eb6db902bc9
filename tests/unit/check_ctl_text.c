/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>

#include "ctl/display.h"
#include "ctl/table.h"
#include "ctl/term.h"
#include "ctl/util.h"

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

static const struct {
	size_t width;
	const char *wanted;
} briefs[] = {
	{ DISPLAY_UNLIMITED, "0000:3b:00.0 nvme Fast Disk\n" },
	{ 24, "0000:3b:00.0 nvme Fas...\n" },
	{ 17, "0000:3b:00.0 n...\n" },
	{ 16, "3b:00.0 nvme\n" }, /* less than what is to be kept */
	{ 9, "3b:00....\n" },
};

START_TEST(brief)
{
	static const struct table_column columns[] = { { "DEVICES", TABLE_SHRINK } };
	_cleanup_(table_freep) struct table *rows = table_new(columns, 1);
	struct term term = { .width = briefs[_i].width };
	_cleanup_free_ char *got = NULL;
	size_t size;
	FILE *f = open_memstream(&got, &size);

	table_add_brief(rows, STYLE_PLAIN, "0000:3b:00.0 nvme Fast Disk", 17, "3b:00.0 nvme");
	ck_assert_int_eq(table_print(rows, f, &term), 0);
	fclose(f);
	ck_assert_str_eq(got, briefs[_i].wanted);
}
END_TEST

START_TEST(branches)
{
	struct term term = { 0 };

	ck_assert_str_eq(term_branch(&term, false), "|-");
	ck_assert_str_eq(term_branch(&term, true), "`-");
	term.utf8 = true;
	ck_assert_uint_eq(display_width(term_branch(&term, false)), 2);
	ck_assert_uint_eq(display_width(term_branch(&term, true)), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl text");
	TCase *tc = tcase_create("ctl text");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, escape, 0, (int)ARRAY_SIZE(escapes));
	tcase_add_test(tc, width);
	tcase_add_loop_test(tc, fit, 0, (int)ARRAY_SIZE(fits));
	tcase_add_loop_test(tc, wrap, 0, (int)ARRAY_SIZE(wraps));
	tcase_add_test(tc, colour);
	tcase_add_test(tc, column_numbers);
	tcase_add_loop_test(tc, layout, 0, (int)ARRAY_SIZE(layouts));
	tcase_add_test(tc, table);
	tcase_add_loop_test(tc, brief, 0, (int)ARRAY_SIZE(briefs));
	tcase_add_test(tc, branches);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
