/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_FAILURE_H
#define CTL_FAILURE_H

#include "ctl/ctl.h"

/*
 * What failed after the command line was understood: a sentence on standard error
 * and, with --json, the document {"error": ...}, so that a program need not read
 * sentences. bus_complain() does it for answers of the daemon.
 */

/*
 * For what this command did itself. ERROR is the errno that gives the failure its
 * name, 0 where there is none; other arguments are escaped by the caller, as for
 * complain(). Returns CODE.
 */
int failure_complain(const struct ctl *ctl, enum exit_code code, int error, const char *format,
		     ...) __attribute__((format(printf, 4, 5)));

/* The document alone, nothing without --json. An empty HINT is null. Returns an enum exit_code. */
int failure_document(const struct ctl *ctl, const char *name, const char *message,
		     const char *hint);

#endif
