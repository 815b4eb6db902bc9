/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_AUTOPROBE_H
#define DAEMON_AUTOPROBE_H

#include "daemon/manager.h"

/*
 * Gate=autoprobe: the gate without the kernel module. While
 * /sys/bus/pci/drivers_autoprobe is 0, the kernel gives no PCI device to a
 * driver by itself, neither when a device comes nor when a driver does, so the
 * daemon does both on its behalf: a device after its policy, the devices of a
 * driver that was loaded at once. What is already bound is not touched.
 */

/* As settings, mode and the module's absence ask for. To be called when one of these has changed. */
void autoprobe_update(struct manager *m);
/*
 * At the start, before and after it is looked what there is. What a daemon that was killed has left is taken over,
 * whatever the settings, and then put back as it always is where it is not wanted.
 */
void autoprobe_start(struct manager *m);
void autoprobe_started(struct manager *m);
/* At the very end. What is still off is put back. */
void autoprobe_stop(struct manager *m);

/* Where the record is, instead of /run/iommu-policyd, for tests. The string must outlive its use. */
void autoprobe_set_dir(const char *dir);

bool autoprobe_is_on(const struct manager *m);

/* What uevents tell. Nothing of this does anything while it is not on. NEWS: the kernel's own event, nobody's "udevadm trigger". */
void autoprobe_device_came(struct manager *m, const char *address, bool news);
void autoprobe_device_went(struct manager *m, const char *address);
void autoprobe_driver_came(struct manager *m, const char *driver);
void autoprobe_driver_went(struct manager *m, const char *driver);
/* Any device has got a driver: what another one lacked may be there now. */
void autoprobe_device_bound(struct manager *m);
/* Events may have been lost: what has not been dealt with? */
void autoprobe_resync(struct manager *m);

/* Its drivers may have it. Returns at once. */
void autoprobe_let_through(struct manager *m, const char *address);

#endif
