/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "daemon/bus-options.h"
#include "daemon/manager.h"

#define refuse(error, ...) sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, __VA_ARGS__)

static unsigned trigger_of(const char *key)
{
	return strcmp(key, "rebind") == 0 ? TRIGGER_REBIND : strcmp(key, "force") == 0 ? TRIGGER_FORCE : 0;
}

/* One entry of the dictionary, entered already. */
static int read_option(sd_bus_message *message, unsigned *seen, unsigned *triggers, sd_bus_error *error)
{
	unsigned trigger;
	const char *key;
	int value, r;

	r = sd_bus_message_read(message, "s", &key);
	if (r < 0)
		return r;
	trigger = trigger_of(key);
	if (!trigger)
		return refuse(error, "unknown option (expected rebind or force)");
	if (*seen & trigger)
		return refuse(error, "option %s: given twice", key);
	*seen |= trigger;
	if (sd_bus_message_read(message, "v", "b", &value) < 0)
		return refuse(error, "option %s: expected a boolean", key);
	if (value)
		*triggers |= trigger;
	return 0;
}

int bus_read_options(sd_bus_message *message, unsigned *ret_triggers, sd_bus_error *error)
{
	unsigned triggers = TRIGGER_REQUEST, seen = 0;
	int r;

	r = sd_bus_message_enter_container(message, 'a', "{sv}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0)
		if ((r = read_option(message, &seen, &triggers, error)) < 0 ||
		    (r = sd_bus_message_exit_container(message)) < 0)
			return r;
	if (r < 0)
		return r;
	*ret_triggers = triggers;
	return sd_bus_message_exit_container(message);
}
