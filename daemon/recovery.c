/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "daemon/group-store.h"
#include "daemon/log.h"
#include "daemon/record.h"
#include "daemon/recovery.h"
#include "daemon/state-file.h"
#include "daemon/worker.h"

/* Whether any of the devices of a quarantine is still there. With them, their pins and their claim have gone. */
static bool is_of_somebody(const struct manager *m, const struct transaction *quarantine)
{
	for (size_t i = 0; i < quarantine->n_devices; i++) {
		const struct transaction_device *kept = &quarantine->devices[i];
		const struct device *device = inventory_device(&m->inventory, kept->address);

		if (device && (!kept->id || kept->id == sysfs_device_id(&device->attributes)))
			return true;
	}
	return false;
}

void recovery_start(struct manager *m)
{
	_cleanup_free_ unsigned *groups = NULL;
	size_t n = 0;
	int r;

	r = record_list(RECORD_DIR, &groups, &n);
	if (r < 0) {
		log_error("%s cannot be read and is left aside: %s", RECORD_DIR, state_file_describe(r));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		_cleanup_(transaction_freep) struct transaction *t = NULL;
		struct group *group = inventory_group(&m->inventory, groups[i]);

		r = record_read(RECORD_DIR, groups[i], &t);
		if (r < 0) {
			log_error("%s/%u cannot be read and is left aside: %s", RECORD_DIR, groups[i],
				  state_file_describe(r));
			continue;
		}
		if (record_is_quarantine(t)) {
			/* A quarantine that is in force, or was of what went while nobody looked. */
			if (!is_of_somebody(m, t))
				record_remove(RECORD_DIR, groups[i]);
			continue;
		}
		log_group(LOG_WARNING, t->group, "a change from %s to %s was cut off; undoing it",
			  domain_to_string(t->from), domain_to_string(t->to));
		r = worker_start(m, group, TAKE_PTR(t), true);
		if (r < 0)
			log_group(LOG_ERR, groups[i], "cannot undo it: %s", strerror(-r));
	}
}
