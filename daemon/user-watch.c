/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <time.h>

#include "daemon/log.h"
#include "daemon/owner.h"
#include "daemon/user-watch.h"

#define LOOK_USEC (2 * USEC_PER_SEC)
/* To wake up together with others. */
#define ACCURACY_USEC (USEC_PER_SEC / 2)

/* Where it could not be told whose it is, to ask again takes a walk over all processes. */
#define LOOKS_PER_ASKING 30

static bool is_watched(const struct group *group)
{
	return group->state == STATE_USER_OWNED && !owner_is_user(group) && (group->user.pid || !group->owner_known);
}

static int on_look(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)usec;
	m->user_looks++;
	for (size_t i = 0; i < m->inventory.n_groups; i++) {
		struct group *group = m->inventory.groups[i];

		if (!is_watched(group) || group->worker || (!group->user.pid && m->user_looks % LOOKS_PER_ASKING))
			continue;
		if (!user_is_there(&group->user))
			manager_queue_group(m, group->id, TRIGGER_OWNER);
	}
	user_watch(m);
	return 0;
}

static bool any_watched(const struct manager *m)
{
	for (size_t i = 0; i < m->inventory.n_groups; i++)
		if (is_watched(m->inventory.groups[i]))
			return true;
	return false;
}

void user_watch(struct manager *m)
{
	int enabled = SD_EVENT_OFF, r;

	if (m->user_source)
		sd_event_source_get_enabled(m->user_source, &enabled);
	if (enabled != SD_EVENT_OFF || !any_watched(m))
		return;
	if (!m->user_source)
		r = sd_event_add_time_relative(m->event, &m->user_source, CLOCK_MONOTONIC, LOOK_USEC, ACCURACY_USEC,
					       on_look, m);
	else if ((r = sd_event_source_set_time_relative(m->user_source, LOOK_USEC)) >= 0)
		r = sd_event_source_set_enabled(m->user_source, SD_EVENT_ONESHOT);
	if (r < 0)
		log_warning("Cannot watch for the end of programs that have groups: %s", strerror(-r));
}
