# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon as the guest gets it: built from this source tree, and installed.

The sources are copied first. An out-of-tree build refuses to work when
somebody has configured the source tree itself, and must not write into it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from . import cache, otherdebian
from .arch import X86, Arch

# For IOMMU_VM_ASAN: the guest has none of the compiler's libraries.
SANITIZED = ('--enable-sanitizers',
             'LDFLAGS=-static-libasan -static-libubsan')

CONFIGURE = ('--prefix=/usr', '--sysconfdir=/etc', '--localstatedir=/var',
             '--libdir=/usr/lib')


def sources(below: str = '') -> list[str]:
    """Every file that belongs to the source, relative to the top.

    `below` says in which folder, as "kernel/".
    """
    done = subprocess.run(
        ['git', '-c', f'safe.directory={cache.TOP}', 'ls-files', '-z', '-co',
         '--exclude-standard'], cwd=cache.TOP, capture_output=True)
    if done.returncode == 0:
        names = done.stdout.decode().split('\0')
    else:   # an unpacked tarball
        names = [str(path.relative_to(cache.TOP))
                 for path in cache.TOP.rglob('*')
                 if 'build' not in path.relative_to(cache.TOP).parts[:1]]
    return sorted(name for name in set(names)
                  if name.startswith(below)
                  and os.path.isfile(cache.TOP / name))


def _copy(target: Path) -> None:
    """Brings the copy up to date; an untouched file keeps its time stamp."""
    manifest = target / '.copied'
    names = [name for name in sources() if not name.startswith('tests/vm/')]
    before = manifest.read_text().splitlines() if manifest.exists() else []
    for name in set(before) - set(names):
        (target / name).unlink(missing_ok=True)
    for name in names:
        source, copy = cache.TOP / name, target / name
        try:
            info = source.stat()
            if copy.exists() and copy.stat().st_size == info.st_size \
                    and copy.stat().st_mtime_ns == info.st_mtime_ns:
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
        except FileNotFoundError:
            continue    # taken away while we were looking
    manifest.write_text('\n'.join(names))


def _unit_folder(suite: str) -> str:
    if suite:
        return '/usr/lib/systemd/system'
    done = subprocess.run(
        ['pkg-config', '--variable=systemdsystemunitdir', 'systemd'],
        capture_output=True, text=True)
    return done.stdout.strip() or '/lib/systemd/system'


def _cross(suite: str, arch: Arch) -> list[str]:
    """What configure is told of another kind of processor."""
    if not arch.foreign:
        return []
    sysroot = otherdebian.sysroot(suite, arch)
    return [f'--host={arch.triplet}', f'PKG_CONFIG={sysroot}/pkg-config',
            f'CC={arch.cross()}gcc --sysroot={sysroot}/root']


def build(*options: str, suite: str = '', arch: Arch = X86) -> Path | None:
    """The folder that `make install DESTDIR=` filled; None without a daemon.

    `options` are more of configure's; each set of them is a build of its own.
    `suite` has it built in another release of Debian, `arch` for another kind
    of processor.
    """
    if not (cache.TOP / 'configure.ac').exists():
        cache.say('there is no configure.ac: the guest goes without a daemon')
        return None
    sanitized = bool(os.environ.get('IOMMU_VM_ASAN'))
    # What is compiled otherwise must not be mixed.
    base = cache.own() / ('daemon-asan' if sanitized else 'daemon')
    if suite:
        base = base.with_name(f'{base.name}-{suite}')
    base = base.with_name(f'{base.name}{arch.ending()}')
    outer = base
    in_chroot = suite and not arch.foreign

    def command(*words: str | Path, cwd: Path) -> None:
        if in_chroot:
            otherdebian.run(suite, *words, cwd=cwd, folders=(outer,))
        else:
            cache.command(*words, cwd=cwd)

    source = base / 'source'
    base = base.joinpath(*(option.strip('-') for option in options))
    objects, tree = base / 'objects', base / 'tree'
    with cache.lock('daemon'):
        for folder in (source, objects):
            folder.mkdir(parents=True, exist_ok=True)
        _copy(source)
        # make's own rules regenerate configure, but add no missing helper script.
        generated = source / '.generated'
        inputs = max((source / name).stat().st_mtime_ns for name in ('configure.ac', 'Makefile.am'))
        if not generated.exists() or generated.stat().st_mtime_ns < inputs:
            cache.say('generating configure …')
            command('autoreconf', '-fi', cwd=source)
            generated.touch()
        words = [*CONFIGURE, f'--with-systemdsystemunitdir={_unit_folder(suite)}',
                 *options, *_cross(suite, arch),
                 *os.environ.get('IOMMU_VM_CONFIGURE', '').split(),
                 *(SANITIZED if sanitized else ())]
        record = objects / '.configured'
        if not (objects / 'Makefile').exists() or not record.exists() \
                or record.read_text() != ' '.join(words):
            cache.say('configuring the daemon …')
            command(source / 'configure', *words, cwd=objects)
            record.write_text(' '.join(words))
        command('make', '-j2', cwd=objects)
        # A run that is still reading the old tree must not lose it.
        fresh = base / f'tree.{os.getpid()}'
        shutil.rmtree(fresh, ignore_errors=True)
        command('make', 'install', f'DESTDIR={fresh}', cwd=objects)
        shutil.rmtree(tree, ignore_errors=True)
        fresh.rename(tree)
    return tree
