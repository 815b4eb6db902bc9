#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Has a group by VFIO as a virtual machine has: vfio-owner.py GROUP [DEVICE].

Sets the group's container and IOMMU and, with DEVICE (an address), has that
device and a page of its own mapped for its DMA. Prints "owner". Then it goes
on until it is ended, or told by a line: "group" closes the group's node,
"close" lets go of everything and answers "closed". With "-" for DEVICE it
only opens the node. linux/vfio.h has the numbers.
"""

import ctypes
import fcntl
import mmap
import os
import struct
import sys

VFIO_SET_IOMMU = 0x3b66
VFIO_GROUP_SET_CONTAINER = 0x3b68
VFIO_GROUP_GET_DEVICE_FD = 0x3b6a
VFIO_IOMMU_MAP_DMA = 0x3b71
VFIO_TYPE1v2_IOMMU = 3
VFIO_DMA_MAP_FLAGS = 3      # read, write
PAGE = 4096

number, device = sys.argv[1], (sys.argv[2:] or [''])[0]
container = os.open('/dev/vfio/vfio', os.O_RDWR)
group = os.open(f'/dev/vfio/{number}', os.O_RDWR)
files = [container, group]
if device != '-':
    fcntl.ioctl(group, VFIO_GROUP_SET_CONTAINER,
                container.to_bytes(4, sys.byteorder))
    fcntl.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)
if device not in ('', '-'):
    page = mmap.mmap(-1, PAGE)
    place = ctypes.addressof(ctypes.c_char.from_buffer(page))
    fcntl.ioctl(container, VFIO_IOMMU_MAP_DMA, struct.pack(
        'IIQQQ', 32, VFIO_DMA_MAP_FLAGS, place, 0x100000, PAGE))
    files.append(fcntl.ioctl(group, VFIO_GROUP_GET_DEVICE_FD,
                             bytearray(device.encode() + b'\0'), True))
print('owner', flush=True)
for line in iter(sys.stdin.readline, ''):
    if line == 'group\n':
        files.remove(group)
        os.close(group)
        print('group', flush=True)
    elif line == 'close\n':
        for file in files:
            os.close(file)
        print('closed', flush=True)
        files = []
