/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ctl/term.h"

enum table_flags {
	TABLE_RIGHT = 1 << 0, /* numbers */
	TABLE_SHRINK =
		1
		<< 1, /* may be cut where the terminal is too narrow; the last such column first */
	TABLE_LIST = 1 << 2, /* items joined by ", ", of which whole ones are dropped */
};

struct table_column {
	const char *title;
	unsigned flags;
};

/*
 * Rows of cells whose columns are as wide as their content. Cells are escaped
 * (display_escape) when they are added, so what comes from the bus goes in as it
 * is. A call that runs out of memory is remembered and reported by
 * table_print(), so that filling a table needs no checks.
 */
struct table;

/* COLUMNS must outlive the table. NULL when out of memory. */
struct table *table_new(const struct table_column *columns, size_t n_columns);
struct table *table_free(struct table *table); /* returns NULL */

static inline void table_freep(struct table **table)
{
	table_free(*table);
}

/* Cells fill the rows from the left; an empty one shows as "-". */
void table_add(struct table *table, enum style style, const char *text);
void table_addf(struct table *table, enum style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * A cell that says less where it is too narrow for TEXT: BRIEF is shown when
 * not even the first KEEP columns of TEXT fit.
 */
void table_add_brief(struct table *table, enum style style, const char *text, size_t keep,
		     const char *brief);

/*
 * A line of prose under the row that was filled last, at most MAX_LINES of
 * them (0: no limit) where there is a width.
 */
void table_note(struct table *table, enum style style, size_t max_lines, const char *text);

/* Rows that are complete. */
size_t table_n_rows(const struct table *table);

/* Titles (where TERM wants a legend and there are rows) and rows. Returns 0 or -ENOMEM. */
int table_print(const struct table *table, FILE *f, const struct term *term);

/*
 * The widths that columns of NATURAL width get in LIMIT columns with one
 * blank between them: those that shrink give way from the right, down to
 * eight columns first and, where that is not enough, to three.
 */
void table_layout(const size_t *natural, const unsigned *flags, size_t n, size_t limit,
		  size_t *ret);

#endif
