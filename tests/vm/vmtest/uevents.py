# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own events of PCI devices, in the order in which they came."""

from __future__ import annotations

import re
from typing import Any

from .vm import VM


class Uevents:
    """udevadm monitor, from the moment that it listens."""

    def __init__(self, vm: VM) -> None:
        self._job = vm.start('exec stdbuf -oL udevadm monitor --kernel '
                             '--property --subsystem-match=pci')
        vm.wait(lambda: 'KERNEL' in self._job.peek().stdout,
                what='udevadm monitor')

    def of(self, address: str) -> list[str]:
        """A device's, as "bind e1000e" or, where no driver is told, "add"."""
        found = []
        # What follows the last empty line is still being written.
        for block in self._job.peek().stdout.split('\n\n')[:-1]:
            head = re.search(r'^KERNEL\[[^]]*\] (\w+) +\S*/(\S+) \(pci\)$',
                             block, re.MULTILINE)
            if head and head.group(2) == address:
                driver = re.search(r'^DRIVER=(.*)$', block, re.MULTILINE)
                found.append(head.group(1) + (f' {driver.group(1)}'
                                              if driver else ''))
        return found

    def stop(self) -> None:
        self._job.stop()

    def __enter__(self) -> 'Uevents':
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()
