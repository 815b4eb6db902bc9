#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Becomes the user of an IOMMU group by VFIO, and stays it until it is killed.

Prints "owns", or the errno that VFIO_GROUP_SET_CONTAINER had.
"""

import errno
import fcntl
import os
import signal
import struct
import sys

VFIO_SET_IOMMU = 0x3b66
VFIO_GROUP_SET_CONTAINER = 0x3b68
VFIO_TYPE1_IOMMU = 1

container = os.open('/dev/vfio/vfio', os.O_RDWR)
group = os.open(f'/dev/vfio/{sys.argv[1]}', os.O_RDWR)
try:
    fcntl.ioctl(group, VFIO_GROUP_SET_CONTAINER,
                struct.pack('i', container))
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
    sys.exit(1)
fcntl.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU)
print('owns', flush=True)
signal.pause()
