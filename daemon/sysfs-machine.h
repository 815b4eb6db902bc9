/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_SYSFS_MACHINE_H
#define DAEMON_SYSFS_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/* What /sys tells of the machine as a whole. Questions to which there is no answer are answered with no. */

/* Whether there is a folder of groups at all: a kernel that can drive an IOMMU has one, be it empty. */
bool sysfs_has_groups_folder(void);

/* Whether /sys is mounted so that nothing in it can be written, as containers have it. */
bool sysfs_is_read_only(void);

/* Whether the firmware gave the kernel this ACPI table: DMAR (VT-d), IVRS (AMD-Vi), IORT (SMMU), VIOT (virtio-iommu). */
bool sysfs_has_firmware_table(const char *name);

/* The kernel's lockdown (kernel_lockdown(7)) is "integrity" or "confidentiality", and nothing where it is off. */
const char *sysfs_lockdown(void);

/*
 * Whether the kernel by itself gives PCI devices to their drivers when either
 * of the two comes (drivers_autoprobe, drivers/base/bus.c). Linux 6.19 and
 * later keep to it for devices that are plugged in too: kernel_honours_autoprobe().
 */
int sysfs_read_autoprobe(bool *ret);
int sysfs_write_autoprobe(bool on);

/*
 * The addresses of PCI devices whose driver waits for something that is not
 * there yet (deferred_devs_show(), drivers/base/dd.c). -ENOENT: debugfs is not
 * there, or the kernel has none.
 */
int sysfs_list_deferred(char ***ret);

/* The addresses of all PCI devices, sorted. */
int sysfs_list_devices(char ***ret);

/*
 * The inode of a device's folder, which no other device gets, be it of the same
 * kind and in the same place (kernfs_ino(), but for 32 bits). -ENOENT: no device.
 */
int sysfs_device_inode(const char *address, uint64_t *ret);

#endif
