/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_SYSFS_H
#define DAEMON_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/domain.h"

/*
 * The only file that opens /sys, with its sisters sysfs-*.c. Everything read there is bounded and checked;
 * functions return 0 or a negative errno unless they say otherwise, and log
 * nothing. Kernel side: Documentation/ABI/testing/sysfs-bus-pci,
 * sysfs-kernel-iommu_groups; drivers/pci/pci-sysfs.c, drivers/base/bus.c,
 * drivers/iommu/iommu.c.
 */

/* Another root than "/sys", for tests against a fake. The string must outlive its use. */
void sysfs_set_root(const char *root);

/* One PCI device's attributes. Free with sysfs_device_clear(). */
struct sysfs_device {
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code;
	uint64_t inode; /* of its directory, which the kernel gives to no other one until the next boot */
	bool bridge;
	bool removable;
	bool untrusted;
	bool virtual_function;
	bool multifunction;
	char *iommu; /* NULL where there is none */
	char **parents; /* nearest first; may be NULL */
};

int sysfs_read_device(const char *address, struct sysfs_device *ret);
void sysfs_device_clear(struct sysfs_device *device);

/*
 * Which device it is, until the next boot: another one in its place has another
 * ID, and so has the same card once it has been unplugged (kernfs numbers its
 * nodes with a generation: kernfs_ino() in include/linux/kernfs.h).
 */
static inline uint64_t sysfs_device_id(const struct sysfs_device *device)
{
	uint64_t model = (uint64_t)device->vendor << 48 | (uint64_t)device->device << 32 |
			 (uint64_t)device->subvendor << 16 | device->subdevice;

	return model ^ device->inode * 0x9e3779b97f4a7c15;
}

/* Its open directory. Whoever has the address afterwards, it stays this device's, and empty once that is gone. */
int sysfs_open_device(const char *address);
/* Whether the device, or group, that a directory was opened for is still there. */
bool sysfs_is_there(int dir_fd);

/* -ENOENT: no such device; -ENODATA: it has no group (yet). */
int sysfs_device_group(const char *address, unsigned *ret);

/* Name of the bound driver, malloc'd, or NULL in *RET where none is bound. -ENODEV: no such device. */
int sysfs_device_driver(const char *address, char **ret);

/*
 * The driver_override, malloc'd, or NULL in *RET where none is set. Reading it
 * waits for the device's lock too (driver_override_show()), which a driver's
 * remove() may hold for ever: for worker processes only. DIR_FD is the device's
 * open directory, and so that of nobody who has its address afterwards; 0 goes by
 * the address. -ENODEV: it has gone.
 */
int sysfs_read_override(int dir_fd, const char *address, char **ret);

/* NULL or "" clears it. Waits for a probe or removal in progress (the device's lock). */
int sysfs_write_override(int dir_fd, const char *address, const char *override);

/* driver/unbind: waits for the driver's remove(), without a limit. -ENODEV: it is not bound to DRIVER. */
int sysfs_unbind(const char *address, const char *driver);
/* drivers/DRIVER/bind. -ENOENT: no such driver is loaded. Otherwise what the probe returned. */
int sysfs_bind(const char *address, const char *driver);
/* Whether a PCI driver of this name is registered. */
bool sysfs_driver_exists(const char *driver);
/* Whether it is part of the kernel image rather than of a module. */
bool sysfs_driver_is_builtin(const char *driver);
/* drivers_probe: any driver that matches. -EINVAL where none took it. */
int sysfs_probe(const char *address);

/* The number of the newest uevent: whatever has been done before has no higher one. 0 where it cannot be read. */
uint64_t sysfs_uevent_seqnum(void);

/* Names of the registered PCI drivers, sorted. */
int sysfs_list_drivers(char ***ret);

/* Group numbers in ascending order, malloc'd. *RET_N 0 where there is no IOMMU. */
int sysfs_list_groups(unsigned **ret, size_t *ret_n);
/* Whether /sys/class/iommu has any entry. */
bool sysfs_has_iommu(void);

/*
 * A group's open directory: stays tied to that very group when its number is
 * used again, reads and writes then fail with -ENODEV or -ENOENT.
 */
int sysfs_open_group(unsigned group);
/* PCI addresses (sorted) into *RET_PCI, names of other devices into *RET_OTHER; either may be NULL. */
int sysfs_group_devices(int group_fd, char ***ret_pci, char ***ret_other);
/* DOMAIN_NONE in *RET for a word that is not known. -ENOENT: a kernel without the type file. */
int sysfs_group_type(int group_fd, enum domain *ret);
/* Errors are the kernel's own, see docs/architecture.md. */
int sysfs_write_group_type(int group_fd, enum domain domain);
bool sysfs_group_type_writable(int group_fd);

struct sysfs_region {
	uint64_t start, end;
	char kind[24];
};

int sysfs_group_regions(int group_fd, struct sysfs_region **ret, size_t *ret_n);

#endif
