/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/json.h"

#include <unistd.h>

#include "ctl/display.h"
#include "ctl/util.h"

static json_object *add(struct json_builder *b, json_object *parent, const char *key, json_object *value)
{
	int r = -1;

	if (parent && value)
		r = key ? json_object_object_add(parent, key, value) : json_object_array_add(parent, value);
	if (r < 0) {
		b->failed = true;
		json_object_put(value);
		return NULL;
	}
	return value;
}

json_object *json_add_object(struct json_builder *b, json_object *parent, const char *key)
{
	return add(b, parent, key, json_object_new_object());
}

json_object *json_add_array(struct json_builder *b, json_object *parent, const char *key)
{
	return add(b, parent, key, json_object_new_array());
}

void json_add_text(struct json_builder *b, json_object *parent, const char *key, const char *text)
{
	_cleanup_free_ char *clean = NULL;
	char *end;

	if (!text) {
		json_add_null(b, parent, key);
		return;
	}
	clean = end = malloc(3 * strlen(text) + 1);
	if (!clean) {
		b->failed = true;
		return;
	}
	while (*text) {
		uint32_t c;
		size_t n = display_decode(text, &c);

		if (n > 0) {
			end = mempcpy(end, text, n);
			text += n;
		} else {
			end = mempcpy(end, "\xef\xbf\xbd", 3);
			text++;
		}
	}
	*end = '\0';
	add(b, parent, key, json_object_new_string(clean));
}

void json_add_number(struct json_builder *b, json_object *parent, const char *key, uint64_t number)
{
	add(b, parent, key, json_object_new_uint64(number));
}

void json_add_decimal(struct json_builder *b, json_object *parent, const char *key, double number,
		      const char *text)
{
	add(b, parent, key, json_object_new_double_s(number, text));
}

void json_add_bool(struct json_builder *b, json_object *parent, const char *key, bool value)
{
	add(b, parent, key, json_object_new_boolean(value));
}

/* JSON's null is json-c's NULL, which add() takes for a lack of memory. */
void json_add_null(struct json_builder *b, json_object *parent, const char *key)
{
	if (!parent || (key ? json_object_object_add(parent, key, NULL) : json_object_array_add(parent, NULL)) < 0)
		b->failed = true;
}

/*
 * What json-c lets through and a terminal may obey, which occurs within strings
 * only: JSON has an escape for it, so that programs read the same.
 */
static void put_escaped(FILE *f, const char *text)
{
	while (*text) {
		const char *plain = text;
		uint32_t c = 0;
		size_t n;

		while (*text && (unsigned char)*text < 0x7f)
			text++;
		fwrite(plain, 1, (size_t)(text - plain), f);
		if (!*text)
			break;
		n = display_decode(text, &c);
		if (n == 0 || !display_is_active(c))
			fwrite(text, 1, n > 0 ? n : 1, f);
		else if (c > 0xffff)
			fprintf(f, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
				0xdc00 + ((c - 0x10000) & 0x3ff));
		else
			fprintf(f, "\\u%04x", c);
		text += n > 0 ? n : 1;
	}
	fputc('\n', f);
}

int json_print(const struct ctl *ctl, struct json_builder *b, json_object *document)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text;

	if (ctl->arguments.json == JSON_PRETTY)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	text = document && !b->failed ? json_object_to_json_string_ext(document, flags) : NULL;
	if (text)
		put_escaped(stdout, text);
	json_object_put(document);
	return text ? EXIT_CODE_DONE : complain_memory();
}
