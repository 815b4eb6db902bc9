/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_EVENTS_JSON_H
#define CTL_EVENTS_JSON_H

#include "ctl/ctl.h"
#include "ctl/json.h"

/*
 * A line of 'monitor --json': {"event": NAME, "usec": the time, ...}, printed
 * and flushed by event_json_print(). The members are documented in
 * iommu-policyctl(8).
 */
json_object *event_json_new(struct json_builder *b, const char *name);
int event_json_print(const struct ctl *ctl, struct json_builder *b, json_object *document);

/* "group": 12 or "device": "0000:3b:00.0" for an object's path; nothing for the daemon itself. */
void event_json_add_subject(struct json_builder *b, json_object *document, const char *path);

/*
 * "changed": {"state": ..., ...} and "other": [...] from "a{sv}as" at M: values
 * of basic types, and the names of properties whose value is longer than that.
 */
int event_json_add_changes(struct json_builder *b, json_object *document, sd_bus_message *m);

/* "ChangedUSec" as "changed_usec": a property's name as this command's documents have it. */
void event_json_key(const char *name, char *ret, size_t size);

#endif
