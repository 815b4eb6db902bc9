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
import tempfile
from pathlib import Path
from typing import Mapping

from . import apt, cache, cpio, image
from .kernel import Kernel

# What each of the two makers needs beyond what the guest has.
TOOLS = {
    'initramfs-tools': ('initramfs-tools', 'initramfs-tools-core',
                        'klibc-utils', 'libklibc', 'cpio', 'busybox',
                        'linux-base'),
    'dracut': ('dracut-core', 'cpio'),
}
DISK_MB = 900
# In both when they are made; a scenario may have another text in its place.
POLICY = {'50-root.conf': '[storage]\nmatch-class = 0108\n'
                          'domain = identity\n'}
UNIT = '/etc/systemd/system/sysinit.target.wants/iommu-policyd.service'


def _pour(source: Path, tree: Path) -> None:
    """Copies a tree into another one, in which /lib is a link."""
    reader = subprocess.Popen(['tar', '-C', source, '-c', '.'],
                              stdout=subprocess.PIPE)
    done = subprocess.run(['tar', '-C', tree, '-x',
                           '--keep-directory-symlink'], stdin=reader.stdout)
    if reader.wait() or done.returncode:
        raise RuntimeError(f'cannot copy {source} to {tree}')


def _make_initramfs(tree: Path, tool: str, version: str) -> str:
    """Returns where it is, in the tree."""
    if tool == 'dracut':
        path = '/boot/dracut.img'
        words = ['dracut', '--no-hostonly', '--gzip', '--kver', version, path]
    else:
        path = f'/boot/initrd.img-{version}'
        (tree / 'boot' / f'config-{version}').write_text('CONFIG_RD_GZIP=y\n')
        words = ['update-initramfs', '-c', '-k', version]
    mounted = []
    try:
        for name in ('proc', 'dev'):
            cache.command('mount', '--bind', f'/{name}', tree / name)
            mounted.append(tree / name)
        cache.command('chroot', tree, *words,
                      env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'})
    finally:
        for point in reversed(mounted):
            cache.command('umount', point)
    return path


def _build(work: Path, tool: str, guest: Kernel, daemon: Path,
           folder: str) -> None:
    tree = work / 'tree'
    cache.command('fsck.erofs', f'--extract={tree}', image.get())
    cache.command('fsck.erofs', f'--extract={work / "modules"}',
                  guest.modules)
    for name in TOOLS[tool]:
        apt.unpack(name, work / 'packages')
    for source in ('modules', 'packages'):
        _pour(work / source, tree)
        shutil.rmtree(work / source)
    if tool == 'dracut':
        shutil.rmtree(tree / 'usr/share/initramfs-tools',
                      ignore_errors=True)
    _pour(daemon, tree)
    for name, text in POLICY.items():
        (tree / folder / name).write_text(text)
    link = tree / UNIT.lstrip('/')
    link.symlink_to('/lib/systemd/system/iommu-policyd.service')
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


def get(tool: str, guest: Kernel, daemon: Path,
        folder: str) -> tuple[Path, Path]:
    """Disk and initramfs with POLICY in `folder`, made when missing."""
    found = cache.cached(
        f'root-{tool}',
        [Path(__file__), str(guest.vmlinuz), str(image.get()),
         _digest(daemon)],
        lambda work: _build(work, tool, guest, daemon, folder))
    return found / 'root.img', found / 'initrd'


def with_policy(disk: Path, initrd: Path, work: Path,
                policy: Mapping[str, str], folder: str) -> tuple[Path, Path]:
    """The disk is a copy, since the guest writes to it. Where `policy` is not
    POLICY, both have its files, as if they were made anew."""
    copy, blob = work / 'root.img', work / 'initrd'
    cache.command('cp', '--sparse=always', disk, copy)
    if policy == POLICY:
        return copy, initrd
    archive = cpio.Cpio()
    with tempfile.NamedTemporaryFile('w') as file:
        for name, text in policy.items():
            archive.file(f'{folder}/{name}', text)
            file.seek(0)
            file.truncate()
            file.write(text)
            file.flush()
            Path(file.name).chmod(0o644)
            for request in (f'rm /{folder}/{name}',
                            f'write {file.name} /{folder}/{name}'):
                cache.command('debugfs', '-w', '-R', request, copy)
    data = initrd.read_bytes()
    blob.write_bytes(data + bytes(-len(data) % 512) + archive.finish())
    return copy, blob
