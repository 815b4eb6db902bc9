# SPDX-License-Identifier: GPL-2.0-or-later
"""An administrator who writes the type file by hand is not fought: the group
shows it, and has the policy's type again at the next reload."""

from vmtest import Topology, e1000e

TOPOLOGY = Topology(
    ports=['rp1'],
    cold=[e1000e('nic', 'rp1')],
    load=['e1000e'],
    policy={'50-nic.conf': '[8086:10d3]\ndomain = identity\nrebind = always\n'})


def state(vm):
    return vm.busctl_get(f'group/{vm.group_of("nic")}', 'Group', 'State')


def reason(vm):
    return vm.busctl_get(f'group/{vm.group_of("nic")}', 'Group', 'Reason')


def drifted(vm):
    return vm.busctl_get(f'group/{vm.group_of("nic")}', 'Group', 'Drifted')


def rewrite_by_hand(vm, word):
    address, group = vm.address('nic'), vm.group_of('nic')
    vm.run(f'echo {address} > /sys/bus/pci/drivers/e1000e/unbind')
    vm.run(f'echo {word} > /sys/kernel/iommu_groups/{group}/type')
    vm.run(f'echo {address} > /sys/bus/pci/drivers/e1000e/bind')


def test_shown_and_left_alone(vm):
    vm.wait(lambda: state(vm) == 'compliant', what='the policy at boot')
    assert vm.type_of('nic') == 'identity'
    rewrite_by_hand(vm, 'DMA')
    vm.wait(lambda: 'drifted' in reason(vm), what='the drift to be seen')
    assert state(vm) == 'pending' and drifted(vm)
    assert vm.type_of('nic') == 'DMA'
    assert vm.driver_of('nic') == 'e1000e'
    number = vm.group_of('nic')
    assert f"'iommu-policyctl apply {number}' brings back" in ' '.join(
        vm.out(['iommu-policyctl', 'explain', vm.address('nic')]).split())
    entry = vm.journal('MESSAGE_ID=9a70026844df4e5ab0481086609514f5')[-1]
    assert entry['STATE'] == 'pending' and entry['IOMMU_GROUP'] == str(vm.group_of('nic'))


def test_an_unbind_alone_does_not_bring_it_back(vm):
    address = vm.address('nic')
    vm.run(f'echo {address} > /sys/bus/pci/drivers/e1000e/unbind')
    vm.run(f'echo {address} > /sys/bus/pci/drivers/e1000e/bind')
    # The daemon has dealt with both events once it answers with the driver.
    vm.wait(lambda: vm.driver_of('nic') == 'e1000e', what='the driver')
    vm.run('busctl call org.iommupolicy1 /org/iommupolicy1 org.iommupolicy1.Manager Plan')
    assert vm.type_of('nic') == 'DMA'
    assert 'drifted' in reason(vm)


def test_reload_applies_it_again(vm):
    vm.run('systemctl reload iommu-policyd')
    vm.wait(lambda: state(vm) == 'compliant', what='the policy after a reload')
    assert not drifted(vm)
    assert vm.type_of('nic') == 'identity'
    assert vm.driver_of('nic') == 'e1000e'


def test_apply_does_too(vm):
    rewrite_by_hand(vm, 'DMA')
    vm.wait(lambda: 'drifted' in reason(vm), what='the drift to be seen')
    vm.run('busctl call org.iommupolicy1 /org/iommupolicy1 org.iommupolicy1.Manager Apply a{sv} 0')
    assert state(vm) == 'compliant'
    assert vm.type_of('nic') == 'identity'
    assert vm.driver_of('nic') == 'e1000e'
