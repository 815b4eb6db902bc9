# SPDX-License-Identifier: GPL-2.0-or-later
"""The project's kernel module, and the client that tests speak to it with.

The module is built for the guest's very kernel, with Debian's headers of it,
from a copy of kernel/. Nothing is installed on this machine.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from . import apt, cache, cpio, debugkernel, otherdebian, tree
from .kernel import Kernel

NAME = 'iommu_policy'
CLIENT = 'usr/local/bin/policy-client'

_CLIENT_SOURCES = cache.TOP / 'tests' / 'vm' / 'client'
_UAPI = cache.TOP / 'kernel' / 'include' / 'uapi'

# What a build is made from; what it leaves behind in the tree is not.
_SOURCE = re.compile(r'(\.[chS]|\.sh|\.mk|/Kbuild|/Makefile)$')


def _build_headers(guest: Kernel, work: Path) -> None:
    name = f'linux-headers-{guest.version}'
    suite = otherdebian.of(guest.release)
    extra = otherdebian.options(suite, guest.arch)
    apt.unpack(name, work, guest.package, extra)
    for other in apt.dependencies(name, extra):
        if re.fullmatch(r'linux-headers-.*-common', other):
            apt.unpack(other, work, guest.package, extra)
        elif re.fullmatch(r'linux-kbuild-.*', other):
            # Programs, which are to run here.
            apt.unpack(other, work, guest.package, otherdebian.options(suite))
    # It names its other half by the place where packages are installed.
    makefile = work / 'usr' / 'src' / name / 'Makefile'
    makefile.write_text(makefile.read_text().replace(
        '/usr/src/', '$(dir $(realpath $(lastword $(MAKEFILE_LIST))))../'))
    # With it the build would make BTF, which needs one more tool.
    (work / 'usr' / 'src' / name / 'vmlinux').unlink(missing_ok=True)
    shutil.rmtree(work / 'usr' / 'share', ignore_errors=True)


def headers(guest: Kernel) -> Path:
    """A build tree of the guest's kernel, for KDIR=."""
    if guest.release == debugkernel.NAME:
        return debugkernel.headers()
    folder = cache.cached(f'headers-{guest.release}{guest.arch.ending()}',
                          [guest.version, guest.package, Path(__file__)],
                          lambda work: _build_headers(guest, work))
    return folder / 'usr' / 'src' / f'linux-headers-{guest.version}'


def _depmod(guest: Kernel, layer: Path) -> None:
    """Lists the new module together with the guest's others."""
    cache.command('fsck.erofs', f'--extract={layer}', '--overwrite',
                  guest.modules)
    (layer / 'lib').symlink_to('usr/lib')
    cache.command('/sbin/depmod', '-b', layer, guest.version)
    (layer / 'lib').unlink()
    modules = layer / 'usr' / 'lib' / 'modules' / guest.version
    shutil.rmtree(modules / 'kernel')


def _build(guest: Kernel, names: list[str], work: Path) -> None:
    source = work / 'source'
    for name in names:
        copy = source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(cache.TOP / name, copy)
    _make(guest, '-C', source / 'kernel', f'KDIR={headers(guest)}',
          folder=work)
    layer = work / 'tree'
    updates = layer / 'usr' / 'lib' / 'modules' / guest.version / 'updates'
    updates.mkdir(parents=True)
    shutil.move(source / 'kernel' / f'{NAME}.ko', updates)
    shutil.rmtree(source)
    _depmod(guest, layer)


def _make(guest: Kernel, *words: str | Path, folder: Path) -> None:
    """make in a folder, with the compiler of the guest's release."""
    suite = otherdebian.of(guest.release)
    if guest.arch.foreign:
        words += (f'ARCH={guest.arch.kernel}',
                  f'CROSS_COMPILE={guest.arch.cross()}')
    if suite:
        otherdebian.run(suite, 'make', *words, cwd=folder,
                        folders=(folder, headers(guest).parents[2]))
    else:
        cache.command('make', *words)


def get(guest: Kernel) -> Path:
    """A tree with usr/lib/modules/VERSION, so that modprobe finds it."""
    names = [name for name in tree.sources('kernel/') if _SOURCE.search(name)]
    if not names:
        raise RuntimeError('there is no module in kernel/')
    inputs: list[Path | str] = [str(headers(guest)), Path(__file__)]
    for name in names:
        inputs += [name, cache.TOP / name]
    folder = cache.cached(f'module-{guest.release}{guest.arch.ending()}',
                          inputs, lambda work: _build(guest, names, work))
    return folder / 'tree'


def _build_client(guest: Kernel, work: Path) -> None:
    compiler, pkg_config = ['cc'], 'pkg-config'
    if guest.arch.foreign:
        sysroot = otherdebian.sysroot('', guest.arch)
        compiler = [f'{guest.arch.cross()}gcc', f'--sysroot={sysroot}/root']
        pkg_config = str(sysroot / 'pkg-config')
    flags = cache.command(pkg_config, '--cflags', '--libs', 'libnl-3.0',
                          'libnl-genl-3.0').split()
    cache.command(*compiler, '-std=gnu11', '-D_GNU_SOURCE', '-O1', '-g',
                  '-Wall', '-Wextra', f'-I{_UAPI}', '-o', work / 'policy-client',
                  *sorted(_CLIENT_SOURCES.glob('*.c')), *flags)


def client(guest: Kernel) -> bytes:
    """The test client, as the guest runs it."""
    inputs: list[Path | str] = [Path(__file__), *sorted(_UAPI.rglob('*.h'))]
    inputs += sorted(_CLIENT_SOURCES.glob('*.[ch]'))
    folder = cache.cached(f'client{guest.arch.ending()}', inputs,
                          lambda work: _build_client(guest, work))
    return (folder / 'policy-client').read_bytes()


def other(guest: Kernel, source: Path) -> bytes:
    """A scenario's own module: the folder has a Kbuild and what that names."""
    tree_of_kernel = headers(guest)

    def build(work: Path) -> None:
        copy = shutil.copytree(source, work / 'source')
        _make(guest, '-C', tree_of_kernel, f'M={copy}', 'modules',
              folder=work)
        for module in copy.glob('*.ko'):
            shutil.move(module, work)

    folder = cache.cached(source.name, [str(tree_of_kernel),
                                        *sorted(source.iterdir())], build)
    found, = folder.glob('*.ko')
    return found.read_bytes()


def add(archive: cpio.Cpio, guest: Kernel, prefix: str) -> None:
    """Puts both into a guest's files."""
    archive.tree(get(guest), prefix)
    archive.file(f'{prefix}/{CLIENT}', client(guest), 0o755)
