# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes to the files of sysfs by which types and drivers change."""

from __future__ import annotations

from typing import Any

from . import cache
from .vm import VM


class Writes:
    """All of them, whoever writes, from the moment that it watches."""

    def __init__(self, vm: VM) -> None:
        script = (cache.GUEST_FILES / 'watch-writes.py').read_text()
        vm.write('/run/watch-writes.py', script)
        self._job = vm.start('exec python3 -u /run/watch-writes.py')
        vm.wait(lambda: 'watching\n' in self._job.peek().stdout,
                what='inotify')

    def all(self) -> list[str]:
        return self._job.peek().stdout.split('\n')[1:-1]

    def __enter__(self) -> 'Writes':
        return self

    def __exit__(self, *_: Any) -> None:
        self._job.stop()
