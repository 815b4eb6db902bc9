/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/display.h"

#include <errno.h>
#include <stdint.h>

#include "ctl/util.h"

struct range {
	uint32_t first, last;
};

/*
 * Enough of Unicode's tables for what names drivers and describes rules;
 * wcwidth() needs a locale that boot and sudo often lack.
 */
static const struct range zero_width[] = {
	{ 0x0300, 0x036f }, { 0x0483, 0x0489 }, { 0x0591, 0x05bd }, { 0x0610, 0x061a },
	{ 0x064b, 0x065f }, { 0x093a, 0x093c }, { 0x0941, 0x094d }, { 0x0e31, 0x0e31 },
	{ 0x0e34, 0x0e3a }, { 0x0e47, 0x0e4e }, { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff },
	{ 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f }, { 0xe0100, 0xe01ef },
};

static const struct range double_width[] = {
	{ 0x1100, 0x115f },   { 0x2e80, 0x303e },   { 0x3041, 0xa4cf },	  { 0xa960, 0xa97c },
	{ 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },	  { 0xff01, 0xff60 },
	{ 0xffe0, 0xffe6 },   { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff },
	{ 0x20000, 0x3fffd },
};

/* What hides or reorders other text: a driver's or a rule's name has no use for it. */
static const struct range invisible[] = {
	{ 0x00ad, 0x00ad }, { 0x061c, 0x061c }, { 0x180e, 0x180e },
	{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
	{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
};

static bool in_ranges(uint32_t c, const struct range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

bool display_is_active(uint32_t c)
{
	return (c >= 0x7f && c < 0xa0) || in_ranges(c, invisible, ARRAY_SIZE(invisible));
}

size_t display_decode(const char *s, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *u = (const unsigned char *)s;
	uint32_t c;
	size_t n;

	if (u[0] < 0x80) {
		*ret = u[0];
		return 1;
	}
	if ((u[0] & 0xe0) == 0xc0)
		n = 2;
	else if ((u[0] & 0xf0) == 0xe0)
		n = 3;
	else if ((u[0] & 0xf8) == 0xf0)
		n = 4;
	else
		return 0;

	c = u[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (u[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

/* The character at S: its length in bytes (1 for a stray byte) and its columns. */
static size_t step(const char *s, size_t *columns)
{
	uint32_t c;
	size_t n = display_decode(s, &c);

	*columns = 1;
	/* Nearly everything, and nothing in the tables is below. */
	if (n <= 1)
		return 1;
	if (in_ranges(c, zero_width, ARRAY_SIZE(zero_width)))
		*columns = 0;
	else if (in_ranges(c, double_width, ARRAY_SIZE(double_width)))
		*columns = 2;
	return n;
}

/* Bytes of what needs no look: it is nearly everything, and a large machine has much of it. */
static size_t plain_length(const char *s)
{
	size_t n = 0;

	while (s[n] >= 0x20 && s[n] < 0x7f)
		n++;
	return n;
}

char *display_escape(const char *text)
{
	char *ret = NULL;
	size_t size;
	FILE *f;

	f = open_memstream(&ret, &size);
	if (!f)
		return NULL;

	for (const char *s = text ? text : ""; *s;) {
		uint32_t c;
		size_t n = plain_length(s);

		if (n > 0) {
			fwrite(s, 1, n, f);
			s += n;
			continue;
		}
		n = display_decode(s, &c);
		if (n == 0) {
			fprintf(f, "\\x%02x", (unsigned char)*s);
			n = 1;
		} else if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
			fprintf(f, "\\x%02x", c);
		} else if (in_ranges(c, invisible, ARRAY_SIZE(invisible))) {
			fprintf(f, "\\u{%04x}", c);
		} else {
			fwrite(s, 1, n, f);
		}
		s += n;
	}

	/* The buffer may move until here. */
	if (fclose(f) != 0) {
		free(ret);
		return NULL;
	}
	return ret;
}

size_t display_width(const char *text)
{
	size_t width = 0, columns;

	while (*text) {
		text += step(text, &columns);
		width += columns;
	}
	return width;
}

/* Bytes of TEXT's longest beginning that takes no more than WIDTH columns. */
static size_t prefix_length(const char *text, size_t width)
{
	size_t length = 0, used = 0;

	while (text[length]) {
		size_t columns, n = step(text + length, &columns);

		if (used + columns > width)
			break;
		used += columns;
		length += n;
	}
	return length;
}

char *display_fit(const char *text, size_t width, const char *ellipsis)
{
	size_t dots = display_width(ellipsis), n;
	char *ret;

	if (display_width(text) <= width)
		return strdup(text);
	if (width < dots)
		return strndup(ellipsis, prefix_length(ellipsis, width));

	n = prefix_length(text, width - dots);
	while (n > 0 && text[n - 1] == ' ')
		n--;
	return asprintf(&ret, "%.*s%s", (int)n, text, ellipsis) < 0 ? NULL : ret;
}

/*
 * The first item of TEXT, cut, and how many OTHERS there are, where that
 * leaves anything of the item.
 */
static char *fit_first(const char *text, size_t others, size_t width, const char *ellipsis)
{
	_cleanup_free_ char *item = NULL, *cut = NULL;
	char more[32], *ret;

	snprintf(more, sizeof(more), " +%zu", others);
	if (others == 0 || width < strlen(more) + 4)
		return display_fit(text, width, ellipsis);
	item = strndup(text, (size_t)(strstr(text, ", ") - text));
	cut = item ? display_fit(item, width - strlen(more), ellipsis) : NULL;
	if (!cut || asprintf(&ret, "%s%s", cut, more) < 0)
		return NULL;
	return ret;
}

char *display_fit_list(const char *text, size_t width, const char *ellipsis)
{
	size_t n_items = 1, kept = 0, i = 0;
	const char *best = NULL;
	char *ret;

	if (display_width(text) <= width)
		return strdup(text);

	for (const char *s = strstr(text, ", "); s; s = strstr(s + 2, ", "))
		n_items++;

	/* The most items after which there is room for the number of the others. */
	for (const char *s = strstr(text, ", "); s; s = strstr(s + 2, ", ")) {
		_cleanup_free_ char *head = strndup(text, (size_t)(s - text));
		char more[32];

		if (!head)
			return NULL;
		i++;
		snprintf(more, sizeof(more), " +%zu", n_items - i);
		if (display_width(head) + strlen(more) > width)
			break;
		best = s;
		kept = i;
	}
	if (!best)
		return fit_first(text, n_items - 1, width, ellipsis);
	if (asprintf(&ret, "%.*s +%zu", (int)(best - text), text, n_items - kept) < 0)
		return NULL;
	return ret;
}

/* Bytes of the line that TEXT begins with: up to the last blank that fits, or what fits. */
static size_t line_length(const char *text, size_t width)
{
	size_t fits = prefix_length(text, width), n = fits;

	if (!text[fits])
		return fits;
	while (n > 0 && text[n] != ' ')
		n--;
	if (n > 0)
		return n;
	/* A word longer than the line; and never nothing, or this would not end. */
	return fits > 0 ? fits : step(text, &(size_t){ 0 });
}

int display_print_wrapped(FILE *f, const char *text, const struct display_wrap *wrap)
{
	const char *before = wrap->before ? wrap->before : "",
		   *after = wrap->after ? wrap->after : "";
	size_t width = wrap->width;

	/* Too narrow for the indent to be of use: let the terminal break the lines. */
	if (width != DISPLAY_UNLIMITED)
		width = width > wrap->indent + 8 ? width - wrap->indent : DISPLAY_UNLIMITED;

	for (size_t line = 1; line == 1 || *text; line++) {
		size_t n = line_length(text, width);

		if (line > 1 || !wrap->hanging)
			fprintf(f, "%*s", (int)wrap->indent, "");
		if (line == wrap->max_lines && text[n]) {
			_cleanup_free_ char *rest = display_fit(text, width, wrap->ellipsis);

			if (!rest)
				return -ENOMEM;
			fprintf(f, "%s%s%s\n", before, rest, after);
			return 0;
		}
		fprintf(f, "%s%.*s%s\n", before, (int)n, text, after);
		for (text += n; *text == ' ';)
			text++;
	}
	return 0;
}
