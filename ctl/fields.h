/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_FIELDS_H
#define CTL_FIELDS_H

#include "ctl/term.h"

/*
 * One "  Label: value" line of a description on standard output, the value
 * escaped and wrapped under its own beginning. LABEL NULL: another value of
 * the label before. An empty value shows as "-". 0 or -ENOMEM.
 */
int field_print(const struct term *term, const char *label, enum style style, const char *value);

int field_printf(const struct term *term, const char *label, enum style style, const char *format,
		 ...) __attribute__((format(printf, 4, 5)));

#endif
