# SPDX-License-Identifier: GPL-2.0-or-later
"""The IOMMUs that QEMU emulates, and which kernels drive them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import arch
from .topology import Topology

_OLD_VIRTIO = ('6.1', 'no driver', "Debian's 6.1 has no driver for "
               'virtio-iommu (CONFIG_VIRTIO_IOMMU is not set)')
_NO_ARM = (('7.2', 'no guest', 'the harness has no Arm guest of Debian 13'),
           ('debug', 'no guest', 'the kernel that looks for bugs is built for '
            'x86 only'))


@dataclass(frozen=True)
class Iommu:
    """One IOMMU with its settings.

    lacks   kernels it cannot be tried on: which, that in a word or two, and
            the reason as a sentence
    """

    name: str
    title: str
    iommu: str
    caching_mode: bool = True
    args: str = ''
    lacks: tuple[tuple[str, str, str], ...] = ()

    def why_not(self, release: str) -> str:
        """Why it cannot be tried on `release`, or nothing."""
        return ''.join(reason for name, _, reason in self.lacks
                       if name == release)

    def in_short(self, release: str) -> str:
        """The same in a word or two, for a table."""
        return ''.join(word for name, word, _ in self.lacks
                       if name == release)


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
    Iommu('virtio', 'virtio-iommu, boot-bypass on', 'virtio',
          lacks=(_OLD_VIRTIO,)),
    Iommu('virtio-no-bypass', 'virtio-iommu, boot-bypass off', 'virtio',
          args='boot-bypass=off', lacks=(_OLD_VIRTIO,)),
    Iommu('smmuv3', 'Arm SMMUv3', 'smmuv3', lacks=_NO_ARM),
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
