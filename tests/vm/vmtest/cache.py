# SPDX-License-Identifier: GPL-2.0-or-later
"""Where built things are kept: build/vm/ at the top of the source tree.

Each thing lives in a folder named by a hash of what it was made from, so that
a change builds it anew and an unchanged tree builds nothing. Several test
runs may share the folder: building is done under a lock and shown to others
by one rename.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterator

TOP = Path(__file__).resolve().parents[3]
GUEST_FILES = Path(__file__).resolve().parents[1] / 'guest'


def own() -> Path:
    """For what is this source tree's alone: the daemon, and logs."""
    return _folder(TOP / 'build' / 'vm')


def root() -> Path:
    """The cache folder; several source trees may share one."""
    return _folder(Path(os.environ.get('IOMMU_VM_CACHE')
                        or TOP / 'build' / 'vm'))


def _folder(path: Path) -> Path:
    """Made if it is missing; git ignores what is in it."""
    path.mkdir(parents=True, exist_ok=True)
    ignore = path / '.gitignore'
    if not ignore.exists():
        ignore.write_text('*\n')
    return path


def say(text: str) -> None:
    print(f'vm: {text}', file=sys.stderr, flush=True)


def command(*words: str | Path, cwd: Path | None = None,
            env: dict[str, str] | None = None) -> str:
    """Runs a host command; its output is shown only when it fails."""
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors='replace')
    if done.returncode:
        raise RuntimeError(f'{" ".join(map(str, words))}: exit status '
                           f'{done.returncode}\n{done.stdout[-4000:]}'
                           f'{done.stderr[-8000:]}')
    return done.stdout


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    with open(root() / f'.{name}.lock', 'w') as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def cached(kind: str, inputs: list[Path | str],
           build: Callable[[Path], None]) -> Path:
    """The folder of `kind` made from `inputs`, built by build() if missing."""
    digest = hashlib.sha256()
    for item in inputs:
        data = item.read_bytes() if isinstance(item, Path) else item.encode()
        digest.update(b'%d\n' % len(data) + data)
    final = root() / kind / digest.hexdigest()[:16]
    if final.is_dir():
        os.utime(final)
        return final
    with lock(kind):
        if final.is_dir():
            return final
        started = time.monotonic()
        say(f'building {kind} …')
        work = final.with_suffix('.part')
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        build(work)
        work.rename(final)
        say(f'built {kind} in {time.monotonic() - started:.0f} s')
        # What has not been used for a day belongs to an older tree.
        for other in final.parent.iterdir():
            if time.time() - other.stat().st_mtime > 86400:
                shutil.rmtree(other, ignore_errors=True)
    return final
