# SPDX-License-Identifier: GPL-2.0-or-later
"""Two devices share a group: less protection needs the consent of both."""

import pytest

from vmtest import Topology, e1000, pair, pci_bridge, policyd

TOPOLOGY = Topology(
    ports=['rp1'],
    cold=[pci_bridge('br', 'pcie.0', slot=3),
          e1000('old1', 'br', slot=1), e1000('old2', 'br', slot=2)],
    load=['e1000e', 'e1000'])

FIRST = '[first]\nmatch-id = 8086:10d3\nmatch-address = *.0\n'
SECOND = '[second]\nmatch-id = 8086:10d3\nmatch-address = *.1\n'
IDENTITY = 'domain = identity\nrebind = always\n'


def interfaces(vm, *names):
    """Numbers of the interfaces: a driver that let go shows in them."""
    return [vm.out(f'cat /sys/bus/pci/devices/{vm.address(name)}'
                   '/net/*/ifindex') for name in names]


def features(vm):
    return policyd.manager(vm, 'KernelFeatures')


@pytest.fixture
def two(vm):
    """The card, plugged in and bound while no rule is there."""
    policyd.policies(vm, first=None, second=None, old=None)
    vm.plug(*pair('f0', 'f1', 'rp1'))
    vm.wait(lambda: all(interfaces(vm, 'f0', 'f1')), what='both interfaces')
    number = vm.group_of('f0')
    assert number == vm.group_of('f1')
    policyd.wait_state(vm, number, 'unmanaged')
    yield number
    policyd.policies(vm, first=None, second=None)
    address = vm.address('f1')
    vm.unplug('f0', 'f1')
    vm.wait(lambda: not vm.present(address), what='the card to go')


def test_one_rule_is_overruled(vm, two):
    """On every kernel: what is not to be changed needs no kernel."""
    before = interfaces(vm, 'f0', 'f1')
    policyd.policies(vm, first=FIRST + IDENTITY)
    group = policyd.wait_state(vm, two, 'compliant', 'DMA')
    assert group['Target'] == 'DMA'
    # By whom, and whose wish: file and line of the one, address of the other.
    assert group['Reason'].startswith('identity wished by [first]')
    assert f'{policyd.path("first")}:1' in group['Reason']
    assert f'overruled by {vm.address("f1")}' in group['Reason']
    assert interfaces(vm, 'f0', 'f1') == before
    assert policyd.entries(vm, 'applied', IOMMU_GROUP=two) == []

    # A rule that objects is named by its own file and line.
    policyd.policies(vm, second='\n' + SECOND + 'domain = DMA\n')
    group = policyd.wait_state(vm, two, 'compliant', 'DMA')
    assert f'overruled by [second] ({policyd.path("second")}:2)' \
        in group['Reason']
    assert group['Rules'] == [[policyd.path('second'), 2, 'second']]
    assert interfaces(vm, 'f0', 'f1') == before


@pytest.mark.kernels('6.12')
def test_both_rules_are_applied(vm, two):
    assert 'groups-of-many' in features(vm)
    before = interfaces(vm, 'f0', 'f1')
    policyd.policies(vm, first=FIRST + IDENTITY)
    policyd.wait_state(vm, two, 'compliant', 'DMA')
    mark = policyd.mark(vm)
    policyd.policies(vm, second=SECOND + IDENTITY)
    group = policyd.wait_state(vm, two, 'compliant', 'identity')
    assert vm.type_of(two) == 'identity'
    assert group['Rules'] == [[policyd.path('first'), 1, 'first'],
                              [policyd.path('second'), 1, 'second']]
    assert 'overruled' not in group['Reason']
    assert [vm.driver_of('f0'), vm.driver_of('f1')] == ['e1000e'] * 2
    vm.wait(lambda: set(interfaces(vm, 'f0', 'f1')).isdisjoint(before),
            what='two new interfaces')
    entry = policyd.entry(vm, 'applied', mark, IOMMU_GROUP=two)
    assert entry['DEVICE'] == [vm.address('f0'), vm.address('f1')]
    assert (entry['TYPE_FROM'], entry['TYPE_TO']) == ('DMA', 'identity')

    # More protection needs one rule only.
    mark = policyd.mark(vm)
    policyd.policies(vm, first=None,
                     second=SECOND + 'domain = DMA\nrebind = always\n')
    policyd.wait_state(vm, two, 'compliant', 'DMA')
    entry = policyd.entry(vm, 'applied', mark, IOMMU_GROUP=two)
    assert f'{vm.address("f0")}, which no rule matches, goes along' \
        in entry['REASON']
    assert [vm.driver_of('f0'), vm.driver_of('f1')] == ['e1000e'] * 2


@pytest.mark.kernels('6.12')
def test_both_at_hotplug(vm):
    """rebind = hotplug: the functions come one by one, the group is one."""
    rule = IDENTITY.replace('always', 'hotplug')
    policyd.policies(vm, first=FIRST + rule, second=SECOND + rule)
    vm.plug(*pair('f0', 'f1', 'rp1'))
    vm.wait(lambda: vm.present('f0') and vm.present('f1'), what='the card')
    policyd.wait_state(vm, 'f0', 'compliant', 'identity')
    assert vm.group_of('f0') == vm.group_of('f1')
    vm.wait(lambda: all(interfaces(vm, 'f0', 'f1')), what='both interfaces')
    assert vm.type_of('f0') == 'identity'
    vm.unplug('f0', 'f1')
    policyd.policies(vm, first=None, second=None)


def old_rule(vm):
    policyd.policies(vm, old='[8086:100e]\ndomain = identity\n'
                             'rebind = always\n')


@pytest.mark.kernels('6.12')
def test_behind_a_conventional_bridge(vm):
    """The bridge is a member of the group, and is neither asked nor touched."""
    vm.wait(lambda: all(interfaces(vm, 'old1', 'old2')), what='interfaces')
    number, driver = vm.group_of('old1'), vm.driver_of('br')
    assert vm.group_of('old2') == number == vm.group_of('br')
    old_rule(vm)
    policyd.wait_state(vm, number, 'compliant', 'identity')
    assert vm.type_of(number) == 'identity'
    assert [vm.driver_of('old1'), vm.driver_of('old2')] == ['e1000'] * 2
    assert vm.driver_of('br') == driver
    entry = policyd.entry(vm, 'applied', IOMMU_GROUP=number)
    assert entry['CONFIG_FILE'] == policyd.path('old')
    policyd.policies(vm, old=None)


@pytest.mark.kernels('6.1')
def test_an_old_kernel_cannot_and_nothing_is_unbound(vm, two):
    assert 'groups-of-many' not in features(vm)
    before, mark = interfaces(vm, 'f0', 'f1'), policyd.mark(vm)
    policyd.policies(vm, first=FIRST + IDENTITY, second=SECOND + IDENTITY)
    group = policyd.wait_state(vm, two, 'refused', 'DMA')
    assert '6.4' in group['Reason'] and '2 devices' in group['Reason']
    assert group['LastError'][0] == \
        f'{policyd.SERVICE}.Error.KernelRefused'
    assert interfaces(vm, 'f0', 'f1') == before
    for name in ('f0', 'f1'):
        assert vm.read(f'/sys/bus/pci/devices/{vm.address(name)}'
                       '/driver_override') == '(null)'
    assert vm.type_of(two) == 'DMA'
    entry = policyd.entry(vm, 'refused', mark, IOMMU_GROUP=two)
    assert entry['DEVICE'] == [vm.address('f0'), vm.address('f1')]
    assert (entry['TYPE_FROM'], entry['TYPE_TO']) == ('DMA', 'identity')
    assert entry['STATE'] == 'refused'
    assert entry['REASON'] == group['Reason']
    # Said once, and not tried over and over.
    policyd.policies(vm)
    assert len(policyd.entries(vm, 'refused', mark, IOMMU_GROUP=two)) == 1
    assert policyd.call(vm, 'ApplyGroup', 'ua{sv}', two, {})[0] == \
        f'{policyd.SERVICE}.Error.KernelRefused'
    assert interfaces(vm, 'f0', 'f1') == before


@pytest.mark.kernels('6.1')
def test_an_old_kernel_and_a_group_that_nobody_has(vm, two):
    """The same answer where nothing would have to be unbound."""
    for name in ('f0', 'f1'):
        vm.run(f'echo {vm.address(name)} > '
               '/sys/bus/pci/drivers/e1000e/unbind')
    policyd.policies(vm, first=FIRST + IDENTITY, second=SECOND + IDENTITY)
    group = policyd.wait_state(vm, two, 'refused', 'DMA')
    assert '6.4' in group['Reason']
    assert vm.driver_of('f0') is None and vm.driver_of('f1') is None
