/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_USES_H
#define DAEMON_USES_H

#include <stddef.h>

#include "daemon/util.h"

/* What a device is used for, gathered from those who know (in-use-*.c). */

/* What is told first comes first. */
enum use_kind {
	USE_ROOT, /* mounted on / */
	USE_MOUNT,
	USE_SWAP,
	USE_STORAGE, /* the way to disks elsewhere */
	USE_DEFAULT_ROUTE,
	USE_ADDRESS,
	USE_ROUTE, /* or PPP */
	USE_STACKED, /* a part of a volume or of another interface, that nobody is known to use */
	USE_DISPLAY,
	USE_NAMESPACE, /* of a network, where it cannot be looked into */
	USE_VIRTUAL_FUNCTIONS,
	USE_CONSOLE,
	USE_OPEN, /* a program has the device node */
	USE_CLAIMED, /* somebody has it exclusively, and no name */
};

struct use {
	enum use_kind kind;
	char *text;
};

struct uses {
	struct use *items;
	size_t n;
	int error; /* 0, or the first reason why the answer may not be whole */
	char *unknown; /* what that was about */
};

/* Takes TEXT over, also on failure; NULL is taken for a lack of memory. The same text twice counts once. */
int uses_add(struct uses *uses, enum use_kind kind, char *text);

/* Something could not be found out: ERROR is a negative errno. The first one is kept. Returns 0. */
int uses_unknown(struct uses *uses, int error, const char *format, ...) _printf_(3, 4);

/* What in_use() returns, which see. */
int uses_tell(const struct uses *uses, char **ret);

void uses_clear(struct uses *uses);

#endif
