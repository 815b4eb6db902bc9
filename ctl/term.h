/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_TERM_H
#define CTL_TERM_H

#include <stdbool.h>
#include <stddef.h>

enum style {
	STYLE_PLAIN,
	STYLE_BOLD,
	STYLE_DIM,
	STYLE_GOOD,
	STYLE_WAIT,
	STYLE_BAD,
};

/* What standard output can show. */
struct term {
	size_t width; /* columns, DISPLAY_UNLIMITED where nothing is to be cut off */
	bool colour;
	bool utf8;
	bool legend; /* column titles and summaries are wanted */
};

void term_detect(struct term *ret);

/* The value of a variable that is no, as systemd's commands read it, in any letter case. */
bool term_word_is_no(const char *word);

/*
 * Whether to use colour: SYSTEMD_COLORS decides where it is set, as with
 * systemd's commands ("auto-…" leaves it to the terminal), then NO_COLOR; a
 * dumb or missing terminal has none. Any of the strings may be NULL.
 */
bool term_wants_colour(const char *systemd_colors, const char *no_color, const char *term,
		       bool tty);

/* Columns from COLUMNS, 0 where it is unset or nonsense. */
size_t term_parse_columns(const char *columns);

/* The sequence that begins STYLE, and the one that ends it; "" without colour. Static storage. */
const char *term_on(const struct term *term, enum style style);
const char *term_off(const struct term *term, enum style style);

/* What leads to a leaf of a tree; the LAST one ends it. */
const char *term_branch(const struct term *term, bool last);

const char *term_ellipsis(const struct term *term);
const char *term_arrow(const struct term *term);

#endif
