/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/bus-digest.h"

static void add(struct bus_digest *digest, const void *bytes, size_t n)
{
	const unsigned char *byte = bytes;

	for (size_t i = 0; i < n; i++)
		digest->hash = (digest->hash ^ byte[i]) * 0x100000001b3;
	digest->size += n;
}

static int add_basic(sd_bus_message *message, char type, struct bus_digest *digest)
{
	union {
		const char *text;
		uint64_t number;
	} value = {};
	int r;

	r = sd_bus_message_read_basic(message, type, &value);
	if (r <= 0)
		return r;
	if (type == SD_BUS_TYPE_STRING || type == SD_BUS_TYPE_OBJECT_PATH || type == SD_BUS_TYPE_SIGNATURE)
		add(digest, value.text, strlen(value.text) + 1);
	else
		add(digest, &value.number, sizeof(value.number));
	return 1;
}

int bus_digest_next(sd_bus_message *message, size_t max, struct bus_digest *digest)
{
	const char *contents;
	char type;
	int r;

	r = sd_bus_message_peek_type(message, &type, &contents);
	if (r <= 0)
		return r;
	/* So that two values do not look like one, or an empty array like none. */
	add(digest, &type, 1);
	if (!contents) {
		r = add_basic(message, type, digest);
		return digest->size > max ? -E2BIG : r;
	}
	/* Also of what is empty there can be a lot. */
	if (digest->size > max)
		return -E2BIG;
	r = sd_bus_message_enter_container(message, type, contents);
	if (r < 0)
		return r;
	/* D-Bus itself bounds how deep this can go. */
	while ((r = bus_digest_next(message, max, digest)) > 0)
		;
	if (r < 0)
		return r;
	add(digest, "", 1);
	r = sd_bus_message_exit_container(message);
	return r < 0 ? r : 1;
}
