# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's packages, from whichever mirror this machine's apt is set up for."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Iterable

from .cache import command

# The metapackages that Debian's releases name their kernels by, without the
# kind of processor.
_KERNELS = ('linux-image', 'linux-image-6.12', 'linux-image-6.1')


def host_codename() -> str:
    for line in Path('/etc/os-release').read_text().splitlines():
        if line.startswith('VERSION_CODENAME='):
            return line.split('=', 1)[1].strip('"')
    raise RuntimeError('/etc/os-release has no VERSION_CODENAME')


def suite() -> str:
    """The guest's release: the host's, unless IOMMU_VM_SUITE says another."""
    return os.environ.get('IOMMU_VM_SUITE') or host_codename()


@lru_cache(maxsize=None)
def update(extra: tuple[str, ...] = ()) -> None:
    command('apt-get', '-q', *extra, '-o', 'Acquire::Retries=3', '-o',
            'APT::Sandbox::User=root', 'update')


def _targets() -> list[tuple[str, str, str]]:
    text = command('apt-get', 'indextargets', '--format',
                   '$(CREATED_BY)|$(ORIGIN)|$(REPO_URI)|$(RELEASE)|'
                   '$(COMPONENT)')
    found = []
    for line in text.splitlines():
        made_by, origin, uri, release, component = line.split('|')
        if made_by == 'Packages' and origin == 'Debian' \
                and component == 'main':
            found.append((uri, release, component))
    return found


def sources(wanted: str = '', more: tuple[str, ...] = ()) -> str:
    """A sources.list for a suite, from Debian's entries in apt's own.

    `more` are endings besides, as -backports, of which this machine may have
    none: they are where the release itself is.
    """
    wanted = wanted or suite()
    if not _targets():
        update()
    codename = host_codename()
    lines = set()
    for uri, release, component in _targets():
        if release in (codename, f'{codename}-updates',
                       f'{codename}-security'):
            lines.add(f'deb {uri} {release.replace(codename, wanted, 1)} '
                      f'{component}\n')
        if release == codename:
            lines.update(f'deb {uri} {wanted}{ending} {component}\n'
                         for ending in more)
    if not lines:
        raise RuntimeError("apt's sources name no Debian release "
                           f'"{codename}": run apt-get update, or add one')
    return ''.join(sorted(lines))


def options() -> list[str]:
    """The settings of apt that decide how a mirror is reached."""
    found = []
    for line in command('apt-config', 'dump').splitlines():
        if re.match(r'Acquire::(https?::|Check-)', line) \
                and not line.endswith(' "";'):
            found.append(line.rstrip(';'))
    return found


def _dependency(meta: str, release: str,
                extra: tuple[str, ...]) -> str | None:
    try:
        text = command('apt-cache', *extra, 'depends', meta)
    except RuntimeError:
        return None
    match = re.search(r'Depends: (linux-image-' + re.escape(release) +
                      r'\.\S+)', text)
    return match.group(1) if match else None


def kernel_package(release: str, arch: str = 'amd64',
                   extra: tuple[str, ...] = ()) -> str:
    """The name of the real image package of kernel `release`, as "6.12".

    `extra` are more options for apt.
    """
    for attempt in range(2):
        for meta in _KERNELS:
            package = _dependency(f'{meta}-{arch}', release, extra)
            if package:
                return package
        if not attempt:
            update(extra)
    raise RuntimeError(f'no Debian package of kernel {release} in the '
                       'releases that apt is set up for')


def dependencies(package: str, extra: tuple[str, ...] = ()) -> list[str]:
    """The names of the packages that one depends on."""
    text = command('apt-cache', *extra, 'depends', '--important', package)
    return re.findall(r'Depends: (\S+)', text)


def unpack(package: str, folder: Path, version: str = '',
           extra: tuple[str, ...] = ()) -> str:
    """Downloads a package and unpacks it, installing nothing.

    `version` is preferred to the newest one, as long as a mirror has it.
    `extra` are more options for apt. Returns the version that it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    download = ['apt-get', '-q', *extra, '-o', 'Acquire::Retries=3',
                '-o', 'APT::Sandbox::User=root', 'download']
    wanted = [package]
    if version:
        wanted.insert(0, f'{package}={version}')
    # Lists older than the mirror name versions that are gone.
    for name in wanted + [None] + wanted:
        if name is None:
            update(extra)
            continue
        try:
            command(*download, name, cwd=folder)
            break
        except RuntimeError as error:
            failure = error
    else:
        raise failure
    found = ''
    for deb in folder.glob('*.deb'):
        found = command('dpkg-deb', '-f', deb, 'Version').strip()
        command('dpkg-deb', '-x', deb, folder)
        deb.unlink()
    return found


def _mmdebstrap(suite: str, tree: Path, *words: str) -> None:
    listed = tree.with_name('sources.list')
    listed.write_text(sources(suite))
    command('mmdebstrap', '--mode=root', '--skip=cleanup/reproducible',
            *(f'--aptopt={option}' for option in options()), *words, suite,
            tree, listed)
    listed.unlink()


def bootstrap(suite: str, tree: Path, packages: Iterable[str],
              *words: str) -> None:
    """Installs a small system with these packages into a folder.

    `words` are more options for mmdebstrap.
    """
    _mmdebstrap(suite, tree, '--variant=minbase',
                *(f'--include={name}' for name in packages), *words)


def extract(suite: str, arch: str, tree: Path, packages: Iterable[str],
            *words: str) -> None:
    """Unpacks packages with all that they depend on, and runs nothing of it:
    they may be for another kind of processor."""
    _mmdebstrap(suite, tree, '--variant=extract', f'--arch={arch}',
                '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',
                *(f'--include={name}' for name in packages), *words)
