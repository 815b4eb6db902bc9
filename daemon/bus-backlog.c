/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/bus-backlog.h"
#include "daemon/log.h"

static uint64_t look(struct manager *m)
{
	uint64_t n;

	/* Before the bus has said hello, what is queued waits for that. */
	if (!m->bus || sd_bus_is_ready(m->bus) <= 0 || sd_bus_get_n_queued_write(m->bus, &n) < 0)
		n = 0;
	if (n == 0)
		m->backlog_calls = m->backlog_usec = 0;
	return n;
}

int bus_backlog_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;

	if (!sd_bus_message_is_method_call(message, NULL, NULL))
		return 0;
	/*
	 * Our own signals are in the queue as well, but not more answers than calls
	 * have been let through since it was last seen empty.
	 */
	if (look(m) < BUS_BACKLOG_MAX || m->backlog_calls < BUS_BACKLOG_MAX) {
		m->backlog_calls++;
		return 0;
	}
	return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
				 "the bus does not take the answers to earlier calls");
}

bool bus_backlog_is_stuck(struct manager *m, uint64_t now_usec)
{
	if (look(m) == 0)
		return false;
	if (!m->backlog_usec)
		m->backlog_usec = now_usec;
	return now_usec - m->backlog_usec >= BUS_BACKLOG_USEC;
}

static int on_stuck(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)usec;
	if (!bus_backlog_is_stuck(m, now_usec(CLOCK_MONOTONIC)))
		return 0;
	log_warning("The bus has not taken all answers for %llu s, as when clients of it do not read what they have asked "
		    "for; joining it anew",
		    (unsigned long long)(BUS_BACKLOG_USEC / USEC_PER_SEC));
	m->backlog_usec = 0;
	bus_join_anew(m);
	return 0;
}

/* After whatever may have sent something. */
static int on_post(sd_event_source *s, void *userdata)
{
	struct manager *m = userdata;
	bool waited = m->backlog_usec;
	int r;

	(void)s;
	bus_backlog_is_stuck(m, now_usec(CLOCK_MONOTONIC));
	if (waited == (m->backlog_usec != 0))
		return 0;
	if (waited)
		return sd_event_source_set_enabled(m->stuck_source, SD_EVENT_OFF);
	r = sd_event_source_set_time(m->stuck_source, m->backlog_usec + BUS_BACKLOG_USEC);
	return r < 0 ? r : sd_event_source_set_enabled(m->stuck_source, SD_EVENT_ONESHOT);
}

int bus_backlog_watch(struct manager *m)
{
	int r;

	if ((r = sd_event_add_time(m->event, &m->stuck_source, CLOCK_MONOTONIC, UINT64_MAX, 0, on_stuck, m)) < 0 ||
	    (r = sd_event_source_set_enabled(m->stuck_source, SD_EVENT_OFF)) < 0)
		return r;
	return sd_event_add_post(m->event, &m->post_source, on_post, m);
}

void bus_backlog_unwatch(struct manager *m)
{
	m->post_source = sd_event_source_disable_unref(m->post_source);
	m->stuck_source = sd_event_source_disable_unref(m->stuck_source);
}
