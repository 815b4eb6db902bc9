# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the kernel module for a Debian kernel, to see whether it does.

    python3 -m vmtest.buildcheck strict RELEASE FOLDER
    python3 -m vmtest.buildcheck dkms RELEASE DESTDIR

strict: a copy of FOLDER, which is kernel/, with W=1 and sparse; whatever has
something to say about it fails. dkms: as DKMS does it from its source tree,
which `make install-dkms` has put below DESTDIR; DKMS itself is not installed
for that, only unpacked.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import apt, cache, kernel, module

_NOISE = re.compile(r'\b(warning|WARNING|error):')


def _run(words: list[str | Path], env: dict[str, str] | None = None) -> str:
    """What a command says, also shown; it must succeed."""
    done = subprocess.run([str(word) for word in words], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=env, errors='replace')
    sys.stdout.write(done.stdout)
    if done.returncode:
        sys.exit(f'exit status {done.returncode}: '
                 f'{" ".join(map(str, words))}')
    return done.stdout


def _strict(guest: kernel.Kernel, folder: Path, work: Path) -> None:
    shutil.copytree(folder, work / 'kernel')
    said = _run(['make', '-C', work / 'kernel', 'check',
                 f'KDIR={module.headers(guest)}'])
    # modpost's warnings end no build.
    if _NOISE.search(said):
        sys.exit('the build went through, but not without a warning')


def _dkms(guest: kernel.Kernel, destdir: Path, work: Path) -> None:
    program = cache.cached('dkms', [apt.host_codename()],
                           lambda folder: apt.unpack('dkms', folder) and None)
    configuration, = destdir.rglob('dkms.conf')
    sources = configuration.parent
    name, version = sources.name.rsplit('-', 1)
    tree = work / 'tree'
    tree.mkdir()
    # Without that it may sign, with a key that it makes in /var/lib.
    env = {**os.environ, 'sign_file': '/nonexistent'}
    _run(['bash', program / 'usr' / 'sbin' / 'dkms', 'build',
          f'{name}/{version}', '-k', guest.version, '--dkmstree', tree,
          '--sourcetree', sources.parent,
          '--kernelsourcedir', module.headers(guest)], env)
    built = list(tree.rglob(f'{module.NAME}.ko*'))
    if not built:
        sys.exit(f'dkms has built no {module.NAME}.ko')
    print(cache.command('/sbin/modinfo', built[0]))


def main() -> None:
    how, release, folder = sys.argv[1:]
    build = {'strict': _strict, 'dkms': _dkms}[how]
    with tempfile.TemporaryDirectory(prefix='iommu-module-') as work:
        build(kernel.get(release), Path(folder).resolve(), Path(work))


if __name__ == '__main__':
    main()
