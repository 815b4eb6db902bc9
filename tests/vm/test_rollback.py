# SPDX-License-Identifier: GPL-2.0-or-later
"""A change that fails is undone once and left at that: because the rule names a
driver that cannot drive the device (ahci, for a network card), or because the
driver does not work under the new type (picky, which is there for that)."""

from pathlib import Path

import pytest

from vmtest import Topology, e1000e, kernel, module, policyd
from vmtest.client import bind, override as set_override, unbind, wait_driver

NIC = '[8086:10d3]\ndomain = identity\ndriver = ahci\n'
TOPOLOGY = Topology(
    ports=['rp1', 'rp2'],
    cold=[e1000e('nic', 'rp1')],
    load=['e1000e', 'ahci'])

DECIDED, FAILED = 'decided', 'failed'


def override(vm, device):
    return vm.out(f'cat /sys/bus/pci/devices/{vm.address(device)}/driver_override').strip()


def entries(vm, kind, device):
    return [entry for entry in vm.journal(f'MESSAGE_ID={policyd.MESSAGES[kind]}')
            if entry.get('IOMMU_GROUP') == str(vm.group_of(device))]


def check_undone_once(vm, device):
    group = vm.group_of(device)
    vm.wait(lambda: vm.busctl_get(f'group/{group}', 'Group', 'State') == 'failed', what='the failure')
    # Whatever the daemon hears of its own unbinding and binding, it has heard now.
    vm.run('udevadm settle')
    for _ in range(20):
        vm.run('busctl call org.iommupolicy1 /org/iommupolicy1 org.iommupolicy1.Manager Plan')
    assert vm.busctl_get(f'group/{group}', 'Group', 'State') == 'failed'
    assert vm.type_of(device) == 'DMA'
    assert vm.driver_of(device) == 'e1000e'
    assert override(vm, device) == '(null)'
    assert len(entries(vm, DECIDED, device)) == 1
    assert len(entries(vm, FAILED, device)) == 1
    reason = vm.busctl_get(f'group/{group}', 'Group', 'Reason')
    assert 'ahci' in reason and 'rolled back' in reason, reason
    error = vm.busctl_get(f'group/{group}', 'Group', 'LastError')
    assert error[0] == 'org.freedesktop.DBus.Error.Failed'
    assert vm.out('ls /run/iommu-policyd/transaction').strip() == ''


def test_bound_device(vm):
    vm.policy('50-nic.conf', NIC + 'rebind = always\n')
    check_undone_once(vm, 'nic')


def test_plugged_in_device(vm):
    vm.policy('50-nic.conf', NIC + 'match-address = 0000:02:*\n')
    vm.wait(lambda: vm.busctl_get(f'group/{vm.group_of("nic")}', 'Group', 'State') == 'unmanaged',
            what='the narrower rule')
    vm.plug(e1000e('new', 'rp2'))
    check_undone_once(vm, 'new')
    vm.unplug('new')


def test_bridges_alone_cannot_be_blocked(vm):
    vm.policy('50-nic.conf', '[ports]\nmatch-class = 0604\ndomain = blocked\n')
    group = vm.out('basename $(readlink /sys/bus/pci/devices/0000:00:08.0/iommu_group)').strip()
    vm.wait(lambda: vm.busctl_get(f'group/{group}', 'Group', 'State') == 'refused', what='the refusal')
    assert 'bridges' in vm.busctl_get(f'group/{group}', 'Group', 'Reason')
    vm.policy('50-nic.conf', None)


def test_a_quarantine_whose_end_fails_stays(vm):
    blocked = '[8086:10d3]\nmatch-address = 0000:01:*\nrebind = always\n'
    vm.policy('50-nic.conf', blocked + 'domain = blocked\n')
    group = vm.group_of('nic')
    vm.wait(lambda: vm.busctl_get(f'group/{group}', 'Group', 'Type') == 'blocked', what='quarantine')
    vm.policy('50-nic.conf', blocked + 'domain = identity\ndriver = ahci\n')
    vm.wait(lambda: vm.busctl_get(f'group/{group}', 'Group', 'State') == 'failed', what='the failure')
    assert vm.busctl_get(f'group/{group}', 'Group', 'Type') == 'blocked'
    assert vm.driver_of('nic') is None
    assert vm.type_of('nic') == 'DMA'
    assert override(vm, 'nic') == 'iommu-policyd-hold'
    vm.policy('50-nic.conf', blocked + 'domain = DMA\n')
    vm.wait(lambda: vm.driver_of('nic') == 'e1000e', what='the end of quarantine')
    assert override(vm, 'nic') == '(null)'


# -- a driver that fails under the new type ---------------------------------------

PICKY = '/sys/module/picky/parameters'


@pytest.fixture
def picky(vm):
    """The card has the driver picky, by somebody's own override."""
    policyd.policies(vm, nic=None)
    vm.write('/run/picky.ko', module.other(
        kernel.get(vm.release), Path(__file__).with_name('picky')))
    vm.run('insmod /run/picky.ko')
    address = vm.address('nic')
    set_override(vm, address, 'picky')
    assert unbind(vm, address) is None and bind(vm, 'picky', address) is None
    policyd.wait_state(vm, 'nic', 'unmanaged', 'DMA')
    yield address
    policyd.policies(vm, nic=None)
    set_override(vm, address, None)
    unbind(vm, address)
    assert policyd.call(vm, 'Restore', 'u', vm.group_of('nic')) == ('', '')
    bind(vm, 'e1000e', address)
    vm.run('rmmod picky')


def refused(vm):
    return int(vm.read(f'{PICKY}/refused'))


def check_put_back(vm, number):
    assert (vm.type_of(number), vm.driver_of('nic')) == ('DMA', 'picky')
    assert override(vm, 'nic') == 'picky'
    assert vm.out('ls /run/iommu-policyd/transaction') == ''


def test_a_driver_that_fails_under_the_new_type(vm, picky):
    number, mark = vm.group_of('nic'), policyd.mark(vm)
    policyd.policies(vm, nic='[8086:10d3]\ndomain = identity\nrebind = always\n')
    group = policyd.wait_state(vm, 'nic', 'failed', 'DMA')
    assert 'driver picky does not take' in group['Reason']
    assert 'Input/output error' in group['Reason']
    assert 'rolled back' in group['Reason']
    check_put_back(vm, number)

    # Nothing that says no more than before has it tried again.
    policyd.policies(vm)
    vm.run('udevadm trigger --settle --action=change /sys/bus/pci/devices/'
           f'{picky}')
    policyd.policies(vm)
    assert refused(vm) == 1
    assert len(policyd.entries(vm, DECIDED, mark, IOMMU_GROUP=number)) == 1
    policyd.entry(vm, FAILED, mark, IOMMU_GROUP=number)

    # A person has: at once, as often as that, and undone each time.
    for tried in (2, 3):
        name, _ = policyd.call(vm, 'ApplyGroup', 'ua{sv}', number, {})
        assert name == 'org.freedesktop.DBus.Error.Failed'
        assert refused(vm) == tried
        check_put_back(vm, number)
    # And what was wrong with it is right by now.
    vm.run(f'echo N > {PICKY}/refuse')
    assert policyd.call(vm, 'ApplyGroup', 'ua{sv}', number, {}) == ('', '')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert vm.driver_of('nic') == 'picky' and override(vm, 'nic') == 'picky'


def when(entry):
    return int(entry['__MONOTONIC_TIMESTAMP']) / 1e6


def test_events_wait_longer_after_each_failure(vm):
    """A driver that comes and goes has it tried again, ever more rarely."""
    address, number = vm.address('nic'), vm.group_of('nic')
    mark = policyd.mark(vm)
    policyd.policies(vm, nic=NIC + 'match-address = 0000:01:*\n'
                     'rebind = always\n')
    for tried in range(1, 5):
        vm.wait(lambda: len(policyd.entries(
            vm, FAILED, mark, IOMMU_GROUP=number)) == tried,
            what=f'failure {tried}')
        policyd.wait_state(vm, 'nic', 'failed', 'DMA')
        if vm.driver_of('nic') is None:
            assert bind(vm, 'e1000e', address) is None
        assert unbind(vm, address) is None
    decided = policyd.entries(vm, DECIDED, mark, IOMMU_GROUP=number)
    failed = policyd.entries(vm, FAILED, mark, IOMMU_GROUP=number)
    pauses = [when(again) - when(before)
              for before, again in zip(failed, decided[1:])]
    for number_of, pause in enumerate(pauses[:3]):
        assert pause > 0.9 * 2 ** number_of, pauses

    # A rule that can be followed does not wait for that.
    policyd.policies(vm, nic='[8086:10d3]\ndomain = DMA\n')
    policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
    assert override(vm, 'nic') == '(null)'
    assert bind(vm, 'e1000e', address) is None
    policyd.policies(vm, nic=None)
    wait_driver(vm, address, driver='e1000e')
