/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_BUS_DIGEST_H
#define DAEMON_BUS_DIGEST_H

#include <stdint.h>

#include <systemd/sd-bus.h>

/* What a message's values come to: how long they are, and what tells them from others. */
struct bus_digest {
	uint64_t hash; /* FNV-1a */
	size_t size; /* bytes of strings and numbers */
};

#define BUS_DIGEST_INIT { .hash = 0xcbf29ce484222325 }

/*
 * Takes the next value of MESSAGE, with all that is in it, into *DIGEST. Returns
 * 1, 0 at the end of the message or of the container that has been entered, or a
 * negative errno: -E2BIG, and no more is read, once there are more than MAX bytes.
 */
int bus_digest_next(sd_bus_message *message, size_t max, struct bus_digest *digest);

#endif
