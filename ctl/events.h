/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_EVENTS_H
#define CTL_EVENTS_H

#include "ctl/ctl.h"

/*
 * What 'monitor' shows: each handler takes one signal and prints one line with
 * the time in front, or none where there is nothing in it for a person.
 * Negative errno where the signal is not as the interface says.
 */
int event_decided(const struct ctl *ctl, sd_bus_message *m);
int event_policy_reloaded(const struct ctl *ctl, sd_bus_message *m);
int event_properties_changed(const struct ctl *ctl, sd_bus_message *m);
int event_interfaces_added(const struct ctl *ctl, sd_bus_message *m);
int event_interfaces_removed(const struct ctl *ctl, sd_bus_message *m);

/*
 * That the daemon itself came or went: STATE ("running", "started", "stopped",
 * "restarted", "absent") is for documents, WORDS are for people.
 */
int event_daemon(const struct ctl *ctl, enum style style, const char *state, const char *words);

/* A line of that kind; arguments are escaped by the caller. */
void event_print(const struct ctl *ctl, enum style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * What an object's path is about, for the beginning of a line: "group 12",
 * "device 0000:3b:00.0", "daemon". malloc'd and escaped; NULL when out of
 * memory.
 */
char *event_subject(const char *path);

#endif
