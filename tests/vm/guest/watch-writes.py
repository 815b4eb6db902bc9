#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells of every write to a sysfs file by which types or drivers change.

Prints the file's path for each write, and "watching" when it has begun.
"""

import ctypes
import glob
import os
import struct

IN_MODIFY = 2
FILES = ('/sys/kernel/iommu_groups/*/type',
         '/sys/bus/pci/devices/*/driver_override',
         '/sys/bus/pci/devices/*/remove', '/sys/bus/pci/devices/*/reset',
         '/sys/bus/pci/drivers_probe', '/sys/bus/pci/drivers/*/bind',
         '/sys/bus/pci/drivers/*/unbind', '/sys/bus/pci/drivers/*/new_id')

libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init()
names = {}
for pattern in FILES:
    for name in glob.glob(pattern):
        watch = libc.inotify_add_watch(fd, os.fsencode(name), IN_MODIFY)
        if watch < 0:
            raise OSError(ctypes.get_errno(), 'inotify_add_watch', name)
        names[watch] = name
print('watching', flush=True)
while True:
    data = os.read(fd, 65536)
    while data:
        watch, _, _, length = struct.unpack_from('iIII', data)
        data = data[16 + length:]
        print(names[watch], flush=True)
