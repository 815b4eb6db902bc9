# SPDX-License-Identifier: GPL-2.0-or-later
"""Gate=autoprobe: a device that is plugged in waits for its policy without the
kernel module, and none is left waiting by a daemon that has ended."""

import contextlib

import pytest

from vmtest import Topology, e1000e, nvme, policyd
from vmtest.client import wait_driver
from vmtest.uevents import Uevents

NAME = '/etc/iommu-policyd/iommu-policyd.conf.d/50-gate.conf'
SWITCH = '/sys/bus/pci/drivers_autoprobe'

pytestmark = [pytest.mark.kernels('7.2'), pytest.mark.brief()]

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], load=['e1000e'],
    policy={'50-nic.conf': '[8086:10d3]\ndomain = identity\n'},
    files={NAME: '[Daemon]\nGate=autoprobe\n'})


@contextlib.contextmanager
def plugged(vm, device):
    """A device, until the end of the block; gives its address."""
    vm.plug(device)
    address = vm.address(device.id)
    try:
        vm.wait(lambda: vm.present(address), what='the device')
        yield address
    finally:
        vm.unplug(device.id)
        vm.wait(lambda: not vm.present(address), what='the device to go')


def switched(vm, value):
    vm.wait(lambda: vm.read(SWITCH) == value, what=f'{SWITCH} to be {value}')
    there = vm.exists('/run/iommu-policyd/autoprobe')
    assert there == (value == '0')


def test_first_driver_comes_after_the_policy(vm):
    """Nothing is unbound, though the driver was loaded before."""
    switched(vm, '0')
    with Uevents(vm) as events, plugged(vm, e1000e('nic', 'rp1')) as address:
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        wait_driver(vm, address, driver='e1000e')
        events.expect(address, 'add', 'bind e1000e')
    assert vm.run('journalctl -u iommu-policyd | grep "before its policy"',
                  check=False).status == 1


def test_a_driver_that_is_loaded_later(vm):
    """udev loads it when the device comes, and no rule is about that."""
    vm.run('modprobe -r nvme')
    with plugged(vm, nvme('other', 'rp1')) as address:
        wait_driver(vm, address, driver='nvme')
        # And again, by a driver that finds the device there.
        vm.run('modprobe -r nvme')
        vm.wait(lambda: vm.driver_of(address) is None, what='no driver')
        vm.run('modprobe nvme')
        wait_driver(vm, address, driver='nvme')


def test_a_daemon_that_is_killed(vm):
    """What waits has its driver before or with the next daemon."""
    vm.run(f'systemctl kill -s STOP {policyd.UNIT}')
    with plugged(vm, e1000e('nic', 'rp1')) as address:
        assert vm.driver_of(address) is None
        mark = policyd.mark(vm)
        vm.run(f'systemctl kill -s KILL {policyd.UNIT}')
        wait_driver(vm, address, driver='e1000e')
        vm.wait(lambda: any(
            'Gate=autoprobe has ended' in entry['MESSAGE']
            for entry in vm.journal(f'_SYSTEMD_UNIT={policyd.UNIT}')
            if policyd.number(entry) > mark), what='the word of the unit')
        switched(vm, '0')


def test_stopped_and_started(vm):
    vm.run(f'systemctl stop {policyd.UNIT}')
    switched(vm, '1')
    with plugged(vm, e1000e('nic', 'rp1')) as address:
        wait_driver(vm, address, driver='e1000e')
        vm.run(f'systemctl start {policyd.UNIT}')
        switched(vm, '0')
        assert vm.driver_of(address) == 'e1000e'


def test_the_setting_is_taken_away(vm):
    vm.write(NAME, '[Daemon]\nGate=yes\n')
    vm.run(f'systemctl reload {policyd.UNIT}')
    switched(vm, '1')
    vm.write(NAME, '[Daemon]\nGate=autoprobe\n')
    vm.run(f'systemctl reload {policyd.UNIT}')
    switched(vm, '0')


def test_somebody_else_has_switched_it_off(vm):
    vm.run(f'systemctl stop {policyd.UNIT}')
    switched(vm, '1')
    vm.run(f'echo 0 >{SWITCH}')
    mark = policyd.mark(vm)
    vm.run(f'systemctl start {policyd.UNIT} && journalctl --sync')
    assert [entry for entry in vm.journal(f'_SYSTEMD_UNIT={policyd.UNIT}')
            if policyd.number(entry) > mark
            and 'by somebody else' in entry['MESSAGE']]
    vm.run(f'systemctl stop {policyd.UNIT}')
    assert vm.read(SWITCH) == '0'
    vm.run(f'echo 1 >{SWITCH}; systemctl start {policyd.UNIT}')
    switched(vm, '0')
