/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_BUS_BACKLOG_H
#define DAEMON_BUS_BACKLOG_H

#include "daemon/bus.h"

/*
 * What the bus has not taken from us yet, which sd-bus keeps in memory. A bus
 * stops to read from a service when too much of what that has sent waits for
 * clients that do not read, and answers to all others would pile up here.
 */

/* Messages. More than a client or two may have asked for at once: dbus-daemon lets each wait for 128 answers. */
#define BUS_BACKLOG_MAX 512

/* A filter for incoming messages: calls are refused, shortly, while the backlog is long. */
int bus_backlog_message(sd_bus_message *message, void *userdata, sd_bus_error *error);

#endif
