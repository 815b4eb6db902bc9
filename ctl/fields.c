/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/fields.h"

#include <errno.h>
#include <stdarg.h>

#include "ctl/display.h"
#include "ctl/util.h"

#define LABEL_WIDTH 16

int field_print(const struct term *term, const char *label, enum style style, const char *value)
{
	_cleanup_free_ char *escaped = display_escape(str_or(value, "-"));

	if (!escaped)
		return -ENOMEM;
	printf("%*s%s ", LABEL_WIDTH, label ? label : "", label ? ":" : " ");
	return display_print_wrapped(stdout, escaped,
				     &(struct display_wrap){
					     .indent = LABEL_WIDTH + 2,
					     .width = term->width,
					     .hanging = true,
					     .ellipsis = term_ellipsis(term),
					     .before = term_on(term, style),
					     .after = term_off(term, style),
				     });
}

int field_printf(const struct term *term, const char *label, enum style style, const char *format,
		 ...)
{
	_cleanup_free_ char *value = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&value, format, args) < 0)
		value = NULL;
	va_end(args);
	return value ? field_print(term, label, style, value) : -ENOMEM;
}
