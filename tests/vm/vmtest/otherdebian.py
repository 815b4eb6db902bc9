# SPDX-License-Identifier: GPL-2.0-or-later
"""A newer Debian than this machine's: its packages, and a folder to build in.

Nothing of it is installed here. apt gets a root of its own, with the sources
that this machine has, for the other release; compilers run in a chroot.
"""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache
from pathlib import Path

from . import apt, cache

# Which release has a kernel, where it is not this machine's.
_SUITES = {'7.2': 'trixie'}

# What a module of it is built with; the rest is what scripts/deps says.
_MORE = ('gcc-14', 'libelf1', 'git', 'ca-certificates')
_DEBIAN = {'trixie': '13'}


def of(release: str) -> str:
    """The suite for a kernel's guest, or nothing: this machine's."""
    return _SUITES.get(release, '')


@lru_cache(maxsize=None)
def options(suite: str) -> tuple[str, ...]:
    """What makes apt see the other release, and its backports, and nothing
    of this machine."""
    root = cache.root() / f'apt-{suite}'
    with cache.lock(root.name):
        for name in ('etc/apt', 'var/lib/apt/lists/partial',
                     'var/cache/apt/archives/partial', 'var/lib/dpkg'):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / 'var/lib/dpkg/status').touch()
        (root / 'etc/apt/sources.list').write_text(
            apt.sources(suite, ('', '-backports')))
    return ('-o', f'Dir={root}', '-o', f'Dir::State::status={root}'
            '/var/lib/dpkg/status', '-o', 'Dir::Etc::parts=/nonexistent',
            '-o', 'Dir::Etc::Trusted=/nonexistent',
            '-o', 'Dir::Etc::TrustedParts=/etc/apt/trusted.gpg.d',
            *(word for option in apt.options() for word in (
                '-o', option.replace(' "', '=', 1).rstrip('"'))))


def _newest(suite: str, pattern: str) -> str | None:
    """The package whose version, as its name has it, is the highest."""
    text = cache.command('apt-cache', *options(suite), 'search',
                         '--names-only', pattern)
    names = [line.split()[0] for line in text.splitlines()]
    return max(names, default=None, key=lambda name: [
        int(number) for number in re.findall(r'\d+', name)])


def kernel_packages(release: str) -> list[str]:
    """The packages that have an image and its modules: they are split."""
    suite = of(release)
    pattern = (rf'^linux-image-{re.escape(release)}\.[0-9.]*'
               r'\+deb[0-9]+-amd64$')
    image = _newest(suite, pattern)
    if not image:
        apt.update(options(suite))
        image = _newest(suite, pattern)
    if not image:
        raise RuntimeError(f'no package of kernel {release} in {suite} and '
                           f'{suite}-backports')
    return [image.replace('image', part)
            for part in ('base', 'binary', 'modules')]


def _make_chroot(suite: str, work: Path) -> None:
    packages = cache.command(
        'env', f'DEBIAN={_DEBIAN[suite]}', 'sh',
        cache.TOP / 'scripts' / 'deps', '--print', 'build').split()
    sources = work / 'sources.list'
    sources.write_text(apt.sources(suite))
    cache.command(
        'mmdebstrap', '--mode=root', '--variant=minbase',
        f'--include={",".join([*packages, *_MORE])}',
        '--skip=cleanup/reproducible',
        *(f'--aptopt={option}' for option in apt.options()),
        suite, work / 'root', sources)
    sources.unlink()


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
