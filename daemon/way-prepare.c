/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "daemon/group-store.h"
#include "daemon/record.h"
#include "daemon/state-file.h"
#include "daemon/way-internal.h"

/* What a quarantined device had before: its end gives that back. Whether it is one. */
static bool take_from_quarantine(struct transaction_device *device, const struct transaction *quarantine)
{
	for (size_t i = 0; i < quarantine->n_devices; i++) {
		const struct transaction_device *kept = &quarantine->devices[i];

		if (strcmp(kept->address, device->address) != 0 || (kept->id && kept->id != device->id))
			continue;
		device->driver = kept->driver;
		device->override = kept->override;
		device->pinned = device->unbound = true;
		device->fresh = true; /* it lost whatever chance it had to be bound */
		return true;
	}
	return false;
}

struct transaction *way_prepare(const struct group *group, enum way way, const struct way_options *options, bool force)
{
	_cleanup_(transaction_freep) struct transaction *t = calloc(1, sizeof(*t));
	_cleanup_(transaction_freep) struct transaction *quarantine = NULL;

	if (!t)
		return NULL;
	t->group = group->id;
	t->way = way;
	t->from = group->type;
	t->to = group->decision.target;
	t->force = force;
	t->record_dir = RECORD_DIR;
	/* Also where a newcomer has made it a quarantine of some only. */
	if (record_read_quarantine(RECORD_DIR, group->id, &quarantine) < 0)
		quarantine = NULL;
	for (size_t i = 0; i < group->n_devices; i++) {
		const struct device *device = group->devices[i];
		struct transaction_device item = {
			.address = device->address,
			.driver = device->driver,
			/* A bound device keeps its driver until the rule's is loaded. */
			.wanted = (char *)(device->driver && way_driver_need(group, i) == DRIVER_MISSING ?
						   NULL :
						   way_wanted_driver(group, i)),
			.given = device->given_driver,
			.release = way_must_release(group, device),
			.bridge = device->attributes.bridge,
			.may_unbind = way_may_unbind(group, i, options),
			.fresh = device->fresh,
			.id = sysfs_device_id(&device->attributes),
		};

		if (quarantine && !item.bridge && !item.driver)
			t->quarantined |= take_from_quarantine(&item, quarantine);
		if (transaction_add_device(t, &item) < 0)
			return NULL;
	}
	return TAKE_PTR(t);
}
