/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_BUS_OPTIONS_H
#define DAEMON_BUS_OPTIONS_H

#include <systemd/sd-bus.h>

/*
 * Reads a{sv} of the booleans "rebind" and "force", each at most once, from
 * where MESSAGE is being read, as TRIGGER_* with TRIGGER_REQUEST. A negative
 * errno, or ERROR is set, for anything else.
 */
int bus_read_options(sd_bus_message *message, unsigned *ret_triggers, sd_bus_error *error);

#endif
