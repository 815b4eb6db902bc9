/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as one of the tables in /proc that are read: all that is returned lies within it. */
#include <string.h>

#include "daemon/proc-text.h"
#include "daemon/session-text.h"
#include "tests/fuzz/fuzz.h"

struct input {
	char *text;
	size_t size; /* with its NUL */
};

static struct input copy(const uint8_t *data, size_t size)
{
	struct input input = { .text = malloc(size + 1), .size = size + 1 };

	require(input.text);
	memcpy(input.text, data, size);
	input.text[size] = '\0';
	return input;
}

static void check_string(const struct input *input, const char *s)
{
	require(s >= input->text && s < input->text + input->size);
	require(strlen(s) < input->size);
}

static void check_mounts(const uint8_t *data, size_t size)
{
	struct input input = copy(data, size);
	struct mount_line *lines;
	size_t n;

	require(mountinfo_parse(input.text, &lines, &n) == 0);
	for (size_t i = 0; i < n; i++) {
		check_string(&input, lines[i].point);
		check_string(&input, lines[i].type);
		check_string(&input, lines[i].source);
		require(lines[i].point[0] == '/');
	}
	free(lines);
	free(input.text);
}

static void check_swaps(const uint8_t *data, size_t size)
{
	struct input input = copy(data, size);
	char *next = input.text;
	const char *path;

	while ((path = swaps_next(&next))) {
		check_string(&input, path);
		require(path[0] == '/');
	}
	free(input.text);
}

static void check_consoles(const uint8_t *data, size_t size)
{
	struct input input = copy(data, size);
	unsigned major, minor;
	char *next = input.text;
	const char *name;

	while (consoles_next(&next, &name, &major, &minor)) {
		check_string(&input, name);
		require(*name && !strchr(name, ' '));
	}
	free(input.text);
}

static void check_pppoe(const uint8_t *data, size_t size)
{
	struct input input = copy(data, size);
	char *next = input.text;
	const char *name;

	while ((name = pppoe_next(&next))) {
		check_string(&input, name);
		require(*name && !strchr(name, ' '));
	}
	free(input.text);
}

/* What sysfs says of storage sessions is text of the same sort. */
static void check_session(const uint8_t *data, size_t size)
{
	struct input input = copy(data, size);
	struct session_address address;
	char value[64];
	uint64_t port;

	if (session_address_parse(input.text, &address)) {
		require(address.length <= sizeof(address.bytes) && *address.text);
		require(strlen(address.text) < sizeof(address.text) && strlen(address.scope) < sizeof(address.scope));
	}
	if (session_option(input.text, "traddr", value, sizeof(value)))
		require(*value && strlen(value) < sizeof(value) && !strchr(value, ','));
	session_fc_port(input.text, &port);
	free(input.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A file with a NUL is not read. */
	if (memchr(data, '\0', size))
		return 0;
	check_mounts(data, size);
	check_swaps(data, size);
	check_consoles(data, size);
	check_pppoe(data, size);
	check_session(data, size);
	return 0;
}
