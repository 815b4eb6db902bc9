# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel that looks for bugs itself: lockdep, KASAN, kmemleak and more.

It is built from Debian's source package of a release that scenarios run on
anyway, with the options in debug-kernel.config and no others. What is kept is
what Debian has two packages for: the kernel with its modules, and the headers
that the project's module is built with.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from . import apt, cache

NAME = 'debug'
BASE = '6.12'

_CONFIG = cache.TOP / 'tests' / 'vm' / 'debug-kernel.config'
_EXTMOD = '$(srctree)/scripts/package/install-extmod-build'


def _options(path: Path) -> dict[str, str]:
    return dict(re.findall(r'^(CONFIG_\w+)=(.*)$', path.read_text(), re.M))


def _configure(make: list[str | Path], objects: Path) -> None:
    cache.command(*make, 'allnoconfig', f'KCONFIG_ALLCONFIG={_CONFIG}')
    have = _options(objects / '.config')
    # An option that has gone, or whose own needs are not met, is just left
    # out: nobody would notice that a kernel looks for less.
    lost = [f'{name}={value}' for name, value in _options(_CONFIG).items()
            if have.get(name, 'n') != value]
    if lost:
        raise RuntimeError(f'{_CONFIG.name}: no such option in this kernel, '
                           f'or not by itself: {" ".join(lost)}')


def _build(work: Path) -> None:
    package, objects = work / 'package', work / 'objects'
    (work / 'package-version').write_text(
        apt.unpack(f'linux-source-{BASE}', package))
    archive, = (package / 'usr' / 'src').glob('linux-source-*.tar.*')
    cache.command('tar', '-C', work, '-xf', archive)
    shutil.rmtree(package)
    source, = work.glob('linux-source-*')
    objects.mkdir()
    make: list[str | Path] = [
        'nice', '-n', '19', 'make', '-C', source, f'O={objects}',
        f'-j{os.cpu_count()}', 'KBUILD_BUILD_USER=vm', 'KBUILD_BUILD_HOST=vm']
    _configure(make, objects)
    cache.command(*make, 'bzImage', 'modules')
    cache.command(*make, 'modules_install', f'INSTALL_MOD_PATH={work}')
    version = (objects / 'include/config/kernel.release').read_text().strip()
    for link in ('build', 'source'):
        (work / 'lib' / 'modules' / version / link).unlink(missing_ok=True)
    (work / 'boot').mkdir()
    shutil.copy(objects / 'arch/x86/boot/bzImage',
                work / 'boot' / f'vmlinuz-{version}')
    cache.command(*make, 'run-command',
                  f'KBUILD_RUN_COMMAND={_EXTMOD} {work / "headers"}')
    shutil.rmtree(objects)
    shutil.rmtree(source)


def get() -> Path:
    """A folder as if Debian's image package were unpacked there."""
    return cache.cached('debug-kernel',
                        [apt.host_codename(), Path(__file__), _CONFIG], _build)


def headers() -> Path:
    """A build tree for modules."""
    return get() / 'headers'
