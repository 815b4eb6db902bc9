/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/json.h"

#include <unistd.h>

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

/* Bytes of the UTF-8 sequence that begins at S, 0 where there is none. */
static size_t sequence(const unsigned char *s)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} kinds[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };

	for (size_t n = 0; n < ARRAY_SIZE(kinds); n++) {
		uint32_t code = *s & (unsigned char)~kinds[n].mask;

		if ((*s & kinds[n].mask) != kinds[n].lead)
			continue;
		for (size_t i = 1; i <= n; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (s[i] & 0x3f);
		}
		if (code < kinds[n].least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
			return 0;
		return n + 1;
	}
	return 0;
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
		size_t n = sequence((const unsigned char *)text);

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

int json_print(const struct ctl *ctl, struct json_builder *b, json_object *document)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text;

	if (ctl->arguments.json == JSON_PRETTY)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	text = document && !b->failed ? json_object_to_json_string_ext(document, flags) : NULL;
	if (text)
		puts(text);
	json_object_put(document);
	return text ? EXIT_CODE_DONE : complain_memory();
}
