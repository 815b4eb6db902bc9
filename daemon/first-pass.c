/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "daemon/first-pass.h"
#include "daemon/options.h"

/* How long the boot may be held up by what the kernel does. */
#define FIRST_PASS_USEC (5 * USEC_PER_SEC)

/* What was found at the start is as the policy wants it, as far as that can be. */
static int first_pass_done(struct manager *m)
{
	m->settled_source = sd_event_source_disable_unref(m->settled_source);
	m->settled_timer = sd_event_source_disable_unref(m->settled_timer);
	if (m->options->once)
		return sd_event_exit(m->event, EXIT_SUCCESS);
	sd_notify(0, "READY=1");
	return 0;
}

static int on_idle(sd_event_source *s, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	return m->n_queue == 0 && m->n_running == 0 ? first_pass_done(m) : 0;
}

static int on_first_pass_late(sd_event_source *s, uint64_t usec, void *userdata)
{
	(void)s;
	(void)usec;
	return first_pass_done(userdata);
}

int first_pass_status(const struct manager *m)
{
	if (m->policy_lacking)
		return EXIT_FAILURE;
	for (size_t i = 0; i < m->inventory.n_groups; i++)
		if (m->inventory.groups[i]->state == STATE_FAILED)
			return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

int first_pass_start(struct manager *m)
{
	int r;

	/* Also where there is no group at all: the pass over nothing ends at once. */
	if ((r = sd_event_source_set_enabled(m->queue_source, SD_EVENT_ONESHOT)) < 0 ||
	    (r = sd_event_add_post(m->event, &m->settled_source, on_idle, m)) < 0 || m->options->once)
		return r;
	/* udev's trigger waits for READY: groups are changed before their drivers are loaded, within reason. */
	return sd_event_add_time_relative(m->event, &m->settled_timer, CLOCK_MONOTONIC, FIRST_PASS_USEC, 0,
					  on_first_pass_late, m);
}
