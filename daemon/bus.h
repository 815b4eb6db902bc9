/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_BUS_H
#define DAEMON_BUS_H

#include "daemon/manager.h"

/*
 * The daemon on D-Bus: shows, and passes requests on. Works without a bus too:
 * every call below does nothing then, and when the bus comes up, at boot or
 * again, everything is there. The interfaces: docs/org.iommupolicy1.xml.
 */
#define BUS_NAME "org.iommupolicy1"
#define BUS_ROOT "/org/iommupolicy1"
#define BUS_LOG_PATH "/org/freedesktop/LogControl1"
#define BUS_LOG_INTERFACE "org.freedesktop.LogControl1"

int bus_start(struct manager *m);
void bus_stop(struct manager *m);

/*
 * Something may have changed: what has, is told once, when the event loop has
 * done what is more urgent, in one signal for each object.
 */
void bus_group_changed(struct manager *m, struct group *group);
void bus_devices_changed(struct manager *m, const struct group *group);
void bus_manager_changed(struct manager *m);

/* A new object is announced at once, after that of its group; of an old one something may have changed. */
void bus_device_seen(struct manager *m, struct device *device);
/* To be called while the object is still there. */
void bus_device_removed(struct manager *m, struct device *device);
void bus_group_removed(struct manager *m, struct group *group);

void bus_emit_decided(struct manager *m, const struct group *group, enum domain from);
void bus_policy_reloaded(struct manager *m, bool ok);

/* Answers the callers that wait for GROUP, if it is settled. */
void bus_group_settled(struct manager *m, const struct group *group);

/* Tells what has changed. False: something could not be told, and is told later. */
bool bus_flush(struct manager *m);

/* Leaves the bus soon, from the event loop, and joins it again. */
void bus_join_anew(struct manager *m);

/* Shared by the files of the bus. */
extern const sd_bus_vtable bus_manager_vtable[], bus_group_vtable[], bus_device_vtable[], bus_log_vtable[];

/* The object's path, malloc'd; NULL when out of memory. */
char *bus_group_path(const struct group *group);
char *bus_device_path(const char *address);

/* All that can be called and read, on m->bus. */
int bus_add_objects(struct manager *m);

/* Takes what sets a property of LogControl1, which the table cannot: whether a caller may is not known at once. */
int bus_log_message(sd_bus_message *message, void *userdata, sd_bus_error *error);

/*
 * Keeps MESSAGE until every one of GROUPS is settled, and answers it then: with
 * all groups' states (ALL), else with the one group's or its problem as an
 * error. Returns 1 or a negative errno with ERROR set.
 */
int bus_wait_for(struct manager *m, sd_bus_message *message, bool all, const unsigned *groups, size_t n,
		 sd_bus_error *error);
int bus_reply_all(const struct manager *m, sd_bus_message *message);
void bus_waiters_free(struct manager *m);
/* A group goes: whoever waits for it gets an answer. */
void bus_waiters_group_gone(struct manager *m, const struct group *group);

#endif
