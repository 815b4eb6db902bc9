/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/table.h"

#include <errno.h>
#include <stdarg.h>

#include "ctl/display.h"
#include "ctl/util.h"

#define NOTE_INDENT 6

struct cell {
	char *text;
	enum style style;
	char *brief; /* shown in less than KEEP columns, where TEXT would be cut; NULL: no other */
	size_t keep;
};

struct note {
	size_t row;
	size_t max_lines;
	struct cell cell;
};

struct table {
	const struct table_column *columns;
	size_t n_columns;
	struct cell *cells;
	size_t n_cells, cells_size;
	struct note *notes; /* in the order of rows */
	size_t n_notes, notes_size;
	bool broken; /* out of memory at some point */
};

struct table *table_new(const struct table_column *columns, size_t n_columns)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->columns = columns;
	table->n_columns = n_columns;
	return table;
}

struct table *table_free(struct table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < table->n_cells; i++) {
		free(table->cells[i].text);
		free(table->cells[i].brief);
	}
	for (size_t i = 0; i < table->n_notes; i++)
		free(table->notes[i].cell.text);
	free(table->cells);
	free(table->notes);
	free(table);
	return NULL;
}

/* Room for one more element of SIZE bytes. */
static bool grow(void **items, size_t n, size_t *allocated, size_t size)
{
	size_t wanted = *allocated ? *allocated * 2 : 32;
	void *bigger;

	if (n < *allocated)
		return true;
	bigger = reallocarray(*items, wanted, size);
	if (!bigger)
		return false;
	*items = bigger;
	*allocated = wanted;
	return true;
}

void table_add(struct table *table, enum style style, const char *text)
{
	char *escaped = display_escape(str_or(text, "-"));

	if (!escaped || !grow((void **)&table->cells, table->n_cells, &table->cells_size,
			      sizeof(*table->cells))) {
		free(escaped);
		table->broken = true;
		return;
	}
	table->cells[table->n_cells++] = (struct cell){ .text = escaped, .style = style };
}

void table_add_brief(struct table *table, enum style style, const char *text, size_t keep,
		     const char *brief)
{
	char *escaped = display_escape(brief);
	size_t n = table->n_cells;

	table_add(table, style, text);
	if (!escaped || table->n_cells == n) {
		free(escaped);
		table->broken = true;
		return;
	}
	table->cells[n].brief = escaped;
	table->cells[n].keep = keep;
}

void table_addf(struct table *table, enum style style, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);

	if (text)
		table_add(table, style, text);
	else
		table->broken = true;
}

void table_note(struct table *table, enum style style, size_t max_lines, const char *text)
{
	char *escaped;

	if (table_n_rows(table) == 0)
		return;
	escaped = display_escape(text);
	if (!escaped || !grow((void **)&table->notes, table->n_notes, &table->notes_size,
			      sizeof(*table->notes))) {
		free(escaped);
		table->broken = true;
		return;
	}
	table->notes[table->n_notes++] = (struct note){
		.row = table_n_rows(table) - 1,
		.max_lines = max_lines,
		.cell = { .text = escaped, .style = style },
	};
}

size_t table_n_rows(const struct table *table)
{
	return table->n_cells / table->n_columns;
}

void table_layout(const size_t *natural, const unsigned *flags, size_t n, size_t limit, size_t *ret)
{
	static const size_t floors[] = { 8, 3 };
	size_t total = n > 0 ? n - 1 : 0;

	for (size_t i = 0; i < n; i++) {
		ret[i] = natural[i];
		total += natural[i];
	}

	for (size_t pass = 0; pass < ARRAY_SIZE(floors); pass++)
		for (size_t i = n; i-- > 0 && total > limit;) {
			size_t excess = total - limit, spare;

			if (!(flags[i] & TABLE_SHRINK) || ret[i] <= floors[pass])
				continue;
			spare = ret[i] - floors[pass];
			if (spare > excess)
				spare = excess;
			ret[i] -= spare;
			total -= spare;
		}
}

static void measure(const struct table *table, const struct term *term, size_t *ret)
{
	size_t natural[table->n_columns];
	unsigned flags[table->n_columns];

	for (size_t i = 0; i < table->n_columns; i++) {
		natural[i] = term->legend ? display_width(table->columns[i].title) : 0;
		flags[i] = table->columns[i].flags;
	}
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t width = display_width(table->cells[i].text);

		if (width > natural[i % table->n_columns])
			natural[i % table->n_columns] = width;
	}
	table_layout(natural, flags, table->n_columns, term->width, ret);
}

static int print_cell(const struct table *table, FILE *f, const struct term *term, size_t column,
		      size_t width, const struct cell *cell)
{
	bool brief = cell->brief && width < cell->keep && display_width(cell->text) > width;
	const char *text = brief ? cell->brief : cell->text;
	const char *dots = term_ellipsis(term);
	unsigned flags = table->columns[column].flags;
	_cleanup_free_ char *fit = NULL;
	size_t pad;

	fit = flags & TABLE_LIST ? display_fit_list(text, width, dots)
				 : display_fit(text, width, dots);
	if (!fit)
		return -ENOMEM;
	pad = width > display_width(fit) ? width - display_width(fit) : 0;
	if (!(flags & TABLE_RIGHT) && column + 1 == table->n_columns)
		pad = 0; /* no blanks at the end of a line */

	fprintf(f, "%s%*s%s%s%s%*s", column > 0 ? " " : "", flags & TABLE_RIGHT ? (int)pad : 0, "",
		term_on(term, cell->style), fit, term_off(term, cell->style),
		flags & TABLE_RIGHT ? 0 : (int)pad, "");
	return 0;
}

static int print_notes(const struct table *table, FILE *f, const struct term *term, size_t row,
		       size_t *next)
{
	for (; *next < table->n_notes && table->notes[*next].row == row; (*next)++) {
		const struct note *note = &table->notes[*next];
		int r = display_print_wrapped(f, note->cell.text,
					      &(struct display_wrap){
						      .indent = NOTE_INDENT,
						      .width = term->width,
						      .max_lines = note->max_lines,
						      .ellipsis = term_ellipsis(term),
						      .before = term_on(term, note->cell.style),
						      .after = term_off(term, note->cell.style),
					      });

		if (r < 0)
			return r;
	}
	return 0;
}

int table_print(const struct table *table, FILE *f, const struct term *term)
{
	size_t widths[table->n_columns], next_note = 0;
	int r = 0;

	if (table->broken)
		return -ENOMEM;
	if (table_n_rows(table) == 0)
		return 0;
	measure(table, term, widths);

	if (term->legend) {
		for (size_t i = 0; i < table->n_columns && r >= 0; i++)
			r = print_cell(table, f, term, i, widths[i],
				       &(struct cell){ .text = (char *)table->columns[i].title,
						       .style = STYLE_BOLD });
		fputc('\n', f);
	}
	for (size_t row = 0; row < table_n_rows(table) && r >= 0; row++) {
		for (size_t i = 0; i < table->n_columns && r >= 0; i++) {
			r = print_cell(table, f, term, i, widths[i],
				       &table->cells[row * table->n_columns + i]);
		}
		fputc('\n', f);
		if (r >= 0)
			r = print_notes(table, f, term, row, &next_note);
	}
	return r;
}
