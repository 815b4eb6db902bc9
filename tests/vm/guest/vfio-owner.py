#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Owns a group's DMA as a virtual machine does: vfio-owner.py GROUP.

Sets the group's VFIO container and its IOMMU, prints "owner", and keeps it until it
is ended or gets a line. linux/vfio.h has the numbers.
"""

import fcntl
import os
import sys

VFIO_SET_IOMMU = 0x3b66
VFIO_GROUP_SET_CONTAINER = 0x3b68
VFIO_TYPE1v2_IOMMU = 3

container = os.open('/dev/vfio/vfio', os.O_RDWR)
group = os.open(f'/dev/vfio/{sys.argv[1]}', os.O_RDWR)
fcntl.ioctl(group, VFIO_GROUP_SET_CONTAINER,
            container.to_bytes(4, sys.byteorder))
fcntl.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)
print('owner', flush=True)
sys.stdin.read()
