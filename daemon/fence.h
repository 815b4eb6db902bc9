/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_FENCE_H
#define DAEMON_FENCE_H

#include "daemon/transaction.h"

/*
 * Keeps drivers from binding to a group's devices while its type changes.
 * Closing waits for a probe in progress; afterwards what is bound stays bound
 * and what is not cannot bind. Opening leaves each device's driver_override as
 * fence_final_override() says, before anything can bind again.
 *
 * Both return 0 or a negative errno with *FAILED the device that it was about,
 * NULL where it was about the group. What could not be opened stays closed.
 */
struct fence {
	const char *name; /* as the record and the property Backend have it */
	int (*close)(struct transaction *t, const struct transaction_device **failed);
	int (*open)(struct transaction *t, const struct transaction_device **failed);
};

/* driver_override names a driver that does not exist: bind then fails with -ENODEV. */
extern const struct fence fence_pin;
/*
 * A hold by the kernel module: bind fails with -EAGAIN, overrides are free for
 * others. It ends with the process that asked for it. -EBUSY: somebody else has
 * the group, and the transaction's in_the_way tells who; -ENOLINK: the module
 * has gone.
 */
extern const struct fence fence_module;

/* The fence of that name; NULL for no known one. */
const struct fence *fence_by_name(const char *name);

/* What a device's driver_override has to be once the fence is open; NULL for none. */
const char *fence_final_override(const struct transaction *t, const struct transaction_device *device);

/*
 * Whether somebody else has written DEVICE's driver_override since the fence was
 * closed: that wish is newer than ours, and so is what comes of it. Only once the
 * fence is open.
 */
bool fence_is_overruled(const struct transaction *t, const struct transaction_device *device);

/* Reads a driver_override that is to be put back later: -EBADMSG where a record could not hold it as it is. */
int fence_read_override(const struct transaction_device *device, char **ret);

#endif
