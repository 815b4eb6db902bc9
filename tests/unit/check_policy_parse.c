/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The small parsers below the files, and the messages about them. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/line-reader.h"
#include "policy/pci-id.h"
#include "policy/text.h"
#include "tests/unit/policy-fixture.h"

START_TEST(domains)
{
	static const char *const words[] = {
		"keep", "auto", "identity", "DMA-FQ", "DMA", "blocked"
	};

	for (size_t i = 0; i < N_ELEMENTS(words); i++) {
		char upper[16] = "";

		for (size_t k = 0; words[i][k]; k++)
			upper[k] = words[i][k] >= 'a' ? (char)(words[i][k] - 32) : words[i][k];
		ck_assert_int_eq(domain_from_string(words[i]), DOMAIN_KEEP + i);
		ck_assert_int_eq(domain_from_string(upper), DOMAIN_KEEP + i);
		ck_assert_str_eq(domain_to_string(DOMAIN_KEEP + i), words[i]);
		ck_assert_int_eq(domain_is_type(DOMAIN_KEEP + i), i >= 2);
	}

	ck_assert_int_lt(DOMAIN_IDENTITY, DOMAIN_DMA_FQ);
	ck_assert_int_lt(DOMAIN_DMA_FQ, DOMAIN_DMA);
	ck_assert_int_lt(DOMAIN_DMA, DOMAIN_BLOCKED);
	ck_assert(!domain_is_type(DOMAIN_NONE));
	ck_assert_str_eq(domain_to_string(DOMAIN_NONE), "");
	ck_assert_str_eq(domain_to_string((enum domain)99), "");
	ck_assert_int_eq(domain_from_string(""), DOMAIN_NONE);
	ck_assert_int_eq(domain_from_string("DMA "), DOMAIN_NONE);
	ck_assert_int_eq(domain_from_string("DM"), DOMAIN_NONE);
}
END_TEST

START_TEST(rebinds)
{
	ck_assert_str_eq(rebind_to_string(REBIND_HOTPLUG), "hotplug");
	ck_assert_str_eq(rebind_to_string(REBIND_NEVER), "never");
	ck_assert_str_eq(rebind_to_string(REBIND_ALWAYS), "always");
	ck_assert_str_eq(rebind_to_string((enum rebind)99), "");
}
END_TEST

START_TEST(booleans)
{
	static const char *const yes[] = { "yes", "YES", "true", "on", "1", "On" };
	static const char *const no[] = { "no", "No", "false", "off", "0", "FALSE" };
	static const char *const neither[] = { "", "y", "n", "2", "yes ", "ja", "01", "enabled" };
	bool value;

	for (size_t i = 0; i < N_ELEMENTS(yes); i++) {
		value = false;
		ck_assert_int_eq(text_parse_bool(yes[i], &value), 0);
		ck_assert(value);
	}
	for (size_t i = 0; i < N_ELEMENTS(no); i++) {
		value = true;
		ck_assert_int_eq(text_parse_bool(no[i], &value), 0);
		ck_assert(!value);
	}
	for (size_t i = 0; i < N_ELEMENTS(neither); i++)
		ck_assert_int_eq(text_parse_bool(neither[i], &value), -EINVAL);
}
END_TEST

static const struct {
	const char *text;
	enum text_flaw flaw;
	size_t at;
	const char *escaped;
} texts[] = {
	{ "", TEXT_CLEAN, 0, "" },
	{ "plain\ttext", TEXT_CLEAN, 0, "plain\\x09text" },
	{ "gr\xc3\xbc\xc3\x9f", TEXT_CLEAN, 0, "gr\xc3\xbc\xc3\x9f" },
	{ "\xe2\x82\xac\xf0\x9f\x90\xa7", TEXT_CLEAN, 0, "\xe2\x82\xac\xf0\x9f\x90\xa7" },
	{ "\xf4\x8f\xbf\xbf", TEXT_CLEAN, 0, "\xf4\x8f\xbf\xbf" },
	{ "a\nb", TEXT_CONTROL, 1, "a\\x0ab" },
	{ "a\x7f", TEXT_CONTROL, 1, "a\\x7f" },
	{ "\x1b[1m", TEXT_CONTROL, 0, "\\x1b[1m" },
	{ "a\xc2\x80", TEXT_CONTROL, 1, "a\\xc2\\x80" },
	{ "\xe2\x80\xa8", TEXT_CONTROL, 0, "\\xe2\\x80\\xa8" },
	{ "\xe2\x80\xae"
	  "b",
	  TEXT_CONTROL, 0,
	  "\\xe2\\x80\\xae"
	  "b" },
	{ "\xe2\x81\xa9", TEXT_CONTROL, 0, "\\xe2\\x81\\xa9" },
	{ "ab\xff", TEXT_NOT_UTF8, 2, "ab\\xff" },
	{ "\x80", TEXT_NOT_UTF8, 0, "\\x80" },
	{ "\xc3", TEXT_NOT_UTF8, 0, "\\xc3" },
	{ "\xc3(", TEXT_NOT_UTF8, 0, "\\xc3(" },
	{ "\xe2\x82", TEXT_NOT_UTF8, 0, "\\xe2\\x82" },
	{ "\xf0\x9f\x90", TEXT_NOT_UTF8, 0, "\\xf0\\x9f\\x90" },
	{ "\xc0\x80", TEXT_NOT_UTF8, 0, "\\xc0\\x80" },
	{ "\xe0\x80\xaf", TEXT_NOT_UTF8, 0, "\\xe0\\x80\\xaf" },
	{ "\xed\xa0\x80", TEXT_NOT_UTF8, 0, "\\xed\\xa0\\x80" },
	{ "\xf4\x90\x80\x80", TEXT_NOT_UTF8, 0, "\\xf4\\x90\\x80\\x80" },
	{ "\xf8\x88\x80\x80\x80", TEXT_NOT_UTF8, 0, "\\xf8\\x88\\x80\\x80\\x80" },
};

START_TEST(text_flaws)
{
	const char *input = texts[_i].text;
	size_t at = 0;
	char *escaped = text_escape(input);

	ck_assert_int_eq(text_check(input, strlen(input), &at), texts[_i].flaw);
	ck_assert_uint_eq(at, texts[_i].at);
	ck_assert_int_eq(text_check(input, strlen(input), NULL), texts[_i].flaw);
	ck_assert_str_eq(escaped, texts[_i].escaped);
	ck_assert_int_eq(text_check(escaped, strlen(escaped), NULL), TEXT_CLEAN);
	free(escaped);
}
END_TEST

static const struct {
	const char *word;
	const char *formatted; /* NULL: malformed */
	unsigned mask;
	bool star;
} ids[] = {
	{ "144d:a808", "144d:a808", 12, false },
	{ "144D:A808", "144d:a808", 12, false },
	{ "1:2", "0001:0002", 12, false },
	{ "144d:*", "144d:*", 8, true },
	{ "*:a808", "*:a808", 4, true },
	{ "*:*", "*:*", 0, true },
	{ "1:2:3:4", "0001:0002:0003:0004", 15, false },
	{ "ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff", 15, false },
	{ "0000:0000:0000:0000", "0000:0000:0000:0000", 15, false },
	{ "1:2:*:*", "0001:0002:*:*", 12, true },
	{ "*:*:3:*", "*:*:0003:*", 2, true },
	{ "*:*:*:4", "*:*:*:0004", 1, true },
	{ "", NULL, 0, false },
	{ "*", NULL, 0, false },
	{ "144d", NULL, 0, false },
	{ "144d:", NULL, 0, false },
	{ ":a808", NULL, 0, false },
	{ "144d:a808:", NULL, 0, false },
	{ "144d:a808:1", NULL, 0, false },
	{ "144d:a808:1:", NULL, 0, false },
	{ "144d:a808:1:2:", NULL, 0, false },
	{ "144d:a808:1:2:3", NULL, 0, false },
	{ "144d::1:2", NULL, 0, false },
	{ "0144d:a808", NULL, 0, false },
	{ "144d:a8080", NULL, 0, false },
	{ "144g:a808", NULL, 0, false },
	{ "14*:a808", NULL, 0, false },
	{ "*d:a808", NULL, 0, false },
	{ "**:a808", NULL, 0, false },
	{ "0x14:a808", NULL, 0, false },
	{ "-1:a808", NULL, 0, false },
	{ " 144d:a808", NULL, 0, false },
	{ "144d:a808 ", NULL, 0, false },
	{ "144d.a808", NULL, 0, false },
};

START_TEST(pci_ids)
{
	char buffer[PCI_ID_FORMAT_SIZE];
	struct pci_id id;

	ck_assert_int_eq(pci_id_parse(ids[_i].word, &id), ids[_i].formatted ? 0 : -EINVAL);
	if (!ids[_i].formatted)
		return;

	pci_id_format(&id, buffer);
	ck_assert_str_eq(buffer, ids[_i].formatted);
	ck_assert_uint_eq(id.mask, ids[_i].mask);
	ck_assert_int_eq(pci_id_has_star(&id), ids[_i].star);
}
END_TEST

static const struct {
	const char *word;
	int r;
	uint64_t value;
} addresses[] = {
	{ "0000:00:00.0", 0, 0 },
	{ "0000:3b:00.1", 0, 0x3b01 },
	{ "ABCD:EF:1F.7", 0, 0xabcdefff },
	{ "10000:e1:00.0", 0, 0x10000e100 },
	{ "ffffffff:ff:1f.7", 0, 0xffffffffffff },
	{ "", -EINVAL, 0 },
	{ "000:00:00.0", -EINVAL, 0 },
	{ "00000:00:00.0", -EINVAL, 0 },
	{ "01234:00:00.0", -EINVAL, 0 },
	{ "123456789:00:00.0", -EINVAL, 0 },
	{ "0000:0:00.0", -EINVAL, 0 },
	{ "0000:000:00.0", -EINVAL, 0 },
	{ "0000:00:0.0", -EINVAL, 0 },
	{ "0000:00:20.0", -EINVAL, 0 },
	{ "0000:00:00.8", -EINVAL, 0 },
	{ "0000:00:00.00", -EINVAL, 0 },
	{ "0000:00:00", -EINVAL, 0 },
	{ "0000:00:00.", -EINVAL, 0 },
	{ "0000-00:00.0", -EINVAL, 0 },
	{ "0000:00:00.0 ", -EINVAL, 0 },
	{ "3b:00.0", -EINVAL, 0 },
};

START_TEST(address)
{
	uint64_t value = 0;

	ck_assert_int_eq(address_parse(addresses[_i].word, &value), addresses[_i].r);
	ck_assert_uint_eq(value, addresses[_i].value);
	/* What has no wildcard is a glob exactly where it is an address. */
	ck_assert_int_eq(address_glob_check(addresses[_i].word) == 0, addresses[_i].r == 0);
	ck_assert(address_glob_is_exact(addresses[_i].word));
}
END_TEST

static const struct {
	const char *glob;
	int r;
	const char *matches; /* NULL: nothing of the following */
} globs[] = {
	{ "*", 0, "0000:3b:00.1" },
	{ "****", 0, "0000:3b:00.1" },
	{ "0000:3b:00.*", 0, "0000:3b:00.1" },
	{ "0000:3B:00.1", 0, "0000:3b:00.1" },
	{ "*:3b:*", 0, "0000:3b:00.1" },
	{ "*3b*", 0, "0000:3b:00.1" },
	{ "*.[!0]", 0, "0000:3b:00.1" },
	{ "*.[^0]", 0, "0000:3b:00.1" },
	{ "0000:[1-3][a-c]:00.1", 0, "0000:3b:00.1" },
	{ "0000:[3]b:0?.?", 0, "0000:3b:00.1" },
	{ "0000[:]3b:00[.]1", 0, "0000:3b:00.1" },
	{ "[0-9]*[0-9A-F]", 0, "0000:3b:00.1" },
	{ "1????:*", 0, "10000:3b:00.1" },
	{ "?????:*", 0, "10000:3b:00.1" },
	{ "????????:*", 0, "12345678:3b:00.1" },
	{ "?????????:*", 0, "123456:3b:00.1" },
	{ "0????:*", -ENXIO, NULL },
	{ "3b:*", -ENXIO, NULL },
	{ "3b:00.*", -ENXIO, NULL },
	{ "*:3b", -ENXIO, NULL },
	{ "0000:3b:00", -ENXIO, NULL },
	{ "*:*:*:*", -ENXIO, NULL },
	{ "*.8", -ENXIO, NULL },
	{ "*:[2-9]?.*", -ENXIO, NULL },
	{ "*.*.*", -ENXIO, NULL },
	{ "?", -ENXIO, NULL },
	{ "", -ENXIO, NULL },
	{ "[", -EINVAL, NULL },
	{ "*[", -EINVAL, NULL },
	{ "*[]", -EINVAL, NULL },
	{ "*[!]", -EINVAL, NULL },
	{ "*[a-]", -EINVAL, NULL },
	{ "*[-a]", -EINVAL, NULL },
	{ "*[a-f", -EINVAL, NULL },
	{ "*[5-2]", -EINVAL, NULL },
	{ "*[0-f]", -EINVAL, NULL },
	{ "*[0-:]", -EINVAL, NULL },
	{ "*[!0-9a-f:.]", -EINVAL, NULL },
	{ "*[[:digit:]]", -EINVAL, NULL },
	{ "*]", -EINVAL, NULL },
	{ "*\\*", -EINVAL, NULL },
	{ "*g", -EINVAL, NULL },
	{ "*{0,1}", -EINVAL, NULL },
};

START_TEST(address_globs)
{
	ck_assert_int_eq(address_glob_check(globs[_i].glob), globs[_i].r);
	if (globs[_i].matches)
		ck_assert(address_glob_match(globs[_i].glob, globs[_i].matches));
}
END_TEST

/* What address_glob_check() says cannot match indeed never does, for globs of all sorts. */
START_TEST(address_globs_agree_with_fnmatch)
{
	static const char *const parts[] = { "*",     "?",    "0",    "1",  ":",    ".",
					     "[0-1]", "[!0]", "[:.]", "00", "0000:" };

	for (unsigned round = 0; round < 20000; round++) {
		char glob[128] = "", found[32] = "";
		bool matched = false;

		for (unsigned n = 1 + fixture_random(9), i = 0; i < n; i++)
			strcat(glob, parts[fixture_random(N_ELEMENTS(parts))]);

		for (unsigned i = 0; i < 2 * 2 * 4 * 4 * 2 && !matched; i++) {
			snprintf(found, sizeof(found), "%s:%x%x:%x%x.%x", i & 1 ? "10000" : "0000",
				 i >> 1 & 1, i >> 2 & 1, i >> 3 & 1, i >> 4 & 1, i >> 5 & 1);
			matched = address_glob_match(glob, found);
		}
		if (matched)
			ck_assert_msg(address_glob_check(glob) == 0, "%s matches %s", glob, found);
	}
}
END_TEST

static struct line_reader reader_of(char *text, size_t size, uint64_t bytes)
{
	struct line_reader reader = { .stream = fmemopen(text, size, "r"), .bytes_left = bytes };

	ck_assert_ptr_nonnull(reader.stream);
	return reader;
}

static void check_line(struct line_reader *reader, enum line_status status, unsigned number,
		       const char *text)
{
	ck_assert_int_eq(line_read(reader), status);
	ck_assert_uint_eq(reader->number, number);
	if (text) {
		ck_assert_str_eq(reader->text, text);
		ck_assert_uint_eq(reader->length, strlen(text));
	}
}

START_TEST(lines)
{
	char text[] = "\xef\xbb\xbfone\ntwo\r\n\nfour\r\r\nfi\0ve\n\xff\n\xef\xbb\xbf"
		      "seven\nlast";
	struct line_reader reader = reader_of(text, sizeof(text) - 1, 1000);

	check_line(&reader, LINE_TEXT, 1, "one");
	check_line(&reader, LINE_TEXT, 2, "two");
	check_line(&reader, LINE_TEXT, 3, "");
	check_line(&reader, LINE_CONTROL, 4, "four\r");
	ck_assert_uint_eq(reader.flaw, '\r');
	check_line(&reader, LINE_NUL, 5, NULL);
	check_line(&reader, LINE_NOT_UTF8, 6, NULL);
	ck_assert_uint_eq(reader.flaw, 0xff);
	check_line(&reader, LINE_TEXT, 7,
		   "\xef\xbb\xbf"
		   "seven");
	check_line(&reader, LINE_TEXT, 8, "last");
	ck_assert_int_eq(line_read(&reader), LINE_END);
	ck_assert_int_eq(line_read(&reader), LINE_END);
	fclose(reader.stream);
}
END_TEST

/* Around the limit, with and without what does not count: the byte order mark and the line's end. */
START_TEST(line_lengths)
{
	static const char *const ends[] = { "", "\n", "\r\n", "\r" };

	for (size_t length = 190; length < 215; length++)
		for (size_t end = 0; end < N_ELEMENTS(ends); end++)
			for (int mark = 0; mark < 2; mark++) {
				char text[300] = "";
				struct line_reader reader;

				if (mark)
					strcpy(text, "\xef\xbb\xbf");
				memset(text + strlen(text), 'x', length);
				strcat(text, ends[end]);
				reader = reader_of(text, strlen(text), 1000);
				ck_assert_int_eq(line_read(&reader), length > LINE_BYTES_MAX
									     ? LINE_TOO_LONG
									     : LINE_TEXT);
				ck_assert_uint_eq(reader.length, length);
				ck_assert_int_eq(line_read(&reader), LINE_END);
				fclose(reader.stream);
			}
}
END_TEST

START_TEST(line_bound)
{
	char text[] = "one\ntwo\n";
	struct line_reader reader = reader_of(text, sizeof(text) - 1, 8);

	check_line(&reader, LINE_TEXT, 1, "one");
	check_line(&reader, LINE_TEXT, 2, "two");
	ck_assert_int_eq(line_read(&reader), LINE_END);
	fclose(reader.stream);

	reader = reader_of(text, sizeof(text) - 1, 7);
	check_line(&reader, LINE_TEXT, 1, "one");
	ck_assert_int_eq(line_read(&reader), LINE_TOO_MUCH);
	fclose(reader.stream);
}
END_TEST

static void check_error(const struct policy_error *error, const char *expected)
{
	char *text = policy_error_format(error);

	ck_assert_str_eq(text, expected);
	free(text);
}

START_TEST(error_format)
{
	struct policy_errors errors = { 0 };

	ck_assert_int_eq(policy_errors_add(&errors, "/p/a.conf", 3, "x", "domain",
					   "bad \"%s\" (expected %d)", "y", 7),
			 0);
	ck_assert_int_eq(policy_errors_add(&errors, "a.conf", 3, "x", NULL, "empty"), 0);
	ck_assert_int_eq(policy_errors_add(&errors, "a.conf", 4294967295u, NULL, "k", "outside"),
			 0);
	ck_assert_int_eq(policy_errors_add(&errors, "a.conf", 0, NULL, NULL, "unreadable"), 0);
	ck_assert_int_eq(policy_errors_add(&errors, "\xff.conf", 1, "\n", "\t", "%s", "\x1b"), 0);
	ck_assert_uint_eq(errors.n_items, 5);
	ck_assert_uint_eq(errors.n_dropped, 0);
	check_error(&errors.items[0], "/p/a.conf:3: [x] domain: bad \"y\" (expected 7)");
	check_error(&errors.items[1], "a.conf:3: [x] empty");
	check_error(&errors.items[2], "a.conf:4294967295: k: outside");
	check_error(&errors.items[3], "a.conf: unreadable");
	check_error(&errors.items[4], "\\xff.conf:1: [\\x0a] \\x09: \\x1b");
	policy_errors_clear(&errors);
	policy_errors_clear(&errors);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy parsers");
	TCase *tcase = tcase_create("parsers");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, domains);
	tcase_add_test(tcase, rebinds);
	tcase_add_test(tcase, booleans);
	tcase_add_loop_test(tcase, text_flaws, 0, N_ELEMENTS(texts));
	tcase_add_loop_test(tcase, pci_ids, 0, N_ELEMENTS(ids));
	tcase_add_loop_test(tcase, address, 0, N_ELEMENTS(addresses));
	tcase_add_loop_test(tcase, address_globs, 0, N_ELEMENTS(globs));
	tcase_add_test(tcase, address_globs_agree_with_fnmatch);
	tcase_add_test(tcase, lines);
	tcase_add_test(tcase, line_lengths);
	tcase_add_test(tcase, line_bound);
	tcase_add_test(tcase, error_format);
	suite_add_tcase(suite, tcase);

	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
