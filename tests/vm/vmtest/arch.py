# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of processor that guests have, and what differs by them.

One is this machine's. For another kind Debian's packages of it are unpacked
into folders, and its programs are built with a cross compiler: no program of
it ever runs outside of the emulator.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arch:
    """A kind of processor.

    name     as Debian calls it
    triplet  as compilers and folders of libraries do
    kernel   as the kernel's own build does
    console  the serial port that the kernel's messages go to
    agent    where in the guest the agent is spoken to
    disks    how the two disks of the guest's system are called
    boot     the modules for what mounts the root, in this order
    """

    name: str
    triplet: str
    kernel: str
    console: str
    agent: str
    disks: tuple[str, str]
    boot: tuple[str, ...]
    foreign: bool = False

    def cross(self) -> str:
        """What the names of its compilers begin with."""
        return f'{self.triplet}-' if self.foreign else ''

    def ending(self) -> str:
        """For names of what is kept: of the usual kind they have none."""
        return f'-{self.name}' if self.foreign else ''


X86 = Arch('amd64', 'x86_64-linux-gnu', 'x86', 'ttyS0', '/dev/ttyS1',
           ('sda', 'sdb'), ('ahci', 'sd_mod'))

# A bus of its own for virtio, beside PCI: disks and agent have no IOMMU.
ARM = Arch('arm64', 'aarch64-linux-gnu', 'arm64', 'ttyAMA0', '/dev/hvc0',
           ('vda', 'vdb'), ('virtio_mmio', 'virtio_blk', 'virtio_console'),
           foreign=True)


def of(iommu: str) -> Arch:
    """What a machine with this IOMMU (a topology's) has."""
    return ARM if iommu == 'smmuv3' else X86
