/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_FENCE_H
#define DAEMON_FENCE_H

#include "daemon/transaction.h"

/*
 * Keeps drivers from binding to a group's devices while its type changes.
 * Closing waits for a probe in progress; afterwards what is bound stays bound
 * and what is not cannot bind.
 *
 * Both return 0 or a negative errno with *FAILED the device that it was about.
 * Opening goes on past a device that fails and returns the first error.
 */
struct fence {
	const char *name;
	int (*close)(struct transaction *t, const struct transaction_device **failed);
	int (*open)(struct transaction *t, const struct transaction_device **failed);
};

/* driver_override names a driver that does not exist: bind then fails with -ENODEV. */
extern const struct fence fence_pin;

#endif
