/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_IN_USE_SOURCES_H
#define DAEMON_IN_USE_SOURCES_H

#include "daemon/net-use.h"
#include "daemon/sysfs-below.h"
#include "daemon/sysfs-block.h"
#include "daemon/uses.h"

/*
 * Whom in_use() asks. Each adds what it finds, and what it could not find out,
 * to USES, and returns 0 or -ENOMEM.
 */

/* What process 1 has mounted, which points into *RET_TEXT; both are malloc'd. 0 or a negative errno. */
struct mount_line;
int in_use_mounts(char **ret_text, struct mount_line **ret, size_t *ret_n);

/* Folders of a host that are mounted through a virtio device. */
int in_use_share(const struct sysfs_below *below, struct uses *uses);

/* Mounts, swap, and volumes on top. */
int in_use_block(const struct sysfs_block *blocks, size_t n, struct uses *uses);

/* Who has one of the block devices exclusively: that answer has no name, and so is the last to ask for. */
int in_use_claimed(const struct sysfs_block *blocks, size_t n, struct uses *uses);

/* Interfaces of the daemon's network namespace that are up, with addresses, routes, or others on top. */
int in_use_net(const struct sysfs_interface *interfaces, size_t n, struct uses *uses);

/* Storage sessions whose way is one of the interfaces. LINKS is what the kernel tells of all interfaces. */
int in_use_session(const struct net_link *links, size_t n_links, const struct sysfs_interface *interfaces, size_t n,
		   struct uses *uses);

/* NVMe over the Fibre Channel ports of a PCI device. SCSI disks over these are below it. */
int in_use_fc(const char *address, struct uses *uses);

/* Processes that have one of the nodes open. */
int in_use_open(const struct sysfs_node *nodes, size_t n, struct uses *uses);

/* As in_use_await_last_close(), which see, for USEC at most. */
int in_use_await_closed(const struct sysfs_node *nodes, size_t n, uint64_t usec, char **ret);

/* Nodes that the kernel itself prints its messages to. */
int in_use_console(const struct sysfs_node *nodes, size_t n, struct uses *uses);

/* Another root than "/proc", for tests against a fake. The string must outlive its use. */
void in_use_set_proc(const char *root);
extern const char *in_use_proc;

#endif
