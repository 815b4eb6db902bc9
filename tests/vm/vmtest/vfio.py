# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that has a group by VFIO; guest/vfio-owner.py is the program."""

from __future__ import annotations

import base64
import itertools
from typing import Any

from . import cache
from .vm import VM

PROGRAM = '/run/vfio-owner.py'
_numbers = itertools.count(1)


class User:
    """The user of a device's group. HOW: what the program gets after the
    group's number; PREFIX: a command that runs the program.
    """

    def __init__(self, vm: VM, device: str, how: str | None = None,
                 prefix: str = '') -> None:
        self._vm = vm
        vm.write(PROGRAM, (cache.GUEST_FILES / 'vfio-owner.py').read_bytes(),
                 0o755)
        self._pipe = f'/run/vfio-owner-{next(_numbers)}'
        number = vm.group_of(device)
        how = vm.address(device) if how is None else how
        self.node = f'/dev/vfio/{number}'
        vm.run(f'mkfifo -m 666 {self._pipe}')
        vm.wait(f'test -c {self.node}')
        # Open for writing too, the pipe never ends.
        self.job = vm.start(f'exec {prefix} {PROGRAM} {number} {how} '
                            f'0<>{self._pipe}')
        self._said('owner')

    def _said(self, word: str) -> None:
        def look() -> bool:
            result = self.job.peek()
            assert result.status is None, result
            return result.stdout.endswith(f'{word}\n')
        self._vm.wait(look, what=f'{word} from the user')

    @property
    def reason(self) -> str:
        """What the daemon says of it."""
        pid = self._vm.out('pgrep -x vfio-owner.py')
        return f'vfio-owner.py (pid {pid}) has {self.node} open'

    def tell(self, word: str, answer: str) -> None:
        self._vm.request('write', path=self._pipe, mode=0o600, first=False,
                         data=base64.b64encode(f'{word}\n'.encode()).decode())
        self._said(answer)

    def stop(self) -> None:
        if self.job.poll() is None:
            self.job.stop()

    def __enter__(self) -> 'User':
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()
