/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_SYSFS_BELOW_H
#define DAEMON_SYSFS_BELOW_H

#include <stdbool.h>
#include <stddef.h>

/* A part of sysfs.c, see sysfs.h: what the drivers have made of a PCI device, and what it shows on the screen. */

/* What stands below /dev for something below the PCI device. */
struct sysfs_node {
	char name[64]; /* "card0" */
	char path[128]; /* below /dev: "dri/card0" */
	unsigned major, minor;
	bool block;
};

struct sysfs_interface {
	char name[64];
	int index;
};

struct sysfs_below {
	struct sysfs_node *nodes;
	size_t n_nodes;
	struct sysfs_interface *interfaces; /* of the daemon's own network namespace */
	size_t n_interfaces;
	size_t n_hidden; /* of other network namespaces */
	unsigned n_virtual_functions; /* that are switched on */
	char **mount_tags; /* of virtio devices that 9p is mounted through; may be NULL */
	bool virtiofs; /* one that virtiofs is mounted through, whose tag cannot be told */
};

/*
 * Reads the whole tree below the device, which the kernel may change
 * meanwhile: what goes while it is looked at is not there. -E2BIG where there
 * is more than anybody has. Free with sysfs_below_clear(), also after errors.
 */
int sysfs_read_below(const char *address, struct sysfs_below *ret);
void sysfs_below_clear(struct sysfs_below *below);

/*
 * The nodes by which programs can have devices of GROUP: the group's own, where
 * a VFIO driver has one of its devices, and those of the devices at ADDRESSES on
 * kernels that make such (vfio_create_group() in drivers/vfio/group.c,
 * vfio_init_device() in drivers/vfio/vfio_main.c). Only nodes are set in *RET,
 * which is to be freed with sysfs_below_clear(), also after errors.
 */
int sysfs_read_vfio(unsigned group, const char *const *addresses, size_t n, struct sysfs_below *ret);

/* Whether the firmware used it as the screen (boot_vga_show() in drivers/pci/pci-sysfs.c). */
bool sysfs_is_boot_display(const char *address);

/* The frame buffer that the text console is on (fbcon takes the first), malloc'd, or NULL in *RET where it is on none. */
int sysfs_console_framebuffer(char **ret);

#endif
