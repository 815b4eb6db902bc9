# SPDX-License-Identifier: GPL-2.0-or-later
"""A root file system on a disk, and an initramfs as the distribution makes it.

The other scenarios boot by the harness's own initrd, from disks that are no
device of theirs. Here the guest is Debian on one ext4 file system, and
update-initramfs or dracut, run in it by chroot, makes what the kernel boots.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Mapping

from . import apt, cache, cpio, image, otherdebian
from .kernel import Kernel

# What each of the two makers needs beyond what the guest has, and what more
# in Debian 13.
TOOLS = {
    'initramfs-tools': ('initramfs-tools', 'initramfs-tools-core',
                        'klibc-utils', 'libklibc', 'cpio', 'busybox',
                        'linux-base'),
    'dracut': ('dracut-core', 'cpio'),
}
_MORE = {
    'trixie': {'initramfs-tools': ('initramfs-tools-bin', 'dracut-install'),
               'dracut': ('dracut-install',)},
}
DISK_MB = 900
# How many of each maker are kept, of 400 MB each: twice what a run needs.
_KEEP = 16
UNIT = '/etc/systemd/system/sysinit.target.wants/iommu-policyd.service'

Files = Mapping[str, 'str | bytes']


def _pour(source: Path, tree: Path) -> None:
    """Copies a tree into another one, in which /lib is a link."""
    reader = subprocess.Popen(['tar', '-C', source, '-c', '.'],
                              stdout=subprocess.PIPE)
    done = subprocess.run(['tar', '-C', tree, '-x',
                           '--keep-directory-symlink'], stdin=reader.stdout)
    reader.stdout.close()
    if reader.wait() or done.returncode:
        raise RuntimeError(f'cannot copy {source} to {tree}')


def _packages(tool: str, suite: str) -> Path:
    """What a maker is and needs, unpacked."""
    name = suite or apt.suite()
    names = TOOLS[tool] + _MORE.get(name, {}).get(tool, ())

    def build(work: Path) -> None:
        for package in names:
            apt.unpack(package, work, '', otherdebian.options(suite))
    return cache.cached(f'{tool}-{name}', list(names), build)


def _make_initramfs(tree: Path, tool: str, version: str) -> str:
    """Returns where it is, in the tree."""
    if tool == 'dracut':
        path = '/boot/dracut.img'
        words = ['dracut', '--no-hostonly', '--gzip', '--kver', version, path]
    else:
        path = f'/boot/initrd.img-{version}'
        (tree / 'boot' / f'config-{version}').write_text('CONFIG_RD_GZIP=y\n')
        words = ['update-initramfs', '-c', '-k', version]
    # In a namespace of their own: whatever ends this ends the mounts, and what
    # clears the tree away later finds nothing of this machine in it.
    lines = ['set -e', *(f'mount --bind /{name} {tree}/{name}'
                         for name in ('proc', 'dev')),
             f'exec chroot {tree} "$@"']
    cache.command('unshare', '-m', 'sh', '-c', '\n'.join(lines), 'run', *words,
                  env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'})
    return path


def _build(work: Path, tool: str, guest: Kernel, daemon: Path | None,
           files: Files) -> None:
    for old in sorted(work.parent.iterdir(),
                      key=lambda path: -path.stat().st_mtime)[_KEEP:]:
        shutil.rmtree(old)
    suite = otherdebian.of(guest.release)
    tree = work / 'tree'
    cache.command('fsck.erofs', f'--extract={tree}', image.get(suite))
    cache.command('fsck.erofs', f'--extract={work / "modules"}',
                  guest.modules)
    _pour(work / 'modules', tree)
    shutil.rmtree(work / 'modules')
    _pour(_packages(tool, suite), tree)
    if tool == 'dracut':
        shutil.rmtree(tree / 'usr/share/initramfs-tools',
                      ignore_errors=True)
    if daemon:
        _pour(daemon, tree)
        link = tree / UNIT.lstrip('/')
        link.symlink_to('/lib/systemd/system/iommu-policyd.service')
    for name, text in files.items():
        path = tree / name.lstrip('/')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    path = _make_initramfs(tree, tool, guest.version)
    (tree / path.lstrip('/')).rename(work / 'initrd')
    cache.command('mkfs.ext4', '-q', '-F', '-d', tree, work / 'root.img',
                  f'{DISK_MB}m')
    shutil.rmtree(tree)


def _digest(folder: Path) -> str:
    """Of all files in a tree."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob('*')):
        digest.update(str(path.relative_to(folder)).encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def get(tool: str, guest: Kernel, daemon: Path | None,
        files: Files) -> tuple[Path, Path]:
    """Disk and initramfs, made when missing. `files` are in the system, by
    absolute path, before the initramfs is made of it."""
    found = cache.cached(
        f'root-{tool}',
        [Path(__file__), str(guest.vmlinuz),
         str(image.get(otherdebian.of(guest.release))),
         _digest(daemon) if daemon else '', repr(sorted(files.items()))],
        lambda work: _build(work, tool, guest, daemon, files))
    return found / 'root.img', found / 'initrd'


def for_machine(made: tuple[Path, Path], work: Path,
                programs: Mapping[str, str]) -> tuple[Path, Path]:
    """The disk is a copy, since the guest writes to it. `programs` are other
    ones for the initramfs alone."""
    disk, initrd = work / 'root.img', work / 'initrd'
    cache.command('cp', '--sparse=always', made[0], disk)
    archive = cpio.Cpio()
    for name, text in programs.items():
        archive.file(name, text, 0o755)
    # Where archives are joined, zeroes are skipped.
    data = made[1].read_bytes()
    initrd.write_bytes(data + bytes(-len(data) % 512) + archive.finish())
    return disk, initrd
