/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/errors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/array.h"
#include "policy/text.h"

static void error_clear(struct policy_error *error)
{
	free(error->path);
	free(error->section);
	free(error->key);
	free(error->message);
}

void policy_errors_clear(struct policy_errors *errors)
{
	for (size_t i = 0; i < errors->n_items; i++)
		error_clear(&errors->items[i]);

	free(errors->items);
	*errors = (struct policy_errors){ 0 };
}

static int set_escaped(char **to, const char *from)
{
	if (!from)
		return 0;

	*to = text_escape(from);
	return *to ? 0 : -ENOMEM;
}

/* All is escaped: it comes out of files of any content and goes to terminals and to D-Bus. */
int policy_errors_add(struct policy_errors *errors, const char *path, unsigned line,
		      const char *section, const char *key, const char *format, ...)
{
	struct policy_error error = { .line = line };
	struct policy_error *items;
	char *message = NULL;
	va_list ap;
	int n;

	if (errors->n_items >= POLICY_ERRORS_MAX) {
		errors->n_dropped++;
		return 0;
	}

	items = array_grow(errors->items, errors->n_items, sizeof(*items));
	if (!items)
		return -ENOMEM;
	errors->items = items;

	va_start(ap, format);
	n = vasprintf(&message, format, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;

	if (set_escaped(&error.path, path) < 0 || set_escaped(&error.section, section) < 0 ||
	    set_escaped(&error.key, key) < 0 || set_escaped(&error.message, message) < 0) {
		free(message);
		error_clear(&error);
		return -ENOMEM;
	}

	free(message);
	errors->items[errors->n_items++] = error;
	return 0;
}

char *policy_error_format(const struct policy_error *error)
{
	char line[16] = "";
	char *ret;

	if (error->line > 0)
		snprintf(line, sizeof(line), ":%u", error->line);

	if (asprintf(&ret, "%s%s: %s%s%s%s%s%s", error->path ? error->path : "", line,
		     error->section ? "[" : "", error->section ? error->section : "",
		     error->section ? "] " : "", error->key ? error->key : "",
		     error->key ? ": " : "", error->message) < 0)
		return NULL;

	return ret;
}
