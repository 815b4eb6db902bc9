/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/backoff.h"
#include "daemon/engine-tell.h"
#include "daemon/group-store.h"
#include "daemon/leftover.h"
#include "daemon/log.h"
#include "daemon/record.h"
#include "daemon/state-file.h"
#include "daemon/worker.h"

static int read_leftover(const struct group *group, struct transaction **ret)
{
	_cleanup_(transaction_freep) struct transaction *left = NULL;
	int r = record_read(RECORD_DIR, group->id, &left);

	if (r >= 0 && record_is_quarantine(left))
		r = -ENOENT;
	if (r >= 0)
		*ret = TAKE_PTR(left);
	return r;
}

bool leftover_is_there(const struct group *group)
{
	_cleanup_(transaction_freep) struct transaction *left = NULL;

	return read_leftover(group, &left) >= 0;
}

/* What may help where an earlier change could not be undone. */
#define TRIGGERS_FOR_LEFTOVER                                                                                     \
	(TRIGGER_PLUGGED | TRIGGER_REQUEST | TRIGGER_POLICY | TRIGGER_CHANGED | TRIGGER_START | TRIGGER_UNBOUND)

bool leftover_undo(struct manager *m, struct group *group, unsigned triggers)
{
	_cleanup_(transaction_freep) struct transaction *left = NULL;
	int r;

	/* A record may also be that of a worker whose group has gone, and which is still at it. */
	if (worker_in_the_way(m, group) || read_leftover(group, &left) < 0)
		return false;
	if (!(triggers & TRIGGERS_FOR_LEFTOVER)) {
		if (group->state != STATE_FAILED)
			engine_set_state(m, group, STATE_FAILED, PROBLEM_FAILED,
					 "what an earlier change has left behind could not be undone yet");
		return true;
	}
	if (backoff_defer(m, group, triggers))
		return true;
	if (!worker_available(m)) {
		group->waiting |= triggers;
		return true;
	}
	r = worker_start(m, group, TAKE_PTR(left), true);
	if (r < 0)
		log_group(LOG_WARNING, group->id, "cannot undo what an earlier change has left behind: %s", strerror(-r));
	else
		group->again |= triggers; /* afterwards */
	return true;
}
