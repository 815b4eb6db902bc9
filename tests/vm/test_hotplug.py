# SPDX-License-Identifier: GPL-2.0-or-later
"""A device is plugged in: its group has the type that the policy says, and
the device its driver, whether the driver was quicker than the daemon or not.
"""

import contextlib

import pytest

from vmtest import Topology, e1000e, nvme, plugged, policyd

NIC = '# What the rule says stands in line 3.\n\n[8086:10d3]\n'
DISK = '[disk]\nmatch-class = 0108\n'

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'],
    policy={'50-nic.conf': NIC + 'domain = identity\n',
            '50-disk.conf': DISK + 'domain = identity\n'},
    load=['e1000e'])


def interface(vm, address):
    """Name and number of a card's interface; a new probe gives a new number."""
    return vm.out(f'cd /sys/bus/pci/devices/{address}/net && '
                  'for i in *; do echo $i $(cat $i/ifindex); done')


def override(vm, address):
    return vm.read(f'/sys/bus/pci/devices/{address}/driver_override')


def pid(vm):
    return vm.out(['systemctl', 'show', '-P', 'MainPID', policyd.UNIT])


def test_driver_is_loaded_already(vm):
    mark = policyd.mark(vm)
    with plugged(vm, e1000e('nic', 'rp1')) as address:
        group = policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        assert vm.type_of('nic') == 'identity'
        assert vm.driver_of('nic') == 'e1000e'
        assert override(vm, address) == '(null)'
        assert group['Target'] == 'identity'
        assert group['BootType'] == 'DMA'
        assert group['Owner'] == 'kernel'
        assert group['LastError'] == ['', '']
        assert group['Rules'] == [[policyd.path('nic'), 3, '8086:10d3']]

        entry = policyd.entry(vm, 'applied', mark,
                              IOMMU_GROUP=vm.group_of('nic'))
        assert entry['DEVICE'] == address
        assert entry['TYPE_FROM'] == 'DMA'
        assert entry['TYPE_TO'] == 'identity'
        assert entry['STATE'] == 'compliant'
        assert entry['CONFIG_FILE'] == policyd.path('nic')
        assert entry['CONFIG_LINE'] == '3'
        assert entry['REASON'] == group['Reason']
        assert int(entry['DURATION_USEC']) > 0

        # The card does its DMA: a fault would fail this test at its end.
        name = interface(vm, address).split()[0]
        vm.run(f'ip link set {name} up')
        vm.wait(f'test "$(cat /sys/class/net/{name}/carrier)" = 1')
        vm.run(f'ip link set {name} down')


def test_driver_is_not_loaded_yet(vm):
    assert not vm.exists('/sys/bus/pci/drivers/nvme')
    mark = policyd.mark(vm)
    with plugged(vm, nvme('n0', 'rp2')) as address:
        policyd.wait_state(vm, 'n0', 'compliant', 'identity')
        vm.wait(lambda: vm.driver_of('n0') == 'nvme', what='the driver')
        assert vm.type_of('n0') == 'identity'
        entry = policyd.entry(vm, 'applied', mark,
                              IOMMU_GROUP=vm.group_of('n0'))
        assert entry['DEVICE'] == address
        assert entry['CONFIG_FILE'] == policyd.path('disk')
        assert entry['CONFIG_LINE'] == '1'
        vm.wait('test -b /dev/nvme0n1')
        vm.run('dd if=/dev/nvme0n1 of=/dev/null bs=1M count=8 iflag=direct')
        # The driver has come to stay, and with it the type.
        assert policyd.group(vm, 'n0')['State'] == 'compliant'


def test_driver_was_certainly_first(vm):
    """The event is late: the driver is taken away and given back."""
    with contextlib.ExitStack() as stack:
        with policyd.asleep(vm):
            address = stack.enter_context(plugged(vm, e1000e('nic', 'rp1')))
            vm.wait(lambda: interface(vm, address), what='the interface')
            before = interface(vm, address)
            assert vm.type_of('nic') == 'DMA'
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        vm.wait(lambda: vm.driver_of('nic') == 'e1000e', what='the driver')
        vm.wait(lambda: interface(vm, address) != before,
                what='another interface')


@pytest.fixture
def rule(vm):
    """rule(text) is the card's rule for one test."""
    yield lambda text: policyd.policies(vm, nic=NIC + text)
    policyd.policies(vm, nic=NIC + 'domain = identity\n')


def test_rebind_never_leaves_it_pending(vm, rule):
    rule('domain = identity\nrebind = never\n')
    mark = policyd.mark(vm)
    with contextlib.ExitStack() as stack:
        with policyd.asleep(vm):
            address = stack.enter_context(plugged(vm, e1000e('nic', 'rp1')))
            vm.wait(lambda: interface(vm, address), what='the interface')
            before = interface(vm, address)
        group = policyd.wait_state(vm, 'nic', 'pending')
        assert 'rebind = never' in group['Reason']
        assert f'e1000e to let go of {address}' in group['Reason']
        assert group['Target'] == 'identity'
        assert vm.type_of('nic') == 'DMA'
        assert interface(vm, address) == before     # never unbound
        assert override(vm, address) == '(null)'
        entry = policyd.entry(vm, 'pending', mark,
                              IOMMU_GROUP=vm.group_of('nic'))
        assert entry['DEVICE'] == address
        assert entry['TYPE_FROM'] == 'DMA'
        assert entry['TYPE_TO'] == 'identity'
        assert entry['STATE'] == 'pending'
        assert entry['CONFIG_FILE'] == policyd.path('nic')
        assert entry['CONFIG_LINE'] == '3'
        assert policyd.entries(vm, 'applied', mark) == []

        # The driver lets go: now it happens, and nothing is bound again.
        vm.run(f'echo {address} > /sys/bus/pci/drivers/e1000e/unbind')
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        assert vm.driver_of('nic') is None
        vm.run(f'echo {address} > /sys/bus/pci/drivers/e1000e/bind')
        assert vm.type_of('nic') == 'identity'
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')


def test_a_device_that_was_there_is_no_hotplug(vm, rule):
    """rebind = hotplug is for what has just come, not for a new rule."""
    rule('domain = DMA\n')
    with plugged(vm, e1000e('nic', 'rp1')) as address:
        policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
        vm.wait(lambda: interface(vm, address), what='the interface')
        before = interface(vm, address)
        rule('domain = identity\n')
        group = policyd.wait_state(vm, 'nic', 'pending')
        assert 'hotplug' in group['Reason']
        assert interface(vm, address) == before
        rule('domain = identity\nrebind = always\n')
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        assert vm.driver_of('nic') == 'e1000e'
        assert interface(vm, address) != before


@pytest.mark.parametrize('late', [False, True])
def test_the_rules_driver_is_not_loaded_yet(vm, rule, late):
    """It ends the same whether another driver was first or not."""
    vm.run('modprobe -r vfio-pci')
    assert not vm.exists('/sys/bus/pci/drivers/vfio-pci')
    rule('domain = identity\ndriver = vfio-pci\n')
    with contextlib.ExitStack() as stack:
        with policyd.asleep(vm) if late else contextlib.nullcontext():
            address = stack.enter_context(plugged(vm, e1000e('nic', 'rp1')))
            if late:
                vm.wait(lambda: vm.driver_of('nic') == 'e1000e',
                        what='the wrong driver')
        group = policyd.wait_state(vm, 'nic', 'pending', 'identity')
        assert 'modprobe vfio-pci' in group['Reason']
        advice = vm.out(['iommu-policyctl', 'explain', address])
        assert "load it ('modprobe')" in ' '.join(advice.split())
        assert '--rebind' not in advice
        assert override(vm, address) == 'vfio-pci'
        assert vm.driver_of('nic') is None
        vm.run('modprobe vfio-pci')
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        assert vm.driver_of('nic') == 'vfio-pci'


def test_a_driver_is_not_taken_for_one_that_is_not_loaded(vm, rule):
    """What was there keeps the driver that it has until it can be replaced."""
    vm.run('modprobe -r vfio-pci')
    rule('domain = DMA\n')
    with plugged(vm, e1000e('nic', 'rp1')) as address:
        policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
        vm.wait(lambda: interface(vm, address), what='the interface')
        rule('domain = DMA\ndriver = vfio-pci\nrebind = always\n')
        group = policyd.wait_state(vm, 'nic', 'pending', 'DMA')
        assert 'modprobe vfio-pci' in group['Reason']
        assert vm.driver_of('nic') == 'e1000e'
        vm.run('modprobe vfio-pci')
        policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
        assert vm.driver_of('nic') == 'vfio-pci'


def test_the_rules_driver_is_loaded(vm, rule):
    vm.run('modprobe vfio-pci')
    rule('domain = identity\ndriver = vfio-pci\n')
    with contextlib.ExitStack() as stack:
        with policyd.asleep(vm):
            address = stack.enter_context(plugged(vm, e1000e('nic', 'rp1')))
            vm.wait(lambda: vm.driver_of('nic') == 'e1000e',
                    what='the wrong driver')
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        assert vm.driver_of('nic') == 'vfio-pci'
        assert override(vm, address) == 'vfio-pci'
    # The next card in that slot is not taken for the one before.
    rule('domain = identity\n')
    with plugged(vm, e1000e('nic', 'rp1')) as address:
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        vm.wait(lambda: vm.driver_of('nic') == 'e1000e', what='the driver')
        assert override(vm, address) == '(null)'


def test_it_was_one_daemon_all_the_time(vm):
    assert vm.out(['systemctl', 'show', '-P', 'NRestarts',
                   policyd.UNIT]) == '0'
    assert int(pid(vm)) > 1
