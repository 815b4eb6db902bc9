/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_SYSFS_SESSION_H
#define DAEMON_SYSFS_SESSION_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/session-text.h"

/* A part of sysfs.c, see sysfs.h: disks that come over a network, whose own devices say nothing of the way. */

enum session_kind {
	SESSION_NVME, /* NVMe over TCP or RDMA */
	SESSION_NVME_FC,
	SESSION_ISCSI, /* also iSER */
};

struct sysfs_session {
	enum session_kind kind;
	char name[64]; /* "nvme1"; iSCSI: the session's number */
	char transport[8]; /* "TCP", "RDMA", "FC" */
	char target[256]; /* iSCSI: the target's name, or "" */
	bool has_remote; /* no: the kernel does not say where the other end is */
	struct session_address remote;
	char interface[IFNAMSIZ]; /* what the session was bound to: a name or number, or "" */
	uint64_t port; /* FC: the port of this machine; 0: not known */
};

/* All there are, malloc'd. What goes meanwhile is not there. */
int sysfs_sessions(struct sysfs_session **ret, size_t *ret_n);

/* A Fibre Channel host adapter's port below a PCI device. */
struct sysfs_fc_host {
	char name[32]; /* "host3" */
	uint64_t port;
};

int sysfs_fc_hosts_below(const char *address, struct sysfs_fc_host **ret, size_t *ret_n);

#endif
