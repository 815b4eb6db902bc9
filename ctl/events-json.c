/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/events-json.h"

#include <ctype.h>
#include <errno.h>

#include "ctl/bus.h"
#include "ctl/describe.h"
#include "ctl/util.h"

json_object *event_json_new(struct json_builder *b, const char *name)
{
	json_object *document = json_object_new_object();

	json_add_text(b, document, "event", name);
	json_add_number(b, document, "usec", realtime_usec());
	return document;
}

int event_json_print(const struct ctl *ctl, struct json_builder *b, json_object *document)
{
	int code = json_print(ctl, b, document);

	/* Whoever reads a pipe wants the line now. */
	fflush(stdout);
	return code == EXIT_CODE_DONE ? 0 : -ENOMEM;
}

void event_json_add_subject(struct json_builder *b, json_object *document, const char *path)
{
	_cleanup_free_ char *group = NULL, *device = NULL;
	struct target target;

	if (sd_bus_path_decode(path, BUS_GROUPS, &group) > 0 && target_parse(group, &target) >= 0 &&
	    target.kind == TARGET_GROUP)
		json_add_number(b, document, "group", target.group);
	else if (sd_bus_path_decode(path, BUS_DEVICES, &device) > 0)
		json_add_text(b, document, "device", device);
}

/* A capital begins a word where a small letter is before it or, at the end of "USec", after it. */
void event_json_key(const char *name, char *ret, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; name[i] && n + 2 < size; i++) {
		unsigned char c = (unsigned char)name[i];

		if (i > 0 && isupper(c) && islower((unsigned char)name[i - 1]))
			ret[n++] = '_';
		ret[n++] = (char)tolower(c);
	}
	ret[n] = '\0';
}

/* The value of a basic type at M, inside its variant. */
static int add_value(struct json_builder *b, json_object *parent, const char *key,
		     sd_bus_message *m, char type)
{
	union {
		const char *s;
		uint16_t q;
		uint32_t u;
		uint64_t t;
		int b;
	} value;
	int r = sd_bus_message_read_basic(m, type, &value);

	if (r < 0)
		return r;
	switch (type) {
	case 's':
	case 'o':
		json_add_text(b, parent, key, *value.s ? value.s : NULL);
		break;
	case 'q':
		json_add_number(b, parent, key, value.q);
		break;
	case 'u':
		json_add_number(b, parent, key, value.u);
		break;
	case 't':
		json_add_number(b, parent, key, value.t);
		break;
	default:
		json_add_bool(b, parent, key, value.b);
	}
	return 0;
}

static int add_property(struct json_builder *b, json_object *changed, json_object *other,
			sd_bus_message *m)
{
	const char *name, *contents;
	char type, key[64];
	int r = sd_bus_message_read_basic(m, 's', &name);

	if (r >= 0)
		r = sd_bus_message_peek_type(m, &type, &contents);
	if (r < 0)
		return r;
	if (type != 'v')
		return -EBADMSG;
	event_json_key(name, key, sizeof(key));
	if (strlen(contents) != 1 || !strchr("soqutb", *contents)) {
		json_add_text(b, other, NULL, key);
		return sd_bus_message_skip(m, "v");
	}

	type = *contents;
	r = sd_bus_message_enter_container(m, 'v', contents);
	if (r >= 0)
		r = add_value(b, changed, key, m, type);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

int event_json_add_changes(struct json_builder *b, json_object *document, sd_bus_message *m)
{
	json_object *changed = json_add_object(b, document, "changed");
	json_object *other = json_add_array(b, document, "other");
	const char *name;
	char key[64];
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = add_property(b, changed, other, m);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "s");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_read_basic(m, 's', &name)) > 0) {
		event_json_key(name, key, sizeof(key));
		json_add_text(b, other, NULL, key);
	}
	return r;
}
