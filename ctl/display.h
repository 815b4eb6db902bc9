/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_DISPLAY_H
#define CTL_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Text for a terminal. Widths are columns, not bytes: combining characters
 * take none, East Asian ones two, whatever the locale says. "No limit" is
 * DISPLAY_UNLIMITED.
 */
#define DISPLAY_UNLIMITED ((size_t)-1)

/*
 * TEXT with everything a terminal may obey written out: control characters
 * and bytes that are not UTF-8 as \xNN, invisible format characters (bidi
 * overrides, zero-width) as \u{NNNN}. NULL is "". malloc'd, NULL when out of
 * memory.
 */
char *display_escape(const char *text);

/*
 * Whether a terminal may obey C, or text be hidden or reordered by it, though JSON
 * allows it as it is: DEL, C1 control characters, invisible format characters.
 */
bool display_is_active(uint32_t c);

/* Length of the UTF-8 sequence at S, 0 where it is none (overlong and surrogates included). */
size_t display_decode(const char *s, uint32_t *ret);

size_t display_width(const char *text);

/* The first WIDTH columns of TEXT, the last of them ELLIPSIS where some was cut off. malloc'd. */
char *display_fit(const char *text, size_t width, const char *ellipsis);

/*
 * The same for a list of items joined by ", ": drops whole items and says how
 * many ("a, b +3"); only a first item that does not fit is cut.
 */
char *display_fit_list(const char *text, size_t width, const char *ellipsis);

/*
 * Prints TEXT to F in lines of at most WIDTH columns, each after INDENT
 * blanks, broken at blanks where there are any. Past MAX_LINES (0: no limit)
 * the rest is cut off with ELLIPSIS. The first line is not indented where the
 * cursor stands there already (HANGING). BEFORE and AFTER go around each
 * line's words: colour, which has no width.
 */
struct display_wrap {
	size_t indent;
	size_t width;
	size_t max_lines;
	bool hanging;
	const char *ellipsis;
	const char *before;
	const char *after;
};

int display_print_wrapped(FILE *f, const char *text, const struct display_wrap *wrap);

#endif
