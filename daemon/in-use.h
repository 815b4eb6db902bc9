/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_IN_USE_H
#define DAEMON_IN_USE_H

#include <stddef.h>

struct sysfs_node;

/*
 * What would break if this PCI device lost its driver, and how do we know.
 *
 * Returns 1 with *RET (malloc'd) naming it as a person knows it ("nvme0n1p2 is
 * mounted on /, and 2 more"), 0 where nothing is known to, or a negative errno
 * with *RET saying what could not be found out, or NULL: the answer is not
 * known, which a caller must take for a yes.
 *
 * It may wait: for locks of the kernel's network code, and some tenths of a
 * second for programs that only look at a device and let it go. For worker
 * processes only.
 */
int in_use(const char *address, char **ret);

/*
 * Some drivers keep a device's memory until the last program closes its node,
 * which may be long after they have let go of it, and give it back by the
 * domain of that time: with another one, the kernel frees what is not theirs
 * (nvme until 6.2 does, in nvme_pci_free_ctrl()). So what could be opened is
 * remembered before the driver goes, and waited for before the type changes.
 *
 * in_use_remember() adds a device's nodes; 0 or a negative errno.
 * in_use_await_last_close() returns 0 when no program has one of them open,
 * udev's included, 1 with *RET saying who still has after some seconds, or a
 * negative errno as in_use() does.
 */
struct in_use_nodes {
	struct sysfs_node *nodes;
	size_t n;
};

int in_use_remember(const char *address, struct in_use_nodes *nodes);
int in_use_await_last_close(const struct in_use_nodes *nodes, char **ret);
void in_use_forget(struct in_use_nodes *nodes);

#endif
