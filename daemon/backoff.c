/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <time.h>

#include "daemon/backoff.h"

/* After the first failure, and twice as long after each further one, up to the last. */
#define FIRST_USEC (1 * USEC_PER_SEC)
#define LAST_USEC (60 * USEC_PER_SEC)

/* Who says so may have put right what was wrong. */
#define TRIGGERS_AT_ONCE \
	(TRIGGER_PLUGGED | TRIGGER_REQUEST | TRIGGER_POLICY | TRIGGER_CHANGED | TRIGGER_START | TRIGGER_LEFT)

void backoff_note(struct group *group, bool failed)
{
	uint64_t pause = FIRST_USEC;

	if (!failed) {
		group->failures = 0;
		group->deferred = 0;
		return;
	}
	for (unsigned i = 0; i < group->failures && pause < LAST_USEC; i++)
		pause *= 2;
	group->failures++;
	group->retry_usec = now_usec(CLOCK_MONOTONIC) + (pause < LAST_USEC ? pause : LAST_USEC);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata);

/* At the time of the first group that waits. */
static int set_timer(struct manager *m)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < m->inventory.n_groups; i++) {
		const struct group *group = m->inventory.groups[i];

		if (group->deferred && group->retry_usec < first)
			first = group->retry_usec;
	}
	if (first == UINT64_MAX)
		return 0;
	if (!m->backoff_source)
		return sd_event_add_time(m->event, &m->backoff_source, CLOCK_MONOTONIC, first, 0, on_retry, m);
	sd_event_source_set_time(m->backoff_source, first);
	return sd_event_source_set_enabled(m->backoff_source, SD_EVENT_ONESHOT);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)usec;
	for (size_t i = 0; i < m->inventory.n_groups; i++) {
		struct group *group = m->inventory.groups[i];

		if (!group->deferred || group->retry_usec > now_usec(CLOCK_MONOTONIC))
			continue;
		manager_queue_group(m, group->id, group->deferred);
		group->deferred = 0;
	}
	return set_timer(m);
}

bool backoff_defer(struct manager *m, struct group *group, unsigned triggers)
{
	if (group->state != STATE_FAILED || !group->failures || (triggers & TRIGGERS_AT_ONCE) ||
	    now_usec(CLOCK_MONOTONIC) >= group->retry_usec)
		return false;
	group->deferred |= triggers;
	/* Where there is no timer to be had, it is tried at once. */
	return set_timer(m) >= 0;
}
