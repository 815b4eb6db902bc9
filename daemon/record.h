/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_RECORD_H
#define DAEMON_RECORD_H

#include "daemon/transaction.h"

/*
 * A transaction's progress in a file DIR/GROUP of an INI form, replaced
 * atomically and synced before the step that it announces is taken.
 */
int record_write(const char *dir, const struct transaction *t);
/* -ENOENT where there is none, -EBADMSG where it cannot be understood. */
int record_read(const char *dir, unsigned group, struct transaction **ret);
/* Whether T has been read from the record of a quarantine that is in force. */
bool record_is_quarantine(const struct transaction *t);
/* The same as record_read() for a quarantine that is in force, which is a transaction to blocked that has come to its end. */
int record_read_quarantine(const char *dir, unsigned group, struct transaction **ret);
int record_remove(const char *dir, unsigned group);
/* Group numbers that have a record in DIR; malloc'd. */
int record_list(const char *dir, unsigned **ret, size_t *ret_n);

/* The step's name, as the record has it. */
const char *step_to_string(enum step step);

#endif
