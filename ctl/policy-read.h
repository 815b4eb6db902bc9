/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_POLICY_READ_H
#define CTL_POLICY_READ_H

#include "ctl/ctl.h"
#include "policy/policy.h"

/* Policy files as verbs read them that need no daemon. */

static inline void policy_freep(struct policy **policy)
{
	policy_free(*policy);
}

/*
 * Prints errors on standard output, one a line and in the form that editors jump
 * to, or as a document with the array "errors" where --json was given. Returns
 * EXIT_CODE_FAILED.
 */
int policy_errors_print(const struct ctl *ctl, const struct policy_errors *errors);

/*
 * What policy_load() and policy_load_files() returned, where that is not 0:
 * prints the errors or complains, and returns an enum exit_code.
 */
int policy_read_failed(const struct ctl *ctl, int r, const struct policy_errors *errors);

/* Complains and returns EXIT_CODE_FAILED where PATH is not a folder. */
int policy_folder_check(const struct ctl *ctl, const char *path);

#endif
