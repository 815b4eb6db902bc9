/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_SYSFS_BLOCK_H
#define DAEMON_SYSFS_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

/* A part of sysfs.c, see sysfs.h: block devices below a PCI device, their partitions, and what is stacked on them. */

#define SYSFS_BLOCK_NONE ((size_t)-1)

struct sysfs_block {
	char name[64]; /* the kernel's name, as below /dev but with '!' for '/' */
	char label[128]; /* what people call it: device mapper's name ("vg-root"), else the kernel's */
	unsigned major, minor;
	bool stacked; /* made of what is below (dm, md, bcache, loop) rather than a disk or its partition */
	bool partition;
	size_t under; /* index of the disk it is a partition of, or of what it is stacked on */
};

/*
 * Everything whose loss the device's unbinding would mean, each once, and
 * what is stacked after what it stands on. Follows holders/ (dm, md, bcache;
 * block/holder.c), and loop devices whose file is one of the block devices.
 * With native NVMe multipath, the head takes the place of the hidden paths.
 */
int sysfs_block_below(const char *address, struct sysfs_block **ret, size_t *ret_n);

/*
 * All devices of the btrfs file system that NAME is a part of, itself included
 * (fs/btrfs/sysfs.c lists those of mounted ones); none where it is of none.
 */
int sysfs_btrfs_devices(const char *name, struct sysfs_block **ret, size_t *ret_n);

#endif
