/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/file.h"

#include <errno.h>
#include <ini.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "policy/array.h"
#include "policy/keys.h"
#include "policy/line-reader.h"
#include "policy/match.h"
#include "policy/text.h"

/*
 * The text of a file goes through libinih, which takes KEY = VALUE apart and
 * takes comments off. What it does not say is seen here, by the reader that
 * hands it its lines: their numbers, section headers (it calls nobody for a
 * section without keys, and cuts long names), lines that it cannot make sense
 * of (it numbers the first only), and lines that are too long for it (it would
 * take the second half for a line of its own).
 *
 * Where inih is laxer than a policy should be, the language is narrower:
 *
 * - An indented line is a line like any other. inih would take it for one
 *   more value of the key above, so that the indented keys of a section would
 *   all become values of the first of them. There are no continuation lines; a
 *   key that takes several values is repeated instead.
 * - KEY: VALUE is refused, as addresses and IDs contain colons:
 *   "match-address 0000:3b:00.0" lacks its '=' and must not become a key.
 * - Nothing but a comment follows a header's ']'.
 *
 * A comment is a line that begins with ';' or '#', or what follows ';' after a
 * blank.
 */
struct parser {
	struct line_reader reader;
	const char *path;
	struct rule_list *rules;
	struct policy_errors *errors;
	struct section section;
	void *names; /* tree of struct name: the sections seen in this file */
	unsigned handed_over; /* line for which inih has not called back yet, 0 for none */
	int result; /* 0, or -ENOMEM, which ends everything */
};

struct name {
	unsigned line;
	char text[];
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static void rule_clear(struct policy_rule *rule)
{
	free((char *)rule->name);
	free((char *)rule->driver);
	free((char *)rule->description);
	match_free(rule->match);
}

void rule_list_clear(struct rule_list *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		rule_clear(&rules->items[i]);
	free(rules->items);
	*rules = (struct rule_list){ 0 };
}

static void section_clear(struct section *section)
{
	rule_clear(&section->rule);
	*section = (struct section){ 0 };
}

/* An error at the line being read. */
#define fail_line(parser, ...)                                                                     \
	policy_errors_add((parser)->errors, (parser)->path, (parser)->reader.number,               \
			  (parser)->section.rule.name, NULL, __VA_ARGS__)

/* Whatever came before: the section that was open becomes a rule. */
static int end_section(struct parser *parser)
{
	struct rule_list *rules = parser->rules;
	struct policy_rule *items;
	int r;

	if (!parser->section.open)
		return 0;

	r = section_check(&parser->section);
	if (r < 0)
		return r;

	items = array_grow(rules->items, rules->n, sizeof(*items));
	if (!items)
		return -ENOMEM;
	rules->items = items;

	parser->section.rule.position = rules->n;
	items[rules->n++] = parser->section.rule;
	parser->section.rule = (struct policy_rule){ 0 };
	section_clear(&parser->section);
	return 0;
}

/* Notes that NAME is used in this file, and complains where it is already. */
static int note_name(struct parser *parser, const char *text)
{
	struct name *name, **found;
	size_t size = strlen(text) + 1;

	name = malloc(sizeof(*name) + size);
	if (!name)
		return -ENOMEM;
	name->line = parser->reader.number;
	memcpy(name->text, text, size);

	found = tsearch(name, &parser->names, compare_names);
	if (!found) {
		free(name);
		return -ENOMEM;
	}
	if (*found == name)
		return 0;

	free(name);
	return fail_line(
		parser, "a section given twice (expected once in a file; it is on line %u already)",
		(*found)->line);
}

/*
 * A name with a colon means a PCI ID pattern, also where it is misspelt: taken
 * for a mere name, it would match nothing. The same pattern in two spellings
 * is one section.
 */
static int check_name(struct parser *parser, const char *name)
{
	struct section *section = &parser->section;
	struct match *match = section->rule.match;
	char canonical[PCI_ID_FORMAT_SIZE];
	size_t length = strlen(name);

	section->damaged = true;
	if (length == 0)
		return fail_line(
			parser,
			"a section without a name (expected [name] or a PCI ID pattern such as [144d:*])");
	if (length > SECTION_NAME_MAX)
		return fail_line(parser, "a name of %zu bytes (expected at most %d)", length,
				 SECTION_NAME_MAX);
	if (name[0] == ' ' || name[length - 1] == ' ' || strpbrk(name, "[\t"))
		return fail_line(
			parser,
			"no good name for a section (expected no blank at either end, no tab and no [)");
	section->damaged = false;

	if (!strchr(name, ':'))
		return note_name(parser, name);

	if (pci_id_parse(name, &match->section_id) < 0) {
		section->damaged = true;
		return fail_line(
			parser,
			"no PCI ID pattern (expected vendor:device[:subvendor:subdevice], each 1 to 4 "
			"hex digits or *, or a name without a colon)");
	}

	match->has_section_id = true;
	pci_id_format(&match->section_id, canonical);
	return note_name(parser, canonical);
}

/* Without a NAME, a section whose header could not be read: its keys must go to no other. */
static int begin_section(struct parser *parser, const char *name)
{
	struct section *section = &parser->section;
	int r;

	r = end_section(parser);
	if (r < 0)
		return r;

	*section = (struct section){
		.open = true,
		.damaged = !name,
		.errors = parser->errors,
		.rule = { .path = parser->path,
			  .line = parser->reader.number,
			  .rebind = REBIND_HOTPLUG },
	};

	section->rule.match = calloc(1, sizeof(*section->rule.match));
	if (!section->rule.match)
		return -ENOMEM;

	if (name) {
		section->rule.name = strdup(name);
		if (!section->rule.name)
			return -ENOMEM;
	}

	if (parser->rules->n == POLICY_RULES_MAX)
		return fail_line(parser, "too many rules (expected at most %u in all files)",
				 POLICY_RULES_MAX);
	return 0;
}

/* TEXT begins with '['. */
static int read_header(struct parser *parser, char *text)
{
	char *end = strchr(text, ']');
	const char *rest;
	int r;

	if (!end) {
		r = begin_section(parser, NULL);
		return r < 0 ? r
			     : fail_line(parser,
					 "a section header without its ] (expected [name])");
	}

	*end = '\0';
	r = begin_section(parser, text + 1);
	if (r < 0)
		return r;
	r = check_name(parser, text + 1);
	if (r < 0)
		return r;

	rest = end + 1 + strspn(end + 1, " \t");
	if (*rest != '\0' && (*rest != ';' || rest == end + 1))
		return fail_line(
			parser,
			"text after the ] of a section header (expected nothing but a comment, with a "
			"blank before its ;)");
	return 0;
}

/* The line did not come out as text. What it might have said is not held against the section. */
static int refuse_line(struct parser *parser, enum line_status status)
{
	struct line_reader *reader = &parser->reader;
	int r = 0;

	if (reader->text[strspn(reader->text, " \t")] == '[')
		r = begin_section(parser, NULL);
	parser->section.damaged = true;
	if (r < 0)
		return r;

	switch (status) {
	case LINE_TOO_LONG:
		return fail_line(
			parser,
			"a line of %zu bytes (expected at most %d; a key may be repeated to add values)",
			reader->length, LINE_BYTES_MAX);
	case LINE_NUL:
		return fail_line(parser, "a NUL byte (expected UTF-8 text)");
	case LINE_CONTROL:
		return fail_line(
			parser,
			"a control character, it begins with byte 0x%02x (expected printable text)",
			reader->flaw);
	default:
		return fail_line(parser, "byte 0x%02x is not UTF-8 here (expected UTF-8 text)",
				 reader->flaw);
	}
}

/* inih calls back while it has a line. Where it now wants the next one, it made nothing of it. */
static int check_taken(struct parser *parser)
{
	unsigned line = parser->handed_over;

	parser->handed_over = 0;
	if (!line)
		return 0;

	parser->section.damaged = true;
	return policy_errors_add(
		parser->errors, parser->path, line, parser->section.rule.name, NULL,
		"neither a section, nor a key with its value, nor a comment (expected KEY = VALUE)");
}

/* Puts into LINE what inih shall see of the line just read: KEY = VALUE or nothing. */
static int hand_over(struct parser *parser, char *line, size_t size)
{
	char *text = parser->reader.text + strspn(parser->reader.text, " \t");
	size_t length;

	if (*text == '\0' || *text == ';' || *text == '#')
		return 0;
	if (*text == '[')
		return read_header(parser, text);

	length = strlen(text);
	if (length >= size) /* an inih built with a shorter limit */
		return refuse_line(parser, LINE_TOO_LONG);

	if (text[strcspn(text, "=:")] == ':') {
		parser->section.damaged = true;
		return fail_line(parser, "a : where = was expected (expected KEY = VALUE)");
	}

	memcpy(line, text, length + 1);
	parser->handed_over = parser->reader.number;
	return 0;
}

/* The reader that inih calls instead of fgets(). */
static char *read_line(char *line, int size, void *userdata)
{
	struct parser *parser = userdata;
	enum line_status status;

	if (parser->result == 0)
		parser->result = check_taken(parser);
	if (parser->result < 0)
		return NULL;

	line[0] = '\0';
	status = line_read(&parser->reader);

	switch (status) {
	case LINE_END:
		return NULL;
	case LINE_TEXT:
		parser->result = hand_over(parser, line, (size_t)size);
		break;
	case LINE_TOO_MUCH:
		parser->section.damaged = true;
		parser->result = policy_errors_add(
			parser->errors, parser->path, 0, NULL, NULL,
			"the file is too big (expected at most %u bytes)", POLICY_FILE_BYTES_MAX);
		return NULL;
	case LINE_READ_ERROR:
		parser->section.damaged = true;
		parser->result = policy_errors_add(parser->errors, parser->path, 0, NULL, NULL,
						   "cannot be read: %s (expected a file of rules)",
						   strerror(errno));
		return NULL;
	default:
		parser->result = refuse_line(parser, status);
	}

	return parser->result < 0 ? NULL : line;
}

/* SECTION is what inih keeps of the name, up to 49 bytes: the parser's own is whole. */
static int on_key(void *userdata, const char *section, const char *key, const char *value)
{
	struct parser *parser = userdata;

	(void)section;
	parser->handed_over = 0;
	if (!parser->section.open) {
		parser->section.errors = parser->errors;
		parser->section.rule.path = parser->path;
	}

	if (parser->result == 0)
		parser->result =
			section_add_key(&parser->section, parser->reader.number, key, value);
	return parser->result == 0;
}

/* By line, else as they came: what a section lacks is known only at its end. */
static void sort_errors(struct policy_error *items, size_t first, size_t n)
{
	for (size_t i = first + 1; i < n; i++)
		for (size_t k = i; k > first && items[k - 1].line > items[k].line; k--) {
			struct policy_error swapped = items[k];

			items[k] = items[k - 1];
			items[k - 1] = swapped;
		}
}

int file_parse(FILE *stream, const char *path, struct rule_list *rules,
	       struct policy_errors *errors)
{
	struct parser parser = {
		.reader = { .stream = stream, .bytes_left = POLICY_FILE_BYTES_MAX },
		.path = path,
		.rules = rules,
		.errors = errors,
	};
	size_t n_before = errors->n_items;
	int r;

	/* -2: an inih with its buffer on the heap got none. Lines it rejects have been told. */
	r = ini_parse_stream(read_line, &parser, on_key, &parser) == -2 ? -ENOMEM : parser.result;
	if (r == 0)
		r = end_section(&parser);

	section_clear(&parser.section);
	tdestroy(parser.names, free);
	sort_errors(errors->items, n_before, errors->n_items);
	return r;
}
