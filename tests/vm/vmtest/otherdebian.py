# SPDX-License-Identifier: GPL-2.0-or-later
"""Another Debian than this machine's: its packages, and a folder to build in.

Nothing of it is installed here. apt gets a root of its own, with the sources
that this machine has, for the other release or kind of processor. Compilers of
a newer release run in a chroot; for another processor this machine's cross
compilers have a folder with the libraries.
"""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache
from pathlib import Path

from . import apt, cache
from .arch import X86, Arch

# Which release has a kernel, where it is not this machine's.
_SUITES = {'7.2': 'trixie'}

# What a module of it is built with; the rest is what scripts/deps says.
_MORE = ('gcc-14', 'libelf1', 'git', 'ca-certificates')
_DEBIAN = {'trixie': '13'}


def of(release: str) -> str:
    """The suite for a kernel's guest, or nothing: this machine's."""
    return _SUITES.get(release, '')


@lru_cache(maxsize=None)
def options(suite: str, arch: Arch = X86) -> tuple[str, ...]:
    """What makes apt see the other release, and its backports, and nothing
    of this machine. Nothing for what is this machine's."""
    if not suite and not arch.foreign:
        return ()
    root = cache.root() / f'apt-{suite or apt.suite()}{arch.ending()}'
    more = ('', '-backports') if suite else ()
    with cache.lock(root.name):
        for name in ('etc/apt/preferences.d', 'var/lib/apt/lists/partial',
                     'var/cache/apt/archives/partial', 'var/lib/dpkg'):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / 'var/lib/dpkg/status').touch()
        (root / 'etc/apt/sources.list').write_text(
            apt.sources(suite, more))
    return ('-o', f'APT::Architecture={arch.name}',
            '-o', f'APT::Architectures={arch.name}',
            '-o', f'Dir={root}', '-o', f'Dir::State::status={root}'
            '/var/lib/dpkg/status', '-o', 'Dir::Etc::parts=/nonexistent',
            '-o', 'Dir::Etc::Trusted=/nonexistent',
            '-o', 'Dir::Etc::TrustedParts=/etc/apt/trusted.gpg.d',
            *(word for option in apt.options() for word in (
                '-o', option.replace(' "', '=', 1).rstrip('"'))))


def _newest(extra: tuple[str, ...], pattern: str) -> str | None:
    """The package whose version, as its name has it, is the highest."""
    text = cache.command('apt-cache', *extra, 'search',
                         '--names-only', pattern)
    names = [line.split()[0] for line in text.splitlines()]
    return max(names, default=None, key=lambda name: [
        int(number) for number in re.findall(r'\d+', name)])


def kernel_packages(release: str, arch: Arch) -> list[str]:
    """The packages that have an image and its modules: they are split."""
    suite = of(release)
    extra = options(suite, arch)
    pattern = (rf'^linux-image-{re.escape(release)}\.[0-9.]*'
               rf'\+deb[0-9]+-{arch.name}$')
    image = _newest(extra, pattern)
    if not image:
        apt.update(extra)
        image = _newest(extra, pattern)
    if not image:
        raise RuntimeError(f'no package of kernel {release} in {suite} and '
                           f'{suite}-backports')
    return [image.replace('image', part)
            for part in ('base', 'binary', 'modules')]


def _packages(suite: str) -> list[str]:
    """What building needs there."""
    return cache.command(
        'env', f'DEBIAN={_DEBIAN.get(suite, "")}', 'sh',
        cache.TOP / 'scripts' / 'deps', '--print', 'build').split()


def _make_chroot(suite: str, work: Path) -> None:
    apt.bootstrap(suite, work / 'root', [*_packages(suite), *_MORE])


_PKG_CONFIG = """#!/bin/sh
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
export PKG_CONFIG_SYSROOT_DIR="$here/root"
usr=$here/root/usr
export PKG_CONFIG_LIBDIR="$usr/lib/{triplet}/pkgconfig:$usr/share/pkgconfig"
exec pkg-config "$@"
"""


def _make_sysroot(suite: str, arch: Arch, work: Path) -> None:
    apt.extract(suite, arch.name, work / 'root', [
        name for name in [*_packages(suite), 'systemd']
        if name in ('check', 'systemd') or name.endswith('-dev')])
    script = work / 'pkg-config'
    script.write_text(_PKG_CONFIG.format(triplet=arch.triplet))
    script.chmod(0o755)


def sysroot(suite: str, arch: Arch) -> Path:
    """The libraries to build for another kind of processor with, in root/,
    and a pkg-config that finds them."""
    suite = suite or apt.suite()
    return cache.cached(
        f'sysroot-{suite}{arch.ending()}',
        [suite, Path(__file__), cache.TOP / 'scripts' / 'deps'],
        lambda work: _make_sysroot(suite, arch, work))


def chroot(suite: str) -> Path:
    """A system of the other release with what building needs."""
    folder = cache.cached(
        f'chroot-{suite}', [Path(__file__), cache.TOP / 'scripts' / 'deps'],
        lambda work: _make_chroot(suite, work))
    return folder / 'root'


def run(suite: str, *words: str | Path, cwd: Path,
        folders: tuple[Path, ...]) -> str:
    """Runs a command in the chroot, with these folders where they are here.

    The mounts are in a namespace of their own, and end with the command.
    """
    root = chroot(suite)
    lines = ['set -e', f'mount -t proc proc {root}/proc']
    for folder in folders:
        os.makedirs(f'{root}{folder}', exist_ok=True)
        lines.append(f'mount --bind {folder} {root}{folder}')
    lines.append(f'exec chroot {root} env -C {cwd} HOME=/root LC_ALL=C.UTF-8 '
                 'PATH=/usr/sbin:/usr/bin "$@"')
    return cache.command('unshare', '-m', 'sh', '-c', '\n'.join(lines), 'run',
                         *words)


def main() -> None:
    """SUITE FOLDER COMMAND...: a command in FOLDER, which is there as here."""
    suite, folder, *words = sys.argv[1:]
    top = Path(folder).resolve()
    try:
        print(run(suite, *words, cwd=top, folders=(top,)), end='')
    except RuntimeError as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
