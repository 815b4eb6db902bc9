/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/bus.h"
#include "daemon/log.h"
#include "daemon/module.h"
#include "daemon/owner.h"
#include "daemon/user-watch.h"

/* Devices that come and go are through in milliseconds; a hundred virtual functions take a while. */
#define CLAIM_TRIES 50
#define CLAIM_RETRY_USEC (100 * USEC_PER_MSEC)

/*
 * Without the module: a program's where a change has met it; else a bound driver
 * is the kernel's ownership, unless it is vfio-pci, which owns for a program.
 */
static const char *guess_owner(const struct group *group)
{
	if (group->type == DOMAIN_BLOCKED)
		return "policy";
	if (group->state == STATE_USER_OWNED)
		return "user";
	for (size_t i = 0; i < group->n_devices; i++) {
		const struct device *device = group->devices[i];

		if (device->attributes.bridge || !device->driver)
			continue;
		if (strcmp(device->driver, "vfio-pci") != 0)
			return "kernel";
	}
	return "none";
}

const char *owner_of(const struct group *group)
{
	static const char *const names[] = {
		[IOMMU_POLICY_OWNER_NONE] = "none",
		[IOMMU_POLICY_OWNER_KERNEL] = "kernel",
		[IOMMU_POLICY_OWNER_USER] = "user",
		[IOMMU_POLICY_OWNER_POLICY] = "policy",
	};

	/* A quarantine that the module has not claimed (yet) is the policy's all the same. */
	if (!group->owner_known || (group->type == DOMAIN_BLOCKED && group->owner == IOMMU_POLICY_OWNER_NONE))
		return guess_owner(group);
	return names[group->owner];
}

bool owner_is_user(const struct group *group)
{
	return group->owner_known && group->owner == IOMMU_POLICY_OWNER_USER;
}

static bool has_common_device(const struct group *group, const struct module_group *found)
{
	for (size_t i = 0; i < group->n_devices; i++)
		for (size_t j = 0; j < found->n_devices; j++)
			if (strcmp(group->devices[i]->address, found->devices[j].address) == 0)
				return true;
	return false;
}

/* Returns whether the group is to be looked at for it. */
static bool update_claim(struct manager *m, struct group *group, bool claimed)
{
	if (claimed == group->claimed) {
		group->claim_missed = false;
		return false;
	}
	if (!claimed && group->type == DOMAIN_BLOCKED && !group->worker) {
		/* An answer may be older than what a worker has just brought about: asked once more. */
		if (!group->claim_missed) {
			group->claim_missed = true;
			module_query(m, group);
			return false;
		}
		group->claim_lost = true;
	}
	group->claim_missed = false;
	group->claimed = claimed;
	if (claimed)
		group->claim_lost = false;
	return true;
}

void owner_update(struct manager *m, struct group *group, const struct module_group *found)
{
	bool look, changed = !group->owner_known || group->owner != found->owner;

	/* Numbers are used again: this may be the group before, or the next one. */
	if (!has_common_device(group, found))
		return;
	group->owner_known = true;
	group->owner = found->owner;
	if (changed)
		bus_group_changed(m, group);
	look = update_claim(m, group, found->claim.present);
	if (group->worker)
		return; /* its own doing, or read by it in time */
	if (found->owner == IOMMU_POLICY_OWNER_USER)
		look |= changed && group->state == STATE_PENDING;
	else
		/* It may have the group's node open and not own it (yet): its end is not the module's to tell. */
		look |= group->state == STATE_USER_OWNED && !user_is_there(&group->user);
	user_watch(m);
	/* It waits for somebody who has the group no more. */
	look |= group->held && !found->hold.present && !found->bracket.present &&
		(!found->claim.present || group->type == DOMAIN_BLOCKED);
	/* Found at the start, or there since before the module came. */
	look |= group->type == DOMAIN_BLOCKED && !group->claimed && !group->claim_seq && changed;
	if (look)
		manager_queue_group(m, group->id, TRIGGER_OWNER);
}

void owner_keep_claim(struct manager *m, struct group *group, unsigned triggers)
{
	struct module_request request = {
		.command = IOMMU_POLICY_CMD_CLAIM,
		.has_group = true,
		.group = group->id,
		.flags = IOMMU_POLICY_F_PERSISTENT,
	};

	if (group->type != DOMAIN_BLOCKED || group->worker || group->claimed || group->claim_seq ||
	    !group->owner_known || m->settings.mode == MODE_AUDIT)
		return;
	if (group->claim_lost &&
	    !(triggers & (TRIGGER_POLICY | TRIGGER_REQUEST | TRIGGER_PLUGGED | TRIGGER_START | TRIGGER_CHANGED)))
		return;
	/* Nothing has happened that may help. */
	if (group->claim_error && !(triggers & ~(TRIGGER_BOUND | TRIGGER_OWNER)))
		return;
	group->claim_lost = false;
	group->claim_error = 0;
	group->claim_seq = module_send(m, &request);
}

static int on_claim_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)usec;
	for (size_t i = 0; i < m->inventory.n_groups; i++)
		if (m->inventory.groups[i]->claim_tries)
			manager_queue_group(m, m->inventory.groups[i]->id, TRIGGER_OWNER);
	return 0;
}

/* A device was just coming or going, somewhere. Returns whether it is tried again, soon. */
static bool retry_claim(struct manager *m, struct group *group)
{
	if (++group->claim_tries > CLAIM_TRIES) {
		group->claim_tries = 0;
		return false;
	}
	if (!m->claim_source)
		return sd_event_add_time_relative(m->event, &m->claim_source, CLOCK_MONOTONIC, CLAIM_RETRY_USEC, 0,
						  on_claim_retry, m) >= 0;
	sd_event_source_set_time_relative(m->claim_source, CLAIM_RETRY_USEC);
	return sd_event_source_set_enabled(m->claim_source, SD_EVENT_ONESHOT) >= 0;
}

static void claim_done(struct manager *m, uint64_t seq, int error)
{
	for (size_t i = 0; i < m->inventory.n_groups; i++) {
		struct group *group = m->inventory.groups[i];

		if (!group->claim_seq || group->claim_seq != seq)
			continue;
		group->claim_seq = 0;
		if (error == -EAGAIN && retry_claim(m, group))
			return;
		group->claim_tries = 0;
		group->claimed = error == 0;
		group->claim_error = -error;
		if (error < 0)
			log_group(LOG_NOTICE, group->id,
				  "the kernel module does not claim its DMA, and the quarantine goes on without that: "
				  "%s",
				  strerror(-error));
		module_query(m, group);
		manager_queue_group(m, group->id, TRIGGER_OWNER);
		return;
	}
}

void owner_done(struct manager *m, const struct module_done *done)
{
	if (done->command == IOMMU_POLICY_CMD_CLAIM)
		claim_done(m, done->cookie, done->error);
}

void owner_refused(struct manager *m, uint32_t seq, int error)
{
	claim_done(m, seq, error);
}

char *owner_describe_quarantine(const struct manager *m, const struct group *group, const char *reason)
{
	static const char substitute[] = "in quarantine by substitute (strict translation, no driver)";

	if (group->claimed)
		return strf("%s; in quarantine by the kernel module (DMA blocked)", reason);
	if (group->claim_lost)
		return strf("%s; drifted: somebody else ended the kernel module's claim, and it is %s; claimed again at "
			    "the next reload, Apply() or hotplug", reason, substitute);
	if (group->claim_error)
		return strf("%s; %s: the kernel module does not claim its DMA (%s)", reason, substitute,
			    strerror(group->claim_error));
	return strf("%s; %s%s", reason, substitute, module_is_there(m) ? "" : ", without the kernel module");
}

void owner_module_went(struct manager *m)
{
	for (size_t i = 0; i < m->inventory.n_groups; i++) {
		struct group *group = m->inventory.groups[i];

		if (!group->owner_known && !group->claim_seq)
			continue;
		group->owner_known = group->claimed = group->claim_missed = group->claim_lost = false;
		group->claim_seq = 0;
		group->claim_error = 0;
		group->claim_tries = 0;
		bus_group_changed(m, group);
		/* What keeps it is another now; nor will anybody tell that what it waits for has ended. */
		if (group->type == DOMAIN_BLOCKED || group->held || group->state == STATE_USER_OWNED)
			manager_queue_group(m, group->id, TRIGGER_OWNER);
	}
}
