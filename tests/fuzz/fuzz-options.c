/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any dictionary of options that a D-Bus client may send, and whatever else it
 * may send instead. The input is a program: each entry takes a byte for its key
 * and one for the type of its value.
 */
#include <string.h>
#include <sys/socket.h>

#include "daemon/bus-options.h"
#include "daemon/manager.h"
#include "tests/fuzz/fuzz.h"

enum { ENTRIES_MAX = 16 };

struct input {
	const uint8_t *data;
	size_t left;
};

struct expected {
	unsigned triggers, seen;
	bool refused;
};

static uint8_t next(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->data++;
}

/* A connection that is never used, as messages are made for one. */
static sd_bus *get_bus(void)
{
	static sd_bus *bus;
	int fds[2];

	if (bus)
		return bus;
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	require(sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, fds[0], fds[0]) >= 0 && sd_bus_start(bus) >= 0);
	return bus;
}

static const char *take_key(struct input *input, char *buffer, size_t size)
{
	uint8_t kind = next(input);
	size_t n = 0;

	if (kind % 4 == 0)
		return "rebind";
	if (kind % 4 == 1)
		return "force";
	while (n + 1 < size && n < kind / 8 && input->left)
		buffer[n++] = (char)(next(input) & 0x7f);
	buffer[n] = '\0';
	return buffer;
}

/* Whether the value is a boolean, and which. */
static int append_value(sd_bus_message *m, struct input *input, bool *ret)
{
	static const char *const signatures[] = { "s", "u", "t", "d", "y", "o", "g", "as", "(bb)", "v", "a{sv}" };
	uint8_t kind = next(input), value = next(input);
	const char *signature;

	if (kind >= sizeof(signatures) / sizeof(signatures[0])) {
		*ret = value & 1;
		require(sd_bus_message_append(m, "v", "b", (int)*ret) >= 0);
		return 1;
	}
	signature = signatures[kind];
	require(sd_bus_message_open_container(m, 'v', signature) >= 0);
	switch (*signature) {
	case 's':
		require(sd_bus_message_append(m, "s", "true") >= 0);
		break;
	case 'u':
	case 'y':
		require(sd_bus_message_append(m, signature, (unsigned)value) >= 0);
		break;
	case 't':
		require(sd_bus_message_append(m, "t", (uint64_t)value) >= 0);
		break;
	case 'd':
		require(sd_bus_message_append(m, "d", (double)value) >= 0);
		break;
	case 'o':
		require(sd_bus_message_append(m, "o", "/yes") >= 0);
		break;
	case 'g':
		require(sd_bus_message_append(m, "g", "b") >= 0);
		break;
	case 'a':
		require(sd_bus_message_append(m, signature, 0) >= 0);
		break;
	case '(':
		require(sd_bus_message_append(m, "(bb)", 1, 1) >= 0);
		break;
	default:
		require(sd_bus_message_append(m, "v", "b", 1) >= 0);
	}
	require(sd_bus_message_close_container(m) >= 0);
	return 0;
}

static void append_entry(sd_bus_message *m, struct input *input, struct expected *expected)
{
	char buffer[64];
	const char *key = take_key(input, buffer, sizeof(buffer));
	unsigned trigger = strcmp(key, "rebind") == 0 ? TRIGGER_REBIND :
			   strcmp(key, "force") == 0  ? TRIGGER_FORCE :
							0;
	bool value = false;

	require(sd_bus_message_open_container(m, 'e', "sv") >= 0 && sd_bus_message_append(m, "s", key) >= 0);
	if (!append_value(m, input, &value) || !trigger || (expected->seen & trigger))
		expected->refused = true;
	expected->seen |= trigger;
	if (value)
		expected->triggers |= trigger;
	require(sd_bus_message_close_container(m) >= 0);
}

/* What is no dictionary of options at all; sd-bus compares signatures for the daemon, which is no reason to crash. */
static void append_other(sd_bus_message *m, uint8_t kind)
{
	switch (kind % 4) {
	case 0:
		require(sd_bus_message_append(m, "a{ss}", 1, "force", "yes") >= 0);
		break;
	case 1:
		require(sd_bus_message_append(m, "as", 2, "force", "rebind") >= 0);
		break;
	case 2:
		require(sd_bus_message_append(m, "s", "force") >= 0);
		break;
	default:
		break;
	}
}

static void append_dictionary(sd_bus_message *m, struct input *input, struct expected *expected)
{
	require(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
	for (unsigned i = 0; i < ENTRIES_MAX && input->left > 1; i++)
		append_entry(m, input, expected);
	require(sd_bus_message_close_container(m) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { .data = data, .left = size };
	struct expected expected = { .triggers = TRIGGER_REQUEST };
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	unsigned triggers = 0;
	uint8_t kind = next(&input);
	int r;

	require(sd_bus_message_new_method_call(get_bus(), &m, "a.b", "/", "a.b", "C") >= 0);
	if (kind % 8 == 7) {
		append_other(m, kind / 8);
		expected.refused = true;
	} else {
		append_dictionary(m, &input, &expected);
	}
	require(sd_bus_message_seal(m, 1, 0) >= 0 && sd_bus_message_rewind(m, true) >= 0);

	r = bus_read_options(m, &triggers, &error);
	require((r < 0 || sd_bus_error_is_set(&error)) == expected.refused);
	require(triggers == (expected.refused ? 0 : expected.triggers));
	sd_bus_error_free(&error);
	sd_bus_message_unref(m);
	return 0;
}
