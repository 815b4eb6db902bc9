/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_PROBES_H
#define DAEMON_PROBES_H

#include <stdbool.h>

#include <systemd/sd-event.h>

/*
 * Giving devices to drivers, each in a process of its own: a driver's probe may
 * take its time and may never come back. For Gate=autoprobe.
 */
struct probes;

/*
 * A probe has ended, of the device at ADDRESS by DRIVER, or by whichever takes
 * it where that is NULL. DEFERRED: a driver of its own wants to be asked once
 * more, since something that it needs is not there yet. ADDRESS is NULL for a
 * device that has gone meanwhile.
 */
typedef void (*probes_handler)(void *userdata, const char *address, const char *driver, bool deferred);

/* NULL: -ENOMEM. HANDLER is never called from within one of these functions, except from the event loop. */
struct probes *probes_new(sd_event *event, probes_handler handler, void *userdata);

/* Returns at once. What has been asked for and has not begun is not asked for twice. */
void probes_ask(struct probes *probes, const char *address, const char *driver);

/* Whether one is to begin or under way: of ADDRESS by whichever driver, or by DRIVER of whichever device, or any at all. */
bool probes_pending(const struct probes *probes, const char *address, const char *driver);

/* The device has gone: nothing of what has been asked for is about the next one at that address. */
void probes_forget(struct probes *probes, const char *address);

/* What is under way goes on alone. */
void probes_free(struct probes *probes);

/*
 * The whole of such a process. KEEP_FD stays open as long as it lives; -1: none.
 * LOOK: its exit status shall tell PROBE_DEFERRED, for which each driver is tried.
 */
#define PROBE_DEFERRED 75 /* sysexits.h: EX_TEMPFAIL */
_Noreturn void probe_child(const char *address, const char *driver, int keep_fd, bool look);

/* Whether it is there, and without a driver. */
bool probe_is_unbound(const char *address);

#endif
