/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_POLICY_COPY_H
#define DAEMON_POLICY_COPY_H

#include "daemon/state-file.h"
#include "policy/policy.h"

/*
 * The last policy that was free of errors, as copies of its files. A start-up
 * that meets a typing error uses it, so that no quarantine opens by mistake.
 */
#define POLICY_COPY_DIR STATE_DIR "/policy"

/* Replaces the copy as a whole. Errors are logged: the policy is in force all the same. */
void policy_copy_save(const struct policy *policy);
/* -ENOENT where there is none; -EBADMSG where it has errors itself. */
int policy_copy_load(struct policy **ret);

#endif
