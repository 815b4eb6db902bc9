/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_TRANSACTION_STEPS_H
#define DAEMON_TRANSACTION_STEPS_H

#include "daemon/transaction.h"

/* What the way there and the way back share; for transaction.c and transaction-undo.c. */

/* What the kernel has to be told for DOMAIN: blocked without the module is strict translation. */
enum domain transaction_kernel_type(enum domain domain);

/* The group's type now; false where it cannot be read. */
bool transaction_read_type(const struct transaction *t, enum domain *ret);

/* Writes what T wants, unless it is there. Returns 0, or a negative errno that OUTCOME tells about. */
int transaction_write_type(const struct transaction *t, struct outcome *outcome);

/* Gives DEVICE to DRIVER unless it has one; NULL: to whatever takes it, if it has lost a chance. */
int transaction_probe_device(const struct transaction *t, const struct transaction_device *device, const char *driver);

/* Undoes what T has done so far, for the reason that OUTCOME tells, and adds what could not be undone. */
void transaction_roll_back(struct transaction *t, struct outcome *outcome);

#endif
