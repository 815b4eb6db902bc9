/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

#include "daemon/bus.h"
#include "daemon/log.h"
#include "daemon/resume.h"
#include "daemon/uevent.h"

#define LOGIN "org.freedesktop.login1"
#define END_OF_TIME ((time_t)((UINT64_C(1) << (sizeof(time_t) * 8 - 1)) - 1))
/* Two clocks cannot be read at once; sleeps are longer than this. */
#define JITTER_USEC (10 * USEC_PER_MSEC)

/* How long the machine has slept since boot: CLOCK_MONOTONIC stands still then. */
static uint64_t slept_usec(void)
{
	uint64_t monotonic = now_usec(CLOCK_MONOTONIC);

	return now_usec(CLOCK_BOOTTIME) - monotonic;
}

struct known {
	unsigned group;
	enum domain type;
};

/* Reads the types again; returns how many are not what is KNOWN, and has those groups evaluated. */
static size_t compare(struct manager *m, const struct known *known, size_t n_known)
{
	size_t n = 0;

	for (size_t i = 0; i < n_known; i++) {
		struct group *group = inventory_group(&m->inventory, known[i].group);

		if (!group || group->worker || group_refresh(group) < 0 || group->type == known[i].type)
			continue;
		n++;
		log_group(LOG_NOTICE, group->id, "its type was %s and is %s since the machine has slept, or its clock "
			  "was set", domain_to_string(known[i].type), domain_to_string(group->type));
		bus_group_changed(m, group);
		manager_queue_group(m, group->id, 0);
	}
	return n;
}

/* TOLD_BY is NULL where it is not sure that the machine has slept. */
static void look_again(struct manager *m, const char *told_by)
{
	size_t n_known = m->inventory.n_groups, n;
	_cleanup_free_ struct known *known = calloc(n_known + 1, sizeof(*known));

	m->slept_usec = slept_usec();
	if (m->stopping)
		return;
	if (!known) {
		log_oom();
		return;
	}
	for (size_t i = 0; i < n_known; i++)
		known[i] = (struct known){ m->inventory.groups[i]->id, m->inventory.groups[i]->type };
	if (told_by)
		uevent_resync(m);
	n = compare(m, known, n_known);
	if (told_by)
		log_info("Resumed (as %s tells): %zu groups verified, %zu with another type than before", told_by,
			 m->inventory.n_groups, n);
}

/*
 * A timer that nobody awaits, and that the kernel cancels when the wall clock
 * jumps: when it is set, and at each resume (timerfd_resume() in fs/timerfd.c).
 */
static int arm(int fd)
{
	struct itimerspec far = { .it_value.tv_sec = END_OF_TIME };

	/* ECANCELED: the clock jumps just now, and the timer is armed all the same. */
	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL) < 0 && errno != ECANCELED ?
		       -errno :
		       0;
}

static int on_clock(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;
	uint64_t expirations;
	ssize_t n;

	(void)revents;
	n = read(fd, &expirations, sizeof(expirations));
	if (n < 0 && errno == EAGAIN)
		return 0;
	/* A clock that is at the end of its time would wake us for ever. */
	if (n >= 0 || arm(fd) < 0) {
		log_warning("The clock cannot be watched any more: a sleep of the machine is noticed by logind's word "
			    "alone");
		return sd_event_source_set_enabled(s, SD_EVENT_OFF);
	}
	/* Else the clock was set, or logind was first, or the sleep too short for a clock that has whole seconds. */
	if (slept_usec() > m->slept_usec + JITTER_USEC) {
		m->resume_seen = true;
		look_again(m, "the clock");
	} else {
		look_again(m, NULL);
	}
	return 0;
}

int resume_watch_clock(struct manager *m)
{
	_cleanup_close_ int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	m->slept_usec = slept_usec();
	if ((r = arm(fd)) < 0 ||
	    (r = sd_event_add_io(m->event, &m->resume_source, fd, EPOLLIN, on_clock, m)) < 0 ||
	    (r = sd_event_source_set_io_fd_own(m->resume_source, true)) < 0)
		return r;
	fd = -1;
	return 0;
}

/* Sent with true before the machine sleeps, and with false after it. */
static int on_prepare_for_sleep(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	int before, r;

	(void)error;
	/* logind tells everybody, which the bus allows nobody else under its name; to us alone anyone can. */
	if (sd_bus_message_get_destination(message))
		return 0;
	r = sd_bus_message_read(message, "b", &before);
	if (r < 0) {
		log_debug("PrepareForSleep is not understood: %s", strerror(-r));
		return 0;
	}
	/* Not told by the clock, where the machine has none that goes on while it sleeps. */
	if (!before && !m->resume_seen)
		look_again(m, "logind");
	m->resume_seen = false;
	return 0;
}

int resume_watch_bus(struct manager *m)
{
	return sd_bus_match_signal_async(m->bus, NULL, LOGIN, "/org/freedesktop/login1", LOGIN ".Manager",
					 "PrepareForSleep", on_prepare_for_sleep, NULL, m);
}

void resume_stop(struct manager *m)
{
	m->resume_source = sd_event_source_disable_unref(m->resume_source);
}
