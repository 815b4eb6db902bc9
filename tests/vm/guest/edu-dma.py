#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Has QEMU's edu device write to memory by DMA, without any driver.

Prints whether the memory, named to the device by its physical address, is
"changed" or "unchanged" afterwards. With a second argument, an address as the
device is to name it, the device reads from there, and "done" is printed.
docs/specs/edu.txt has the registers.
"""

import ctypes
import mmap
import os
import struct
import sys
import time

SOURCE, TARGET, COUNT, COMMAND = 0x80, 0x88, 0x90, 0x98
OWN_BUFFER = 0x40000
START, TO_MEMORY = 1, 2
PAGE, SIZE = 4096, 256

folder = f'/sys/bus/pci/devices/{sys.argv[1]}'

# Memory and bus master, as a driver would set them.
with open(f'{folder}/config', 'r+b', buffering=0) as config:
    config.seek(4)
    command, = struct.unpack('<H', config.read(2))
    config.seek(4)
    config.write(struct.pack('<H', command | 6))

bar = os.open(f'{folder}/resource0', os.O_RDWR | os.O_SYNC)
registers = mmap.mmap(bar, 1 << 20)


def register(offset):
    return ctypes.c_uint64.from_buffer(registers, offset)


def transfer(source, target, command):
    register(SOURCE).value = source
    register(TARGET).value = target
    register(COUNT).value = SIZE
    register(COMMAND).value = START | command
    deadline = time.monotonic() + 60
    while register(COMMAND).value & START:
        if time.monotonic() > deadline:
            sys.exit('the device does not finish')
        time.sleep(0.01)


if len(sys.argv) > 2:
    transfer(int(sys.argv[2], 0), OWN_BUFFER, 0)
    print('done')
    sys.exit()
memory = mmap.mmap(-1, PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory[:] = b'\xaa' * PAGE
place = ctypes.addressof(ctypes.c_char.from_buffer(memory))
if ctypes.CDLL(None).mlock(ctypes.c_void_p(place), PAGE):
    sys.exit('mlock failed')
with open('/proc/self/pagemap', 'rb', buffering=0) as pagemap:
    pagemap.seek(place // PAGE * 8)
    entry, = struct.unpack('<Q', pagemap.read(8))
if not entry >> 63:
    sys.exit('the page is not there')

transfer(OWN_BUFFER, (entry & ((1 << 55) - 1)) * PAGE, TO_MEMORY)
print('unchanged' if memory[:] == b'\xaa' * PAGE else 'changed')
