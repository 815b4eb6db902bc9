/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_OUTCOME_H
#define CTL_OUTCOME_H

#include <stdbool.h>

#include "ctl/term.h"

/* What scripts rely on: documented in iommu-policyctl(8). */
enum exit_code {
	EXIT_CODE_DONE = 0,
	EXIT_CODE_FAILED = 1,
	EXIT_CODE_USAGE = 2,
	EXIT_CODE_PENDING = 3,
	EXIT_CODE_REFUSED = 4,
};

/* A group's state after a change was asked for; states that are not known count as failed. */
enum exit_code outcome_of_state(const char *state);

/*
 * The one that a command about several groups ends with: failed over refused
 * over pending over done.
 */
enum exit_code outcome_worse(enum exit_code a, enum exit_code b);

/* A D-Bus error's name; NULL and those that are not known count as failed. */
enum exit_code outcome_of_error(const char *name);

/*
 * What a person can do about a D-Bus error, "" where that depends; CAN_FORCE:
 * --force may still be given. Static storage.
 */
const char *outcome_hint(const char *name, bool can_force);

enum style outcome_style(const char *state);

#endif
