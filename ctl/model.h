/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_MODEL_H
#define CTL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/ctl.h"

/*
 * What the daemon shows on the bus, as it was at one moment. Names are those
 * of the D-Bus interfaces, where they are explained. Strings are never NULL
 * and come as the daemon sent them: they are escaped where they are printed.
 */
struct model_rule {
	char *file; /* "" for none */
	uint32_t line;
	char *name;
};

struct model_region {
	uint64_t first, last;
	char *kind;
};

struct model_device {
	char *path;
	char *address;
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code;
	char *driver;
	bool removable, virtual_function, bridge;
	char *vendor_name, *device_name, *class_name; /* of names_fill(), "" before it */
	char *group_path;
	struct model_rule rule;
	char *wish; /* what the rule asks for, "" for nothing */
	const struct model_group *group; /* NULL where it has none */
};

struct model_group {
	char *path;
	uint32_t id;
	char *type, *boot_type, *target, *state, *reason, *owner;
	struct model_device *
		*devices; /* of the model; those that do DMA by themselves before bridges */
	size_t n_devices;
	struct model_region *regions;
	size_t n_regions;
	bool requires_direct, set_at_run_time, drifted;
	struct model_rule *rules;
	size_t n_rules;
	char *error_name, *error_message;
	uint64_t changed_usec;
};

struct model_policy_error {
	char *file;
	uint32_t line;
	char *key;
	char *message;
};

struct model_manager {
	uint32_t interface_version; /* 0 of a daemon that is too old to say */
	char *version, *mode, *backend;
	char **files; /* NULL-terminated, may be NULL */
	uint64_t generation;
	struct model_policy_error *errors;
	size_t n_errors;
	char **features; /* NULL-terminated, may be NULL */
};

struct model {
	struct model_manager manager; /* filled only where it was asked for */
	struct model_group *groups; /* by number */
	size_t n_groups;
	struct model_device *devices; /* by address */
	size_t n_devices;
};

enum model_parts {
	MODEL_OBJECTS = 1 << 0,
	MODEL_MANAGER = 1 << 1, /* and whether the daemon is new enough for this command */
	MODEL_NAMES = 1 << 2, /* of devices, from this machine's database */
};

/*
 * Asks for PARTS, all of them at once, so that the time is that of one round
 * trip whatever the number of groups. Connects first. Complains and returns an
 * enum exit_code other than 0 where something fails; model_clear() is due in
 * any case.
 */
int model_load(struct ctl *ctl, unsigned parts, struct model *ret);

void model_clear(struct model *model);

/* NULL where there is none. */
const struct model_group *model_find_group(const struct model *model, uint32_t id);
const struct model_device *model_find_device(const struct model *model, const char *address);

/*
 * The group of TARGET; complains and returns an enum exit_code other than 0
 * where there is no such group or device.
 */
int model_find_target(const struct ctl *ctl, const struct model *model,
		      const struct target *target, const struct model_group **group,
		      const struct model_device **device);

/* Orders what was loaded and ties devices to their groups. 0 or -ENOMEM. */
int model_link(struct model *model);

/* "path:line", or "" for no rule. malloc'd. */
char *model_rule_place(const struct model_rule *rule);

/* How many policy files are in force. */
size_t model_n_files(const struct model_manager *manager);

#endif
