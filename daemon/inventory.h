/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_INVENTORY_H
#define DAEMON_INVENTORY_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/iommu_policy.h>

#include "daemon/outcome.h"
#include "daemon/sysfs.h"
#include "daemon/transaction.h"
#include "policy/decide.h"

/*
 * What is plugged in, as sysfs told it last. Owns groups and devices; decides
 * nothing and changes nothing on the machine.
 */
struct group;
struct worker;

/* Hashes of what changes of an object on the bus, as last told there: see bus-told.h. */
#define BUS_TOLD_MAX 16
struct bus_told {
	uint64_t hashes[BUS_TOLD_MAX];
};

struct device {
	char *address;
	struct sysfs_device attributes;
	char *driver; /* NULL: none */
	char *given_driver; /* driver_override that the daemon has set for a rule, NULL for none */
	struct group *group; /* NULL: none (yet) */
	uint64_t came_usec; /* when its event was heard, CLOCK_MONOTONIC; 0: it was there at the start */
	bool fresh; /* plugged in while the daemon ran, and not decided yet */
	bool published; /* its bus object has been announced */
	bool dirty; /* something of it may have changed since */
	struct bus_told told;
};

enum state {
	STATE_UNMANAGED,
	STATE_COMPLIANT,
	STATE_PENDING,
	STATE_APPLYING,
	STATE_REFUSED,
	STATE_FAILED,
	STATE_USER_OWNED,
};

const char *state_to_string(enum state state);

struct group {
	unsigned id;
	struct device **devices; /* sorted by address; not owned */
	size_t n_devices;
	char **other_devices; /* members that are not PCI; shown, never touched */
	enum domain type; /* now; blocked where the daemon keeps it so */
	enum domain boot_type; /* when first seen since boot */
	struct sysfs_region *regions;
	size_t n_regions;
	bool requires_direct;

	struct decision decision;
	bool decided; /* decision is one */
	char *decision_key; /* what tells one policy for the group from the next, see engine.c */

	enum state state;
	char *reason;
	enum problem problem; /* of the last error; PROBLEM_NONE: none */
	char *error; /* its message */
	uint64_t changed_usec; /* CLOCK_REALTIME */

	enum domain applied; /* what the daemon has brought about or found right; to notice that somebody else wrote it */
	bool held; /* the state says that it waits for a hold or a claim of somebody else to end */
	struct user user; /* STATE_USER_OWNED: whom it waits for, where that is known */
	bool drifted; /* the state says that somebody else changed what the daemon had brought about */
	char *applied_by; /* "FILE:LINE" or "SetGroupType", NULL where the daemon has not changed it */

	/* What the kernel module tells; nothing of it is known where that is not loaded. */
	bool owner_known; /* owner is */
	enum iommu_policy_owner owner;
	bool claimed; /* its DMA, by whomever */
	bool claim_missed; /* it was not claimed any more when last asked: once more */
	bool claim_lost; /* somebody else ended the claim of a quarantine that is in force */
	uint32_t claim_seq; /* a claim that is under way, 0: none */
	unsigned claim_tries;
	int claim_error; /* positive errno of the last one */
	bool query_due; /* it is about to be asked */

	bool has_override; /* SetGroupType */
	struct decide_override override;
	char *override_key; /* the policy's own decision when it was asked for */

	struct worker *worker; /* while a change is under way */
	unsigned waiting; /* triggers of a change that waits for a free worker */
	bool boot_known; /* boot_type is */
	unsigned again; /* triggers that came meanwhile */
	unsigned failures; /* in a row, see backoff.h */
	uint64_t retry_usec; /* CLOCK_MONOTONIC: not before */
	unsigned deferred; /* triggers that wait for that */
	uint64_t own_seqnum; /* uevents up to this one are of the daemon's own doing */
	bool published; /* its bus object has been announced */
	bool dirty; /* something of it may have changed since */
	struct bus_told told;
};

struct inventory {
	struct group **groups; /* sorted by number */
	size_t n_groups;
	struct device **devices; /* sorted by address */
	size_t n_devices;
};

struct group *inventory_group(const struct inventory *inventory, unsigned id);
struct device *inventory_device(const struct inventory *inventory, const char *address);

/*
 * Reads one device again, and its group. A device that is new is added, with
 * its group where that is new too. *RET_ADDED tells which. -ENODEV: it is not
 * there (any more).
 */
int inventory_refresh_device(struct inventory *inventory, const char *address, struct device **ret, bool *ret_added);

/* Type, regions and drivers again. -ENODEV: the group is gone. */
int group_refresh(struct group *group);

/* Takes a device out, and its group once that is empty: then *RET_GROUP is that group, for the caller to free. */
void inventory_remove_device(struct inventory *inventory, struct device *device, struct group **ret_group);

void group_free(struct group *group);
void inventory_clear(struct inventory *inventory);

/* Addresses of a group's PCI devices, a NULL-terminated array to be freed (not its strings). */
char **group_addresses(const struct group *group);

/* The facts for the vote; the arrays are to be freed with group_facts_clear(). */
int group_facts_make(const struct group *group, struct group_facts *ret);
void group_facts_clear(struct group_facts *facts);
void device_facts_make(const struct device *device, struct device_facts *ret);

#endif
