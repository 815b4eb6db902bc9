# SPDX-License-Identifier: GPL-2.0-or-later
"""A DMAR table in place of QEMU's, for what QEMU's cannot say.

The kernel takes it from the initrd instead of the firmware's when the names in
its head are the same and its revision is higher. Formats: Intel's VT-d
specification, chapter 8.
"""

from __future__ import annotations

import struct
from typing import Sequence

Path = Sequence[tuple[int, int]]    # device and function, from the root bus

# As QEMU's own table has them.
_OEM = (b'BOCHS ', b'BXPC    ')
_WIDTH = 38
_REGISTERS = 0xfed90000
_IOAPIC_BUS = 0xff

_INTERRUPT_REMAPPING = 1
_ALL_DEVICES = 1


def _scope(kind: int, number: int, bus: int, path: Path) -> bytes:
    places = b''.join(struct.pack('BB', *place) for place in path)
    return struct.pack('<BBHBB', kind, 6 + len(places), 0, number,
                       bus) + places


def _structure(kind: int, body: bytes) -> bytes:
    return struct.pack('<HH', kind, 4 + len(body)) + body


def dmar(regions: Sequence[tuple[int, int, Path]]) -> bytes:
    """One IOMMU for all devices, and memory regions that single devices need
    mapped 1:1: (first address, last address, the device's place).
    """
    body = _structure(0, struct.pack('<BBHQ', _ALL_DEVICES, 0, 0, _REGISTERS)
                      + _scope(3, 0, _IOAPIC_BUS, [(0, 0)]))
    for first, last, path in regions:
        body += _structure(1, struct.pack('<HHQQ', 0, 0, first, last)
                           + _scope(1, 0, 0, path))
    body = struct.pack('BB', _WIDTH, _INTERRUPT_REMAPPING) + bytes(10) + body
    head = struct.pack('<4sIBB6s8sI4sI', b'DMAR', 36 + len(body), 1, 0,
                       _OEM[0], _OEM[1], 2, b'TEST', 1)
    table = bytearray(head + body)
    table[9] = -sum(table) & 0xff
    return bytes(table)
