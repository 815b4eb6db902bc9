/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_BUS_TOLD_H
#define DAEMON_BUS_TOLD_H

#include "daemon/bus.h"

/*
 * What an object's properties were when they were last told, so that a change is
 * told once, and what has not changed is not. TOLD is the object's own record.
 */

/* As they are now: whoever looks, or is shown the object, sees them. */
void bus_told_all(sd_bus *bus, const sd_bus_vtable *vtable, void *object, struct bus_told *told);

/*
 * Sends one PropertiesChanged with what is not as it was told, nothing where
 * all is. 0, or a negative errno, and then it is all still to be told.
 */
int bus_told_changes(sd_bus *bus, const char *path, const char *interface, const sd_bus_vtable *vtable, void *object,
		     struct bus_told *told);

#endif
