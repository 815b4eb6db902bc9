/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_SYSFS_VIRTUAL_H
#define DAEMON_SYSFS_VIRTUAL_H

#include <stdbool.h>

/*
 * Whether the device is an SR-IOV virtual function, from its first event on.
 * Its link "physfn" comes after that (pci_iov_add_virtfn() in the kernel's
 * drivers/pci/iov.c calls pci_device_add() first); until then its address tells
 * it, which is one of those that its physical function says that it has
 * (sriov_offset and sriov_stride; PCI Express Base, "SR-IOV Extended
 * Capability"). Returns 0, -ENOENT if the device is gone, or another -errno.
 */
int sysfs_is_virtual_function(const char *address, bool *ret);

#endif
