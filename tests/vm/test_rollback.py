# SPDX-License-Identifier: GPL-2.0-or-later
"""A change that fails is undone once and left at that: here because the rule
names a driver that cannot drive the device (ahci, for a network card)."""

from vmtest import Topology, e1000e, policyd

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
