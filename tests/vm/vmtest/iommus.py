# SPDX-License-Identifier: GPL-2.0-or-later
"""The IOMMUs that QEMU emulates, and which kernels drive them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import arch
from .topology import Topology

_OLD_VIRTIO = ("Debian's 6.1 has no driver for virtio-iommu "
               '(CONFIG_VIRTIO_IOMMU is not set)')


@dataclass(frozen=True)
class Iommu:
    """One IOMMU with its settings.

    late    a device has no group until a driver probes it first
    lacks   kernels that cannot drive it, with the reason in words
    """

    name: str
    title: str
    iommu: str
    caching_mode: bool = True
    args: str = ''
    late: bool = False
    lacks: tuple[tuple[str, str], ...] = ()

    def why_not(self, release: str) -> str:
        """Why `release` cannot have it, or nothing."""
        return dict(self.lacks).get(release, '')


_ARM = 'the harness has no other Arm guest than of kernel 6.1 and 6.12'

# What scenarios run on unless somebody says otherwise.
DEFAULT = 'intel'

# Those of --brief, of a scenario that is for all of them: all others are for
# the DEFAULT.
BRIEF = ('amd', 'virtio')

ALL = {one.name: one for one in (
    Iommu(DEFAULT, 'Intel VT-d, caching mode', 'intel'),
    Iommu('intel-lazy', 'Intel VT-d, no caching mode', 'intel',
          caching_mode=False),
    Iommu('amd', 'AMD-Vi', 'amd'),
    Iommu('virtio', 'virtio-iommu, boot-bypass on', 'virtio', late=True,
          lacks=(('6.1', _OLD_VIRTIO),)),
    Iommu('virtio-no-bypass', 'virtio-iommu, boot-bypass off', 'virtio',
          args='boot-bypass=off', late=True, lacks=(('6.1', _OLD_VIRTIO),)),
    Iommu('smmuv3', 'Arm SMMUv3, ACPI', 'smmuv3', late=True,
          lacks=(('7.2', _ARM), ('debug', _ARM))),
    Iommu('smmuv3-dt', 'Arm SMMUv3, device tree', 'smmuv3-dt', late=True,
          lacks=(('7.2', _ARM), ('debug', _ARM))),
)}

# Those of this machine's own kind of processor: what needs no other packages.
NATIVE = [name for name, one in ALL.items() if not arch.of(one.iommu).foreign]


def chosen(text: str) -> list[str]:
    """The names in an option's value: with commas between them, or all."""
    names = list(ALL) if text == 'all' else text.split(',')
    unknown = [name for name in names if name not in ALL]
    if unknown:
        raise ValueError(f'no IOMMU is named {", ".join(unknown)}: there are '
                         f'{", ".join(ALL)}, or all of them')
    return names


def on(topology: Topology, name: str) -> Topology:
    """The topology with this IOMMU, unless it is about another one."""
    if topology.iommu != ALL[DEFAULT].iommu or name in ('', DEFAULT):
        return topology
    one = ALL[name]
    return replace(topology, iommu=one.iommu, caching_mode=one.caching_mode,
                   iommu_args=','.join(filter(None, (topology.iommu_args,
                                                     one.args))))
