# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices through which the firmware does DMA: shown, never cut off, and
changed as the kernel allows it; with the kernel module, and without."""

import pytest

from vmtest import Device, Topology, acpi, bus, cache, e1000e, policyd
from vmtest.client import wait_driver
from vmtest.writes import Writes

# Reserved by the firmware's memory map, as such a region has to be.
FIRST, LAST = REGION = 0xf0000, 0xf0fff
ELSEWHERE = 0x2000000
EDU, NIC, USB = (3, 0), (4, 0), (5, 0)      # on the root bus

TOPOLOGY = Topology(
    ports=['rp1'], module=True,
    cold=[Device('edu', 'edu', 'pcie.0', *EDU),
          e1000e('nic', 'pcie.0', slot=NIC[0]),
          # Of USB and graphics Linux knows that the firmware has let go.
          Device('qemu-xhci', 'usb', 'pcie.0', *USB),
          e1000e('other', 'rp1')],
    acpi_tables={'dmar.aml': acpi.dmar([(*REGION, [EDU]), (*REGION, [NIC]),
                                        (*REGION, [USB])])},
    load=['e1000e', 'xhci_pci'],
    # Where the device reads that may not.
    expect_kernel=[r'DMAR: DRHD: handling fault', r'DMAR: .*\[00:03\.0\]'])

ERROR = f'{policyd.SERVICE}.Error.RequiresDirect'
FORCED = {'rebind': ['b', True], 'force': ['b', True]}

pytestmark = pytest.mark.usefixtures('backend')


@pytest.fixture
def rule(vm):
    """rule(device, text); afterwards everything is as at boot."""
    ruled = {}

    def write(device, text):
        ruled.setdefault(device, vm.driver_of(device))
        policyd.policies(vm, **{device: f'[{device}]\nrebind = always\n'
                                f'match-address = {vm.address(device)}\n'
                                f'{text}'})
    yield write
    for device, driver in ruled.items():
        policyd.policies(vm, **{device: None})
        assert policyd.call(vm, 'Restore', 'u',
                            vm.group_of(device)) == ('', '')
        assert vm.type_of(device) == 'DMA'
        wait_driver(vm, vm.address(device), driver=driver)
    assert vm.out('ls /run/iommu-policyd/transaction') == ''


def regions(vm, device):
    return policyd.group(vm, device)['ReservedRegions']


def show(vm, device):
    return vm.out(['iommu-policyctl', 'show', str(vm.group_of(device))])


def test_shown(vm):
    for device, kind, direct, words in (
            ('nic', 'direct', True, "which rules out 'blocked'"),
            ('usb', 'direct-relaxable', False, "'blocked' is possible")):
        group = policyd.group(vm, device)
        assert [FIRST, LAST, kind] in group['ReservedRegions']
        assert group['RequiresDirect'] is direct
        text = show(vm, device)
        assert f'{FIRST:#x}-{LAST:#x} {kind}\n' in text
        assert words in text
    group = policyd.group(vm, 'other')
    assert not [kind for _, _, kind in group['ReservedRegions']
                if kind.startswith('direct')]
    assert group['RequiresDirect'] is False
    assert 'direct' not in show(vm, 'other')


@pytest.mark.parametrize('text', ['', 'force = yes\n'])
def test_blocked_is_refused(vm, rule, text):
    number = vm.group_of('nic')
    mark = policyd.mark(vm)
    with Writes(vm) as writes, bus.Monitor(vm) as monitor:
        rule('nic', f'domain = blocked\n{text}')
        group = policyd.wait_state(vm, 'nic', 'refused', 'DMA')
        assert 'direct reserved region' in group['Reason']
        assert group['LastError'] == [ERROR, group['Reason']]
        assert group['RequiresDirect'] is True
        entry = policyd.entry(vm, 'refused', mark, IOMMU_GROUP=number)
        assert entry['REASON'] == group['Reason']
        assert policyd.call(vm, 'ApplyGroup', 'ua{sv}', number, FORCED) == (
            ERROR, group['Reason'])
        assert policyd.call(vm, 'SetGroupType', 'usa{sv}', number, 'blocked',
                            FORCED)[0] == ERROR
        assert vm.driver_of('nic') == 'e1000e'
        assert writes.all() == []
        assert 'applying' not in monitor.changes(bus.group_path(number),
                                                 'State')


def test_other_types(vm, rule):
    """As the kernel allows them; the region stays."""
    before = regions(vm, 'nic')
    for word in ('identity', 'DMA-FQ', 'identity', 'DMA'):
        rule('nic', f'domain = {word}\n')
        policyd.wait_state(vm, 'nic', 'compliant', word)
        assert vm.type_of('nic') == word
        assert vm.driver_of('nic') == 'e1000e'
        assert regions(vm, 'nic') == before


def test_the_firmware_goes_on(vm, rule):
    """The device reaches its region under every type, and the rest of the
    memory under identity only.
    """
    address = vm.address('edu')
    vm.write('/run/edu-dma.py',
             (cache.GUEST_FILES / 'edu-dma.py').read_bytes())

    def read(*places):
        for place in places:
            assert vm.out(f'python3 /run/edu-dma.py {address} '
                          f'{place:#x}') == 'done'

    def only_elsewhere_fails():
        """Of two reads the second one, whose fault is told last."""
        vm.run('dmesg --clear')
        read(FIRST, ELSEWHERE)
        vm.wait(f'dmesg | grep "00:03.0. fault addr {ELSEWHERE:#x} "')
        assert f'fault addr {FIRST:#x} ' not in vm.out('dmesg')

    for word in ('identity', 'DMA', 'DMA-FQ', 'identity', 'DMA-FQ', 'DMA'):
        rule('edu', f'domain = {word}\n')
        policyd.wait_state(vm, 'edu', 'compliant', word)
        if word != 'identity':
            only_elsewhere_fails()
            continue
        vm.run('dmesg --clear')
        read(FIRST, ELSEWHERE)
        assert 'fault addr' not in vm.out('dmesg')
    rule('edu', 'domain = blocked\nforce = yes\n')
    policyd.wait_state(vm, 'edu', 'refused', 'DMA')
    only_elsewhere_fails()


def test_relaxable_is_no_obstacle(vm, rule):
    driver = vm.driver_of('usb')
    assert driver == 'xhci_hcd'
    rule('usb', 'domain = blocked\n')
    group = policyd.wait_state(vm, 'usb', 'compliant', 'blocked')
    assert group['Owner'] == 'policy'
    assert vm.driver_of('usb') is None
    rule('usb', 'domain = identity\n')
    policyd.wait_state(vm, 'usb', 'compliant', 'identity')
    assert vm.driver_of('usb') == driver
