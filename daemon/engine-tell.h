/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_ENGINE_TELL_H
#define DAEMON_ENGINE_TELL_H

#include "daemon/log.h"
#include "daemon/manager.h"

/* How the engine makes a group's state known: its own part, for engine.c alone. */
struct news {
	enum state state;
	enum problem problem;
	const char *reason;
	bool drifted;
	struct user user; /* STATE_USER_OWNED: who it is, where that is known */
	bool held; /* waits for a hold or a claim of somebody else to end */
	enum domain from; /* what Decided tells: the type now, or, where a change has just ended, that before it */
	/* Of a change that has ended, for the journal: what the kernel answered (0: nothing wrong), and its length. */
	int error;
	uint64_t duration_usec;
};

/* Sets the state, and tells bus and journal where that is news. */
void engine_tell(struct manager *m, struct group *group, const struct news *news);
void engine_set_state(struct manager *m, struct group *group, enum state state, enum problem problem,
		      const char *reason);

/* The rule that a person should be shown first for a decision; may be NULL. */
const struct policy_rule *engine_first_rule(const struct group *group);

/* An entry about GROUP; ADDRESSES are those of its devices, and to live as long. */
struct log_fields engine_log_fields(const struct group *group, char *const *addresses, const char *message_id);
void engine_log_applied(const struct group *group, const struct transaction *t, uint64_t duration_usec);

#endif
