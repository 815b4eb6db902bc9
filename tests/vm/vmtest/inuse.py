# SPDX-License-Identifier: GPL-2.0-or-later
"""A device in use keeps its driver, and gets its type when it is free."""

from __future__ import annotations

import re
from typing import Any, Callable, ContextManager

from . import policyd
from .vm import VM

ERROR = f'{policyd.SERVICE}.Error.InUse'
IDENTITY = 'domain = identity\nrebind = always\n'


def rule(vm: VM, name: str, text: str = IDENTITY) -> None:
    """A rule for one device, named by its id."""
    policyd.policies(vm, used=f'[used]\nmatch-address = {vm.address(name)}\n'
                              + text)


def check(vm: VM, name: str, use: ContextManager[str],
          probe: Callable[[], Any]) -> None:
    """Refuses while `use` lasts and applies afterwards.

    `use` gives a pattern that the reason has in it; `probe` tells one binding
    """
    address, number, driver = \
        vm.address(name), vm.group_of(name), vm.driver_of(name)
    mark = policyd.mark(vm)
    with use as why:
        before = probe()
        rule(vm, name)
        group = policyd.wait_state(vm, name, 'refused', 'DMA')
        assert re.search(f'{re.escape(address)} is in use: {why}',
                         group['Reason']), group['Reason']
        assert group['LastError'] == [ERROR, group['Reason']]
        entry = policyd.entry(vm, 'refused', mark, IOMMU_GROUP=number)
        assert entry['REASON'] == group['Reason']
        error, message = policyd.call(vm, 'ApplyGroup', 'ua{sv}', number,
                                      {'rebind': ['b', True]})
        assert error == ERROR and re.search(why, message), message
        assert probe() == before        # the driver never let go
        assert vm.driver_of(name) == driver
        assert vm.type_of(name) == 'DMA'
        assert vm.read(f'/sys/bus/pci/devices/{address}/driver_override') \
            == '(null)'
    applies(vm, name, driver)


def applies(vm: VM, name: str, driver: str | None = None) -> None:
    """Nobody has it (any more): whoever asks now gets it."""
    driver = driver or vm.driver_of(name)
    rule(vm, name)
    error = policyd.call(vm, 'ApplyGroup', 'ua{sv}', vm.group_of(name), {})
    assert error == ('', ''), error
    policyd.wait_state(vm, name, 'compliant', 'identity')
    assert vm.driver_of(name) == driver


def put_back(vm: VM, name: str) -> None:
    """The boot's type again, and no rule."""
    policyd.policies(vm, used=None)
    if vm.type_of(name) != 'DMA':
        vm.busctl('call', policyd.SERVICE, policyd.ROOT,
                  f'{policyd.SERVICE}.Manager', 'Restore', 'u',
                  str(vm.group_of(name)))
    policyd.wait_state(vm, name, 'unmanaged', 'DMA')
