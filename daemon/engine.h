/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_ENGINE_H
#define DAEMON_ENGINE_H

#include "daemon/manager.h"

/*
 * From a group's decision to what is done about it: the one place that joins
 * policy/ with the state of the machine. Carrying out is the worker's.
 */

/* Reads the group again, decides, and starts what has to be done. TRIGGERS: enum trigger. */
void engine_evaluate(struct manager *m, struct group *group, unsigned triggers);

/* A change has ended (or has run past its deadline: RESULT_FAILED with PROBLEM_TIMEOUT, and a second call later). */
void engine_finished(struct manager *m, struct group *group, const struct transaction *t, const struct outcome *outcome,
		     uint64_t duration_usec);

/*
 * Whether policy itself refuses OVERRIDE for GROUP: PROBLEM_NONE, or the
 * problem with *RET_REASON (malloc'd, may be NULL) for it.
 */
enum problem engine_check_override(struct manager *m, const struct group *group,
				   const struct decide_override *override, char **ret_reason);

/* There is another policy in force: decides every group again, and has those evaluated. */
void engine_policy_changed(struct manager *m);

/* What Apply() without options would do, and *RET_REASON (malloc'd, may be NULL) for it. */
enum way engine_plan(struct manager *m, const struct group *group, char **ret_reason);

#endif
