/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_BUS_BACKLOG_H
#define DAEMON_BUS_BACKLOG_H

#include "daemon/bus.h"

/*
 * What the bus has not taken from us yet, which sd-bus keeps in memory.
 * dbus-daemon reads nothing more from a connection, for whomever it is, while
 * 127 MB of what that has sent wait for clients that do not read
 * (max_incoming_bytes; check_read_watch() in its dbus-transport-socket.c). A few
 * such clients would be enough to silence us for as long as they like. What is
 * counted is counted for our connection, so a new one is read from again; a
 * client that reads nothing gets no more, since its own limit is reached as well.
 */

/* Answers. The longest, to GetManagedObjects, have about 1 KiB for each group and device. */
#define BUS_BACKLOG_MAX 64
/* How long the queue may never be empty before the bus is left and joined again. */
#define BUS_BACKLOG_USEC (10 * USEC_PER_SEC)

/* A filter for incoming messages: calls are refused, shortly, while the backlog is long. */
int bus_backlog_message(sd_bus_message *message, void *userdata, sd_bus_error *error);

/*
 * Whether there has always been something in the queue for BUS_BACKLOG_USEC; to
 * be asked often, at NOW_USEC of a clock that never goes back.
 */
bool bus_backlog_is_stuck(struct manager *m, uint64_t now_usec);

/* Has the event loop watch for that. 0 or a negative errno. */
int bus_backlog_watch(struct manager *m);
void bus_backlog_unwatch(struct manager *m);

#endif
