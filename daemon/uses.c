/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "daemon/uses.h"
#include "policy/text.h"

int uses_add(struct uses *uses, enum use_kind kind, char *text)
{
	struct use *grown;

	if (!text)
		return -ENOMEM;
	/* A process calls itself what it likes, and so may its mount points be called. */
	text_replace(text);
	for (size_t i = 0; i < uses->n; i++)
		if (strcmp(uses->items[i].text, text) == 0) {
			free(text);
			return 0;
		}
	grown = reallocarray(uses->items, uses->n + 1, sizeof(*grown));
	if (!grown) {
		free(text);
		return -ENOMEM;
	}
	uses->items = grown;
	uses->items[uses->n++] = (struct use){ kind, text };
	return 0;
}

int uses_unknown(struct uses *uses, int error, const char *format, ...)
{
	va_list ap;

	if (uses->error)
		return 0;
	uses->error = error;
	va_start(ap, format);
	if (vasprintf(&uses->unknown, format, ap) < 0)
		uses->unknown = NULL;
	va_end(ap);
	if (uses->unknown)
		text_replace(uses->unknown);
	return 0;
}

int uses_tell(const struct uses *uses, char **ret)
{
	const struct use *first = NULL;

	*ret = NULL;
	for (size_t i = 0; i < uses->n; i++)
		if (!first || uses->items[i].kind < first->kind)
			first = &uses->items[i];
	if (!first) {
		if (uses->unknown)
			*ret = strf("%s: %s", uses->unknown, strerror(-uses->error));
		return uses->error;
	}
	if (uses->n == 1)
		*ret = strdup(first->text);
	else
		*ret = strf("%s, and %zu more", first->text, uses->n - 1);
	return *ret ? 1 : -ENOMEM;
}

void uses_clear(struct uses *uses)
{
	for (size_t i = 0; i < uses->n; i++)
		free(uses->items[i].text);
	free(uses->items);
	free(uses->unknown);
	*uses = (struct uses){};
}
