/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_WAY_INTERNAL_H
#define DAEMON_WAY_INTERNAL_H

#include "daemon/way.h"

/*
 * What the choice of a way (way.c, which only looks and is linked into
 * iommu-policyctl too) and the request for a worker (way-prepare.c) agree on, for
 * device I of the group.
 */
enum driver_need {
	DRIVER_FINE,
	DRIVER_CHANGE, /* the override is to be set, and the device given to the driver */
	DRIVER_MISSING, /* it is not loaded: a device that was there keeps its driver until it is */
};

enum driver_need way_driver_need(const struct group *group, size_t i);

/* The driver that the device's rule wants and may have; NULL for none. */
const char *way_wanted_driver(const struct group *group, size_t i);

/* Whether a driver that the daemon gave the device is to be taken back. */
bool way_must_release(const struct group *group, const struct device *device);

bool way_may_unbind(const struct group *group, size_t i, const struct way_options *options);

#endif
