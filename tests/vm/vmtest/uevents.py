# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own events of PCI devices, in the order in which they came."""

from __future__ import annotations

import re
import uuid
from typing import Any

from .vm import VM

# Has no driver and no group that a test looks at.
ROOT = '0000:00:00.0'


class Uevents:
    """udevadm monitor, from the moment that it listens."""

    def __init__(self, vm: VM) -> None:
        self._vm = vm
        self._marks = 0
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

    def expect(self, address: str, *events: str) -> None:
        """Fails unless these have been a device's, and nothing else.

        A driver's link is there before the kernel tells of it, so what is
        missing is waited for; and an event of our own comes after all that
        the kernel has told, so what is too many is seen.
        """
        self._vm.wait(lambda: len(self.of(address)) >= len(events),
                      what=f'{len(events)} events of {address}')
        self._marks += 1
        mark = f'SYNTH_ARG_MARK={self._marks}\n'
        self._vm.run(f'echo change {uuid.uuid4()} MARK={self._marks} >'
                     f'/sys/bus/pci/devices/{ROOT}/uevent')
        self._vm.wait(lambda: mark in self._job.peek().stdout,
                      what='the event of our own')
        assert self.of(address) == list(events)

    def stop(self) -> None:
        self._job.stop()

    def __enter__(self) -> 'Uevents':
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()
