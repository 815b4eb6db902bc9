# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian kernel, and those of its modules that scenarios have a use for.

Modules come as an erofs image that lies under the guest's root as one more
overlay layer. The ones that find that image are in the initrd besides.
"""

from __future__ import annotations

import lzma
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import apt, cache, cpio, debugkernel, otherdebian
from .arch import X86, Arch

DEFAULT = '6.12'
KNOWN = ('6.12', '6.1')    # all; 7.2 and what looks for bugs are extra

# What mounts the root when its disks are there; everything else is loaded by
# udev or by the scenario. libcrc32c asks the crypto layer for crc32c and names
# no module.
BOOT = ('crc32c_generic', 'erofs', 'overlay')

# Where this is the IOMMU, no disk has a driver before it is there.
BOOT_VIRTIO = ('virtio_pci', 'virtio_iommu')

MODULES = BOOT + ('ahci', 'sd_mod') + (
    # network cards and what is stacked on them
    'e1000', 'e1000e', 'igb', 'igbvf', 'igc', 'vmxnet3', 'failover',
    'net_failover', 'bonding', 'bridge', '8021q', 'macvlan', 'macvtap',
    'ipvlan', 'veth', 'dummy', 'team', 'vrf', 'tun', 'af_packet',
    'openvswitch', 'pppoe',
    # disks, and what holds them
    'nvme', 'sr_mod', 'sg', 'usb-storage', 'uas', 'megaraid_sas', 'mptsas',
    'mpt3sas', 'lsi', 'sym53c8xx', 'sdhci-pci', 'mmc_block', 'loop',
    'dm-mod', 'dm-crypt', 'dm-snapshot', 'dm-mirror', 'dm-thin-pool',
    'md-mod', 'raid0', 'raid1', 'raid456', 'linear', 'bcache',
    'ext4', 'xfs', 'btrfs', 'vfat', 'nls_ascii', 'nls_cp437',
    'nls_iso8859-1', 'squashfs', 'fuse', 'algif_skcipher', 'xts', 'essiv',
    # disks over the network, both ends
    'nvme-tcp', 'nvmet', 'nvmet-tcp',
    # virtio, the IOMMU of that name, and shared folders
    'virtio_pci', 'virtio_blk', 'virtio_net', 'virtio_scsi',
    'virtio_console', 'virtio-rng', 'virtio_balloon', 'virtio_input',
    'virtio_iommu', 'virtio-gpu', '9p', '9pnet_virtio', 'virtiofs',
    # handing devices to user space
    'vfio', 'vfio_iommu_type1', 'vfio-pci', 'pci-stub', 'iommufd', 'uio',
    'uio_pci_generic',
    # other functions that QEMU can plug in
    'xhci-pci', 'ehci-pci', 'uhci-hcd', 'ohci-pci', 'usbhid', 'hid-generic',
    'bochs', 'cirrus', 'qxl', 'snd-hda-intel', 'snd-hda-codec-generic',
    'snd-hda-intel', 'snd-intel8x0', '8250_pci', 'i2c-i801', 'lpc_ich',
    'iTCO_wdt', 'i6300esb', 'edu', 'ipmi_si', 'tpm_tis', 'nvdimm', 'nd_pmem',
    'nfit', 'pvpanic-pci', 'ntb', 'vmd', 'thunderbolt', 'switchtec', 'shpchp',
    'autofs4', 'efivarfs', 'configfs', 'msr', 'netconsole', 'softdog',
    'zram', 'crc32c_generic', 'crc32c-intel', 'libcrc32c',
)


@dataclass(frozen=True)
class Kernel:
    """Where a kernel's files are on this machine."""

    release: str        # as it was asked for: "6.12"
    arch: Arch
    version: str        # as uname -r says it
    package: str        # the version of its Debian package
    vmlinuz: Path
    modules: Path       # an erofs image with usr/lib/modules/VERSION
    initrd: Path        # a cpio archive, to be followed by more of them


def _name(path: Path) -> str:
    return path.name.split('.ko')[0].replace('-', '_')


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == '.xz' else data


def _needs(data: bytes) -> list[str]:
    """What a module's own information says it wants loaded before it."""
    names: list[str] = []
    for match in re.finditer(rb'\0(?:depends|softdep)=([^\0]*)\0',
                             data.replace(b'\0', b'\0\0')):
        names += re.split(r'[,\s]+', match.group(1).decode('ascii', 'replace'))
    return [name.replace('-', '_') for name in names
            if name and not name.endswith(':')]


class _Selection:
    """The chosen modules with all they depend on, decompressed."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.files = {_name(path): path for path in tree.rglob('*.ko*')}
        self.chosen: dict[str, bytes] = {}    # in an order fit for insmod

    def add(self, wanted: str, seen: tuple[str, ...] = ()) -> None:
        name = wanted.replace('-', '_')
        # What is not there is built in, or not of this kernel: a scenario
        # that needs it says so when modprobe fails in the guest.
        if name in self.chosen or name in seen or name not in self.files:
            return
        data = _read(self.files[name])
        for other in _needs(data):
            self.add(other, (*seen, name))
        self.chosen[name] = data

    def relative(self, name: str) -> Path:
        path = self.files[name].relative_to(self.tree)
        return path.with_name(path.name.split('.ko')[0] + '.ko')


def _busybox(arch: Arch, work: Path) -> bytes:
    path = Path('/bin/busybox')
    if arch.foreign:
        apt.unpack('busybox-static', work, '', otherdebian.options('', arch))
        path = work / 'bin' / 'busybox'
    return path.read_bytes()


def _initrd(boot: dict[str, _Selection], arch: Arch, busybox: bytes) -> bytes:
    """`boot`: what to load, by the name of the file that lists it."""
    archive = cpio.Cpio()
    for folder in ('proc', 'sys', 'dev', 'run', 'lower', 'modules', 'upper',
                   'root', 'extra'):
        archive.directory(folder)
    # The kernel opens its console before /dev is mounted.
    archive.device('dev/console', 0o020000, 5, 1)
    archive.file('bin/busybox', busybox, 0o755)
    archive.file('init', (cache.GUEST_FILES / 'init.sh').read_bytes(), 0o755)
    for order, selection in boot.items():
        for name, data in selection.chosen.items():
            archive.file(f'boot-modules/{name}.ko', data)
        archive.file(f'boot-modules/{order}', ''.join(
            f'{name}.ko\n' for name in selection.chosen))
    archive.file('disks', ' '.join(arch.disks) + '\n')
    return archive.finish()


def _build(release: str, arch: Arch, work: Path) -> None:
    extra = otherdebian.options(otherdebian.of(release), arch)
    if release == debugkernel.NAME:
        package = debugkernel.get()
        package_version = (package / 'package-version').read_text()
    elif otherdebian.of(release):
        package = work / 'package'
        for name in otherdebian.kernel_packages(release, arch):
            package_version = apt.unpack(name, package, '', extra)
    else:
        package = work / 'package'
        package_version = apt.unpack(apt.kernel_package(
            release, arch.name, extra), package, '', extra)
    (work / 'package-version').write_text(package_version)
    # Newer packages have all of it below /usr, the image too.
    tree, = [*package.glob('lib/modules/*'),
             *package.glob('usr/lib/modules/*')]
    version = tree.name
    images = [package / 'boot' / f'vmlinuz-{version}', tree / 'vmlinuz']
    shutil.copy(next(path for path in images if path.exists()),
                work / 'vmlinuz')

    boot = {'order': _Selection(tree), 'order.virtio': _Selection(tree)}
    for name in (*arch.boot, *BOOT):
        boot['order'].add(name)
    for name in BOOT_VIRTIO:
        boot['order.virtio'].add(name)
    (work / 'initrd').write_bytes(
        _initrd(boot, arch, _busybox(arch, work / 'package')))

    chosen = _Selection(tree)
    for name in (*arch.boot, *MODULES):
        chosen.add(name)
    layer = work / 'layer'
    target = layer / 'usr' / 'lib' / 'modules' / version
    for name, data in chosen.chosen.items():
        path = target / chosen.relative(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for info in ('modules.order', 'modules.builtin',
                 'modules.builtin.modinfo'):
        shutil.copy(tree / info, target / info)
    # depmod looks for lib/modules below its base folder.
    (layer / 'lib').symlink_to('usr/lib')
    cache.command('/sbin/depmod', '-b', layer, version)
    (layer / 'lib').unlink()
    cache.command('mkfs.erofs', '-zlz4', work / 'modules.erofs', layer)
    (work / 'version').write_text(version)
    shutil.rmtree(work / 'package', ignore_errors=True)
    shutil.rmtree(layer)


def series(release: str) -> str:
    """The series that `release` belongs to, for tests that ask."""
    return debugkernel.BASE if release == debugkernel.NAME else release


def like(release: str) -> str:
    """The kernel that does the same, wherever `release` is not named."""
    return '6.12' if release == '7.2' else series(release)


def get(release: str = DEFAULT, arch: Arch = X86) -> Kernel:
    """The kernel `release`, downloaded and prepared when it is not yet."""
    here = Path(__file__)
    inputs = [release, apt.host_codename(), here, here.with_name('cpio.py'),
              otherdebian.of(release), str(arch),
              cache.GUEST_FILES / 'init.sh']
    if release == debugkernel.NAME:
        inputs.append(str(debugkernel.get()))
    folder = cache.cached(f'kernel-{release}{arch.ending()}', inputs,
                          lambda work: _build(release, arch, work))
    return Kernel(release, arch, (folder / 'version').read_text(),
                  (folder / 'package-version').read_text(),
                  folder / 'vmlinuz', folder / 'modules.erofs',
                  folder / 'initrd')
