# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices go while nothing happens, and the kernel uses their group's number
again: objects go and come with signals, and no group inherits another's past.
"""

import pytest

from vmtest import Topology, bus, e1000e, nvme, pair
from vmtest.bus import Monitor, device_path, group_path

pytestmark = pytest.mark.kernels('6.12', '6.1')

NIC = '[8086:10d3]\ndomain = identity\n'

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], policy={'50-nic.conf': NIC},
    load=['e1000e', 'nvme'])


def group(vm, name):
    return bus.get_all(vm, group_path(vm.group_of(name)), 'Group')


def wait_right(vm, name, type_, driver):
    vm.wait(lambda: group(vm, name)['State'] in ('compliant', 'unmanaged')
            and vm.type_of(name) == type_ and vm.driver_of(name) == driver,
            what=f'{name}: {type_} with {driver}')


def stay(vm):
    """What must be the same after devices have come and gone."""
    pid = vm.out('systemctl show -P MainPID iommu-policyd')
    return pid, sorted(bus.managed_objects(vm)), \
        sorted(vm.out('ls /run/iommu-policyd/group').split()), \
        vm.out('ls /run/iommu-policyd/transaction')


def test_objects_go_and_come(vm):
    before = stay(vm)
    with Monitor(vm) as monitor:
        vm.plug(e1000e('nic', 'rp1'))
        wait_right(vm, 'nic', 'identity', 'e1000e')
        number, address = vm.group_of('nic'), vm.address('nic')
        ours = {group_path(number), device_path(address)}
        vm.wait(lambda: {row[0] for row in
                         monitor.signals('InterfacesAdded')} == ours,
                what='InterfacesAdded')
        vm.unplug('nic')
        vm.wait(lambda: {row[0] for row in
                         monitor.signals('InterfacesRemoved')} == ours,
                what='InterfacesRemoved')
        for path, interfaces in monitor.signals('InterfacesRemoved'):
            name = 'Group' if 'group' in path else 'Device'
            assert f'{bus.SERVICE}.{name}' in interfaces
        # Each came once and went once.
        assert len(monitor.signals('InterfacesAdded')) == 2
        assert len(monitor.signals('InterfacesRemoved')) == 2
    # A device is gone from the bus, not only from a list.
    result = vm.run(['busctl', 'call', bus.SERVICE, bus.ROOT,
                     f'{bus.SERVICE}.Manager', 'ApplyGroup', 'ua{sv}',
                     str(number), '0'], check=False)
    assert result.status and f'no group {number}' in result.stderr
    assert not vm.exists(f'/sys/kernel/iommu_groups/{number}')
    assert stay(vm) == before


def test_a_number_is_used_again_by_another_device(vm):
    before = stay(vm)
    vm.plug(e1000e('nic', 'rp1'))
    wait_right(vm, 'nic', 'identity', 'e1000e')
    number, address = vm.group_of('nic'), vm.address('nic')
    with Monitor(vm) as monitor:
        vm.unplug('nic')
        vm.plug(nvme('disk', 'rp1'))
        wait_right(vm, 'disk', 'DMA', 'nvme')
        # Same slot, same number: as alike as two groups can be.
        assert (vm.group_of('disk'), vm.address('disk')) == (number, address)
        found = group(vm, 'disk')
        assert found['State'] == 'unmanaged' and found['Rules'] == []
        assert found['Type'] == found['BootType'] == 'DMA'
        device = bus.get_all(vm, device_path(address), 'Device')
        assert device['Class'] == 0x010802 and device['Driver'] == 'nvme'
        assert device['Rule'] == ['', 0, '']
        order = vm.wait(lambda: len(rows := [
            message['member'] for message in monitor.messages()
            if message.get('member', '').startswith('Interfaces')]) == 4
            and rows, what='both to go and both to come')
        assert order == ['InterfacesRemoved'] * 2 + ['InterfacesAdded'] * 2
    vm.unplug('disk')
    vm.wait(lambda: not vm.present(address), what='the disk to go')
    vm.wait(lambda: stay(vm) == before, what='nothing to be left')


def test_a_request_does_not_outlive_its_device(vm):
    """SetGroupType of a group that is gone says nothing to the next."""
    vm.plug(nvme('disk', 'rp1'))
    wait_right(vm, 'disk', 'DMA', 'nvme')
    number, address = vm.group_of('disk'), vm.address('disk')
    vm.busctl('call', bus.SERVICE, bus.ROOT, f'{bus.SERVICE}.Manager',
              'SetGroupType', 'usa{sv}', str(number), 'identity', '1',
              'rebind', 'b', 'true')
    assert vm.type_of('disk') == 'identity'
    vm.unplug('disk')
    vm.wait(lambda: not vm.present(address), what='the disk to go')
    vm.plug(nvme('disk', 'rp1'))
    wait_right(vm, 'disk', 'DMA', 'nvme')
    assert vm.group_of('disk') == number
    assert group(vm, 'disk')['State'] == 'unmanaged'
    assert group(vm, 'disk')['Target'] == ''
    vm.unplug('disk')
    vm.wait(lambda: not vm.present(address), what='the disk to go')


def test_numbers_change_places(vm):
    """Two devices go and come in the other order: so do their numbers."""
    before = stay(vm)
    vm.plug(e1000e('nic', 'rp1'))
    wait_right(vm, 'nic', 'identity', 'e1000e')
    vm.plug(nvme('disk', 'rp2'))
    wait_right(vm, 'disk', 'DMA', 'nvme')
    numbers = vm.group_of('nic'), vm.group_of('disk')
    places = vm.address('nic'), vm.address('disk')
    vm.unplug('nic', 'disk')
    vm.wait(lambda: not any(map(vm.present, places)), what='both to go')
    vm.plug(nvme('disk', 'rp2'))
    wait_right(vm, 'disk', 'DMA', 'nvme')
    vm.plug(e1000e('nic', 'rp1'))
    wait_right(vm, 'nic', 'identity', 'e1000e')
    assert (vm.group_of('disk'), vm.group_of('nic')) == numbers
    assert group(vm, 'disk')['Devices'] == [device_path(places[1])]
    assert group(vm, 'nic')['Devices'] == [device_path(places[0])]
    assert group(vm, 'nic')['State'] == 'compliant'
    vm.unplug('nic', 'disk')
    vm.wait(lambda: not any(map(vm.present, places)), what='both to go')
    vm.wait(lambda: stay(vm) == before, what='nothing to be left')


def test_a_card_of_two_goes_whole(vm):
    before = stay(vm)
    vm.plug(*pair('f0', 'f1', 'rp1'))
    vm.wait(lambda: vm.driver_of('f0') and vm.driver_of('f1'),
            what='both drivers')
    number = vm.group_of('f0')
    places = vm.address('f0'), vm.address('f1')
    vm.wait(lambda: set(group(vm, 'f0')['Devices'])
            == set(map(device_path, places)), what='a group of two')
    with Monitor(vm) as monitor:
        vm.unplug('f0', 'f1')
        gone = {group_path(number), *map(device_path, places)}
        vm.wait(lambda: {row[0] for row in
                         monitor.signals('InterfacesRemoved')} == gone,
                what='InterfacesRemoved')
        assert len(monitor.signals('InterfacesRemoved')) == 3
    vm.wait(lambda: not any(map(vm.present, places)), what='both to go')
    vm.wait(lambda: stay(vm) == before, what='nothing to be left')


def test_removed_and_rescanned_by_hand(vm):
    """The same through sysfs, as an administrator does it."""
    vm.plug(e1000e('nic', 'rp1'))
    wait_right(vm, 'nic', 'identity', 'e1000e')
    address = vm.address('nic')
    with Monitor(vm) as monitor:
        vm.run(f'echo 1 > /sys/bus/pci/devices/{address}/remove')
        vm.wait(lambda: device_path(address) in [
            row[0] for row in monitor.signals('InterfacesRemoved')],
            what='InterfacesRemoved')
        vm.run('echo 1 > /sys/bus/pci/rescan')
        vm.wait(lambda: vm.present('nic'), what='the device to be back')
        wait_right(vm, 'nic', 'identity', 'e1000e')
        vm.wait(lambda: device_path(address) in [
            row[0] for row in monitor.signals('InterfacesAdded')],
            what='InterfacesAdded')
    vm.unplug('nic')
    vm.wait(lambda: not vm.present(address), what='the device to go')
