/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/autoprobe.h"
#include "daemon/log.h"
#include "daemon/uevent.h"

/*
 * We listen to the kernel's own multicast group and not to udevd's. The
 * kernel's message comes at once; udevd's comes after its rules have run, and
 * those load the driver's module, so that a device would always be bound by
 * the time we hear of it. Nothing is needed from udev's database, and before
 * udevd runs (early boot, the initramfs) the events are there all the same.
 */
#define MONITOR_SOURCE "kernel"
/* 127 virtual functions and their drivers' devices are some thousand events in a second. */
#define MONITOR_BUFFER (16 << 20)
/* Events handled before other sources of the loop get their turn. */
#define MONITOR_BURST 64

static void handle(struct manager *m, struct udev_device *event)
{
	const char *subsystem = udev_device_get_subsystem(event);
	const char *action = udev_device_get_action(event);
	const char *address = udev_device_get_sysname(event);
	uint64_t seqnum = udev_device_get_seqnum(event);

	if (!subsystem || !action || !address)
		return;
	if (strcmp(subsystem, "drivers") == 0) {
		const char *path = udev_device_get_devpath(event);

		/* A driver of anything may be what another one waits for. */
		if (!path || strncmp(path, "/bus/pci/drivers/", 17) != 0) {
			autoprobe_device_bound(m);
			return;
		}
		if (strcmp(action, "add") == 0) {
			autoprobe_driver_came(m, path + 17);
			manager_queue_all(m, TRIGGER_DRIVERS);
		} else if (strcmp(action, "remove") == 0) {
			autoprobe_driver_went(m, path + 17);
		}
		return;
	}
	if (strcmp(subsystem, "pci") != 0 || !address_is_valid(address))
		return;
	log_debug("uevent %llu: %s %s", (unsigned long long)seqnum, action, address);
	if (strcmp(action, "add") == 0) {
		manager_device_seen(m, address, TRIGGER_PLUGGED, seqnum);
		autoprobe_device_came(m, address, !udev_device_get_property_value(event, "SYNTH_UUID"));
	} else if (strcmp(action, "bind") == 0) {
		manager_device_seen(m, address, TRIGGER_BOUND, seqnum);
		autoprobe_device_bound(m);
	} else if (strcmp(action, "unbind") == 0) {
		manager_device_seen(m, address, TRIGGER_UNBOUND, seqnum);
	} else if (strcmp(action, "remove") == 0) {
		manager_device_gone(m, address);
	}
}

void uevent_resync(struct manager *m)
{
	_cleanup_strv_ char **known = NULL;

	for (size_t i = 0; i < m->inventory.n_devices; i++)
		if (strv_add(&known, m->inventory.devices[i]->address) < 0)
			return;
	for (char **address = known; address && *address; address++) {
		struct sysfs_device device = {};
		const struct device *before = inventory_device(&m->inventory, *address);
		int r = sysfs_read_device(*address, &device);

		/* Or it was exchanged, or came back, and both events were lost. */
		if (r == -ENOENT || r == -ENODEV ||
		    (r >= 0 && before && sysfs_device_id(&device) != sysfs_device_id(&before->attributes)))
			manager_device_gone(m, *address);
		sysfs_device_clear(&device);
	}
	uevent_enumerate(m, TRIGGER_PLUGGED);
	/* Any of these may have been lost. */
	manager_queue_all(m, TRIGGER_UNBOUND | TRIGGER_BOUND | TRIGGER_DRIVERS);
	autoprobe_resync(m);
}

static int on_event(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)fd;
	(void)revents;
	for (int i = 0; i < MONITOR_BURST; i++) {
		struct udev_device *event;

		errno = 0;
		event = udev_monitor_receive_device(m->monitor);
		if (!event) {
			if (errno == ENOBUFS) {
				log_warning("The kernel's event queue ran over; looking at all devices again");
				uevent_resync(m);
			} else if (errno == EAGAIN || errno == 0) {
				break;
			}
			continue; /* a message that is none of the kernel's, or no uevent */
		}
		handle(m, event);
		udev_device_unref(event);
	}
	return 0;
}

int uevent_listen(struct manager *m)
{
	int r;

	m->udev = udev_new();
	if (!m->udev)
		return -errno;
	m->monitor = udev_monitor_new_from_netlink(m->udev, MONITOR_SOURCE);
	if (!m->monitor)
		return -errno;
	if ((r = udev_monitor_filter_add_match_subsystem_devtype(m->monitor, "pci", NULL)) < 0 ||
	    (r = udev_monitor_filter_add_match_subsystem_devtype(m->monitor, "drivers", NULL)) < 0)
		return r;
	/* Without CAP_NET_ADMIN the system's limit stays; an overrun is noticed and mended. */
	udev_monitor_set_receive_buffer_size(m->monitor, MONITOR_BUFFER);
	r = udev_monitor_enable_receiving(m->monitor);
	if (r < 0)
		return r;
	return sd_event_add_io(m->event, &m->monitor_source, udev_monitor_get_fd(m->monitor), EPOLLIN, on_event, m);
}

int uevent_enumerate(struct manager *m, unsigned triggers)
{
	struct udev_enumerate *enumerate = udev_enumerate_new(m->udev);
	struct udev_list_entry *entry;
	int r;

	if (!enumerate)
		return -ENOMEM;
	r = udev_enumerate_add_match_subsystem(enumerate, "pci");
	if (r >= 0)
		r = udev_enumerate_scan_devices(enumerate);
	if (r < 0) {
		udev_enumerate_unref(enumerate);
		return r;
	}
	udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(enumerate))
	{
		const char *path = udev_list_entry_get_name(entry);
		const char *address = strrchr(path, '/');

		if (address && address_is_valid(address + 1))
			manager_device_seen(m, address + 1, triggers, 0);
	}
	udev_enumerate_unref(enumerate);
	return 0;
}

void uevent_stop(struct manager *m)
{
	m->monitor_source = sd_event_source_disable_unref(m->monitor_source);
	udev_monitor_unref(m->monitor);
	udev_unref(m->udev);
	m->monitor = NULL;
	m->udev = NULL;
}
