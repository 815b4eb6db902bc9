/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_MANAGER_H
#define DAEMON_MANAGER_H

#include <libudev.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/counts.h"
#include "daemon/inventory.h"
#include "daemon/settings.h"
#include "daemon/surroundings.h"
#include "policy/policy.h"

struct asked;
struct autoprobe;
struct gate;
struct module;
struct options;
struct waiter;

/* Why a group is looked at again; several may have come together. */
enum trigger {
	TRIGGER_START = 1 << 0, /* the daemon has just started */
	TRIGGER_PLUGGED = 1 << 1, /* a device was plugged in */
	TRIGGER_UNBOUND = 1 << 2, /* a driver let go */
	TRIGGER_BOUND = 1 << 3, /* a driver took a device */
	TRIGGER_POLICY = 1 << 4, /* the policy was read again */
	TRIGGER_REQUEST = 1 << 5, /* somebody asked for it */
	TRIGGER_REBIND = 1 << 6, /* … with the option rebind */
	TRIGGER_FORCE = 1 << 7, /* … with the option force */
	TRIGGER_LEFT = 1 << 8, /* a device of the group was unplugged */
	TRIGGER_DRIVERS = 1 << 9, /* a driver was registered */
	TRIGGER_CHANGED = 1 << 10, /* TRIGGER_POLICY: and this group's decision is another */
	TRIGGER_OWNER = 1 << 11, /* its DMA is somebody else's, or nobody holds it any more */
};

/* Everything of the running daemon; one instance, passed along. */
struct manager {
	const struct options *options;
	sd_event *event;
	struct settings settings;
	bool settings_read; /* at least once */
	bool log_level_asked; /* at run time, instead of the one in the settings */
	struct inventory inventory;
	struct surroundings surroundings;
	struct counts counts;

	/* Policy in force, see policy-store.h. */
	struct policy *policy; /* never NULL once started; without rules where none is in force */
	bool policy_lacking; /* there are errors, and no policy that could be kept */
	uint64_t policy_generation;
	struct policy_errors policy_errors;
	bool policy_kept; /* the last whole one, because the present has errors */
	int inotify_fd;
	sd_event_source *inotify_source, *settle_source;

	struct udev *udev;
	struct udev_monitor *monitor;
	sd_event_source *monitor_source;

	/* Groups to be evaluated: numbers, since a group may be gone by then. */
	struct queued {
		unsigned group;
		unsigned triggers;
	} *queue;
	size_t n_queue;
	sd_event_source *queue_source, *plug_source;

	struct worker *workers;
	size_t n_running; /* workers that are within their deadline */

	struct module *module; /* see module.h; NULL with --once */
	struct gate *gate;
	struct autoprobe *autoprobe; /* NULL until Gate=autoprobe has been wanted */
	sd_event_source *claim_source;
	sd_event_source *backoff_source;
	sd_event_source *user_source; /* see user-watch.h */
	unsigned user_looks;

	sd_bus *bus;
	sd_event_source *bus_retry_source, *flush_source, *flush_timer;
	bool dirty; /* a property of the manager's may have changed */
	struct bus_told told;
	uint64_t backlog_calls, backlog_usec; /* see bus-backlog.c */
	sd_event_source *stuck_source, *post_source;
	struct waiter *waiters;
	struct asked *asked, *asked_polkit; /* see bus-auth.h */
	size_t n_asked; /* in both */
	void *callers; /* whose they are, a tree */
	sd_bus_slot *gone_slot; /* tells of callers that go, while polkit is asked about any */
	unsigned long long questions; /* to polkit, so far */

	sd_event_source *resume_source; /* see resume.h */
	uint64_t slept_usec; /* since boot, when last looked */
	bool resume_seen; /* the sleep that logind tells of, or is about to */

	sd_event_source *settled_source, *settled_timer;
	bool copy_due; /* the policy in force is to be kept once the file systems are there */
	bool stopping;
	char *status; /* what was last told to the service manager */
};

/* Sets up, runs until SIGTERM or, with --once, until all is applied. Returns the exit status. */
int manager_run(const struct options *options);

/* Has GROUP evaluated from the event loop, soon. */
int manager_queue_group(struct manager *m, unsigned group, unsigned triggers);
/* Takes TRIGGERS back from what is queued for GROUP. */
void manager_forget(struct manager *m, unsigned group, unsigned triggers);
int manager_queue_all(struct manager *m, unsigned triggers);
/* Whether GROUP is neither queued nor under way. */
bool manager_group_settled(const struct manager *m, const struct group *group);

/* A worker has become free: groups that waited for one are looked at again. */
void manager_worker_free(struct manager *m);
/* A device came or changed (TRIGGERS), as a uevent or the enumeration says. */
int manager_device_seen(struct manager *m, const char *address, unsigned triggers, uint64_t seqnum);
void manager_device_gone(struct manager *m, const char *address);
/* Looks for devices that have joined GROUP and have told nobody yet. */
void manager_find_members(struct manager *m, const struct group *group);

void manager_load_settings(struct manager *m);

/* Announces a changed status line to the service manager. */
void manager_update_status(struct manager *m);

#endif
