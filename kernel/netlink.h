/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOMMU_POLICY_NETLINK_H
#define IOMMU_POLICY_NETLINK_H

/* The commands of the uapi header, and the end of what a socket has when it is closed. */
int netlink_init(void);
void netlink_exit(void);

#endif
