/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_TRANSACTION_STEPS_H
#define DAEMON_TRANSACTION_STEPS_H

#include <linux/iommu_policy.h>

#include "daemon/transaction.h"

/* What the way there and the way back share; for transaction.c and transaction-undo.c. */

/* What the kernel has to be told for DOMAIN: blocked without the module is strict translation. */
enum domain transaction_kernel_type(enum domain domain);

/* The group's type now; false where it cannot be read. */
bool transaction_read_type(const struct transaction *t, enum domain *ret);

/*
 * From here on T is about the group and the devices that are there now, which
 * must be those that were decided about. Numbers and addresses are used again,
 * directories are not. -ESTALE where they are not the same.
 */
int transaction_hold_identity(struct transaction *t);
/*
 * The same for what is known from a record alone, where devices that have gone
 * since, or been exchanged, are none of it any more. -ESTALE where none is left.
 */
int transaction_hold_what_is_left(struct transaction *t);
/* Whether they are still plugged in. True where they are not held: a record knows only names. */
bool transaction_same_group(const struct transaction *t);
bool transaction_same_device(const struct transaction_device *device);

void transaction_device_clear(struct transaction_device *device);

/* The group's directory, if it still has the devices of the request; else -ESTALE. */
int transaction_open_group(const struct transaction *t);

/* Writes what T wants, unless it is there. Returns 0, or a negative errno that OUTCOME tells about. */
int transaction_write_type(const struct transaction *t, struct outcome *outcome);

/* The same also while drivers have the group, for the kernel to refuse it with its reason. */
int transaction_try_type(const struct transaction *t, struct outcome *outcome);

/* OUTCOME for an error of a write to the type file. */
void transaction_describe_write_error(const struct transaction *t, int error, struct outcome *outcome);

/* Takes DRIVER away, also one that is just being loaded. -ENODEV: the device has let go of it by itself. */
int transaction_unbind(const char *address, const char *driver);

/* Gives DEVICE to DRIVER unless it has one; NULL: to whatever takes it, if it has lost a chance. */
int transaction_probe_device(const struct transaction *t, const struct transaction_device *device, const char *driver);

/* Whether OVERRIDE, which DEVICE has now, is one that was to be there only while its driver was bound. */
bool transaction_lent_override(const struct transaction_device *device, const char *override);

/*
 * The driver that DEVICE has in the end, malloc'd, NULL for none. A device that
 * is being unplugged has lost it a moment before it goes itself, and that is no
 * failure of its driver: waits for either.
 */
int transaction_await_driver(const char *address, char **ret);

/*
 * What the kernel module adds, see transaction-module.c. Without it each of
 * these returns 0 and does nothing. Else 0, or a negative errno that OUTCOME
 * tells about.
 */

/* Around a write to the type file. LIVE: a kernel driver may own the group. */
int transaction_bracket_begin(const struct transaction *t, bool live, struct outcome *outcome);
void transaction_bracket_end(const struct transaction *t);
/* Who owns the group's DMA; false where that cannot be asked. */
bool transaction_module_owner(const struct transaction *t, enum iommu_policy_owner *ret);
/* A quarantine's hold of the group's DMA, which outlives the process. */
int transaction_claim(struct transaction *t, struct outcome *outcome);
int transaction_unclaim(struct transaction *t, struct outcome *outcome);
/* Lets DEVICE through the gate; PROBE: it is offered to the drivers. True if that has been done. */
bool transaction_let_through(const struct transaction *t, const struct transaction_device *device, bool probe);

/*
 * That the group is no program's by VFIO or iommufd: nobody owns its DMA, nobody
 * has its nodes open. Else a negative errno that OUTCOME tells about. To be asked
 * before anything of the group is touched, also by force: unbinding would wait for
 * the program, and a virtual machine would lose its device.
 */
int transaction_check_owner(const struct transaction *t, struct outcome *outcome);
/* OUTCOME for a group of which that is known. */
void transaction_set_user_owned(const struct transaction *t, struct outcome *outcome);

/* Undoes what T has done so far, for the reason that OUTCOME tells, and adds what could not be undone. */
void transaction_roll_back(struct transaction *t, struct outcome *outcome);

#endif
