# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's root for another kind of processor than this machine's.

Its packages' own scripts cannot run here. They are unpacked, and what those
scripts would have done is taken from the usual image.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import apt, cache, image
from .arch import X86, Arch


def _owned(made: Path) -> set[str]:
    """What the packages of an image have, without a slash before it."""
    names = set()
    for listed in (made / 'var/lib/dpkg/info').glob('*.list'):
        for name in listed.read_text().splitlines():
            first, _, rest = name.strip('/').partition('/')
            merged = first in ('bin', 'sbin', 'lib', 'lib64')
            names.add(f'usr/{first}/{rest}' if merged else f'{first}/{rest}')
    return names


def _dress(tree: Path, made: Path) -> None:
    """Adds to unpacked packages what only installing them brings about.

    That is alike on all kinds of processors, so it is taken from the image
    `made` of this machine's kind: /etc and /var, whatever else belongs to no
    package, and owners and modes.
    """
    for name in ('etc', 'var'):
        shutil.rmtree(tree / name)
        shutil.move(made / name, tree / name)
    (tree / 'etc/ld.so.cache').unlink()
    owned = _owned(tree)
    for path in sorted(made.rglob('*')):
        name = path.relative_to(made)
        other = tree / name
        if X86.triplet in name.parts:
            continue
        info = path.lstat()
        if not os.path.lexists(other):
            if str(name) in owned:
                continue
            if path.is_symlink() or path.is_file():
                shutil.copy2(path, other, follow_symlinks=False)
            else:
                other.mkdir()
        # What is setuid is not so any more in what came out of an image.
        mode = (info.st_mode | other.lstat().st_mode & 0o6000) & 0o7777
        os.lchown(other, info.st_uid, info.st_gid)
        if not path.is_symlink():
            os.chmod(other, mode)


def _build(suite: str, arch: Arch, work: Path) -> None:
    made, tree = work / 'made', work / 'tree'
    cache.command('fsck.erofs', f'--extract={made}', image.get(suite))
    # What an installation has without being told.
    base = ('?essential', 'apt')
    apt.extract(suite, arch.name, tree, [*base, *image.PACKAGES],
                *image.NO_DOCUMENTS)
    _dress(tree, made)
    unit = tree / 'etc/systemd/system/vm-agent.service'
    unit.write_text(unit.read_text().replace(X86.agent, arch.agent))
    cache.command('mkfs.erofs', '-zlz4', work / 'root.erofs', tree)
    shutil.rmtree(made)
    shutil.rmtree(tree)


def get(suite: str, arch: Arch) -> Path:
    """The root image, made when it is not there yet."""
    suite = suite or apt.suite()
    folder = cache.cached(
        f'guest-{suite}{arch.ending()}',
        [str(image.get(suite)), Path(__file__), str(arch)],
        lambda work: _build(suite, arch, work))
    return folder / 'root.erofs'
