/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_TRANSACTION_H
#define DAEMON_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/outcome.h"
#include "policy/domain.h"

/*
 * Carries one decision out on one group. It decides nothing: what may be
 * unbound and which way to go is in the request. Runs in a worker process,
 * since every step may wait in the kernel.
 */
struct fence;
struct module_link;

enum way {
	WAY_NOTHING,
	WAY_LIVE, /* DMA to DMA-FQ on a bound device */
	WAY_WRITE, /* nothing is bound: only the type is written */
	WAY_TRANSACTION, /* fence, unbind, write, unfence, probe again */
	WAY_WAIT, /* a bound driver that must not be unbound */
};

const char *way_to_string(enum way way);

enum step {
	STEP_PREPARE,
	STEP_FENCE,
	STEP_UNBIND,
	STEP_WRITE,
	STEP_UNFENCE,
	STEP_PROBE,
	STEP_VERIFY,
};

struct transaction_device {
	char *address;
	char *driver; /* bound before, NULL for none */
	char *override; /* driver_override before, NULL for none */
	char *wanted; /* driver that the rule wants, NULL for no wish */
	char *given; /* with release: the override that is taken back, if it still is the device's */
	bool release; /* the override that a rule had set is taken back: whatever driver matches may have it */
	bool bridge; /* neither fenced nor unbound */
	bool may_unbind; /* the rules allow to take its driver away */
	bool fresh; /* has just been plugged in: nobody else probes it again */
	bool pinned; /* its override is, or may be, our pin */
	bool unbound; /* its driver has been, or may have been, taken away */
	uint64_t id; /* sysfs_device_id() when it was decided; 0: not known */
	int dir_fd; /* the worker's: its directory in sysfs, which ends with this very device; 0: not open */
};

struct transaction {
	unsigned group;
	enum way way;
	enum domain from, to; /* to: identity, DMA-FQ, DMA or blocked; from may be DOMAIN_NONE (unknown) */
	bool force;
	bool recovering; /* taken up from its record, only to be undone */
	unsigned attempts; /* at that, by workers that have died */
	bool quarantined; /* some of its devices were in quarantine before */
	bool claimed; /* the group's DMA has been, or may have been, claimed on the way */
	bool left; /* a pin or a claim of its own could not be taken away: the record stays, for the next start */
	enum step step; /* the last one begun, or undone from */
	struct transaction_device *devices;
	size_t n_devices;
	char **drivers_before; /* PCI drivers that were registered when it began */
	const char *record_dir; /* where progress is kept; NULL for none. Not owned. */

	/* The worker's own, from its start on. */
	int group_fd; /* its directory in sysfs, which ends with this very group; 0: not open */
	const struct fence *fence; /* also in the record */
	struct module_link *link; /* NULL where the kernel module is not loaded */
	char *in_the_way; /* who has the group, where a fence could not be closed for that; may be NULL */
};

/* Reserved: no real driver may have this name. Shows in driver_override while a group is held. */
#define TRANSACTION_PIN "iommu-policyd-hold"

struct transaction *transaction_free(struct transaction *t); /* returns NULL */
static inline void transaction_freep(struct transaction **t)
{
	*t = transaction_free(*t);
}

/* Adds a copy of DEVICE, its strings included. 0 or -ENOMEM. */
int transaction_add_device(struct transaction *t, const struct transaction_device *device);

/* Runs it to its end, rollback included; the only result is OUTCOME. */
void transaction_run(struct transaction *t, struct outcome *outcome);

/* Only asks whether the group is a program's: then OUTCOME is as if it had been run. */
void transaction_ask(struct transaction *t, struct outcome *outcome);

/*
 * Takes up a transaction that was cut off at any point: opens the fence and
 * gives every device the driver that it had. The type stays what it is, old or
 * new. Can be repeated.
 */
void transaction_recover(struct transaction *t, struct outcome *outcome);

#endif
