# SPDX-License-Identifier: GPL-2.0-or-later
"""The main scenarios on every IOMMU that QEMU has: what the boot default is,
whether a group is there before its first driver, and which types there are,
is each one's own; what a policy brings about is not."""

import contextlib

import pytest
import test_nvme_types
from test_crash import RESTART, SPECS
from test_strict_lazy import Load, disk_errors, sequence

from vmtest import (Topology, e1000, e1000e, iommus, nvme, pair, pci_bridge,
                    plugged, policyd)
from vmtest.client import wait_driver
from vmtest.vfio import User

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], configure=['--enable-failpoints'],
    # Behind a root port, nvme hangs with QEMU's amd-iommu.
    cold=[nvme('n0', 'pcie.0', slot=4, size_mb=256), e1000e('cold', 'rp1')],
    policy={'50-cold.conf': '[cold]\nmatch-address = 0000:01:00.0\n'
                            'domain = identity\nrebind = always\n'},
    load=['nvme', 'e1000e', 'vfio-pci', 'vfio_iommu_type1'],
    files={f'/etc/systemd/system/{policyd.UNIT}.d/crash.conf': RESTART,
           # virtio-iommu says nothing of interrupts.
           '/etc/modprobe.d/vfio.conf':
               'options vfio_iommu_type1 allow_unsafe_interrupts=1\n'})

# A machine of its own, since not every kernel comes up on it.
BRIDGE = Topology(
    cold=[pci_bridge('br', 'pcie.0', slot=3),
          e1000('old1', 'br', slot=1), e1000('old2', 'br', slot=2)],
    configure=TOPOLOGY.configure, load=['e1000'])

pytestmark = [pytest.mark.iommus(*iommus.NATIVE), pytest.mark.brief('6.12')]

PIN = 'iommu-policyd-hold'
NIC = '[nic]\nmatch-address = 0000:02:00.*\n'


def override(vm, device):
    return vm.read(f'/sys/bus/pci/devices/{vm.address(device)}'
                   '/driver_override')


@contextlib.contextmanager
def under_policy(vm, text, *devices):
    """Devices in the second port and a policy for them, until the end of the
    block."""
    policyd.policies(vm, nic=NIC + text)
    try:
        with plugged(vm, *devices):
            yield
    finally:
        policyd.policies(vm, nic=None)


def settled(vm):
    """Nothing is left of any transaction."""
    vm.wait('test -z "$(ls /run/iommu-policyd/transaction)"')


def test_cold_boot(vm):
    """Nothing that was there at boot is lost, be it ruled or not, and be
    there a group only with the first driver."""
    policyd.wait_state(vm, 'cold', 'compliant', 'identity')
    assert vm.type_of('cold') == 'identity'
    wait_driver(vm, vm.address('cold'), driver='e1000e')
    assert override(vm, 'cold') == '(null)'
    # No device has been lost, ruled or not.
    wait_driver(vm, vm.address('n0'), driver='nvme')
    policyd.wait_state(vm, 'n0', 'unmanaged')
    settled(vm)


@pytest.mark.parametrize('domain', [
    'identity', pytest.param('DMA', marks=pytest.mark.brief()), 'DMA-FQ'])
def test_hotplug(vm, domain):
    with under_policy(vm, f'domain = {domain}\n', e1000e('nic', 'rp2')):
        policyd.wait_state(vm, 'nic', 'compliant', domain)
        assert vm.type_of('nic') == domain
        wait_driver(vm, vm.address('nic'), driver='e1000e')
        assert override(vm, 'nic') == '(null)'
        # It does its DMA: what the IOMMU stopped would be a complaint.
        folder = f'/sys/bus/pci/devices/{vm.address("nic")}/net'
        vm.wait(f'ls {folder} | grep -q .', what='the interface')
        name = vm.out(f'ls {folder}')
        vm.run(f'ip link set {name} up')
        vm.wait(f'test "$(cat /sys/class/net/{name}/carrier)" = 1')
        vm.run(f'ip link set {name} down')
        settled(vm)


def test_a_rules_driver_at_hotplug(vm):
    """The driver that was first is not the one that is wanted."""
    with under_policy(vm, 'domain = DMA\ndriver = vfio-pci\n',
                      e1000e('nic', 'rp2')):
        policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
        assert vm.driver_of('nic') == 'vfio-pci'


def test_group_of_several_at_hotplug(vm, record_property):
    with under_policy(vm, 'domain = identity\n', *pair('f0', 'f1', 'rp2')):
        wait_driver(vm, vm.address('f1'), driver='e1000e')
        vm.wait(lambda: vm.group_of('f0') == vm.group_of('f1') is not None,
                what='one group')
        if vm.release == '6.1':
            record_property('outcome', 'refused')
            group = policyd.wait_state(vm, 'f0', 'refused')
            assert '6.4' in group['Reason'] and '2 devices' in group['Reason']
        else:
            for name in ('f0', 'f1'):
                policyd.wait_state(vm, name, 'compliant', 'identity')
        for name in ('f0', 'f1'):
            wait_driver(vm, vm.address(name), driver='e1000e')
            assert override(vm, name) == '(null)'


@pytest.mark.impossible(
    'virtio', '7.2', "once QEMU's device has said no to one behind a "
    'conventional bridge, this kernel gives no group to any other')
def test_group_behind_a_bridge(boot, iommu, record_property):
    """Two devices and a bridge: one rule for both, or the kernel's no."""
    vm = boot(BRIDGE)
    wait_driver(vm, vm.address('old1'), driver='e1000')
    if iommu.startswith('virtio'):
        # QEMU's virtio-iommu knows nothing there by the device's own address:
        # the kernel gives it no group, and so there is nothing to change.
        assert vm.group_of('old1') is vm.group_of('old2') is None
        policyd.policies(vm, old='[8086:100e]\nrebind = always\n'
                         'domain = identity\n')
        for name in ('old1', 'old2'):
            wait_driver(vm, vm.address(name), driver='e1000')
        return
    number = vm.group_of('old1')
    arm = iommu == 'smmuv3'
    if arm:
        # Both are seen by the bridge's stream, and the kernel's driver has one
        # device for a stream ("already in tree"): the second has no group.
        assert vm.group_of('old2') is None
    else:
        assert number == vm.group_of('old2')
    before = vm.type_of(number)
    for domain in ('identity', 'DMA'):
        policyd.policies(vm, old='[8086:100e]\nrebind = always\n'
                         f'domain = {domain}\n')
        if domain != before and (arm or vm.release == '6.1'):
            record_property('outcome', 'refused')
            group = policyd.wait_state(vm, number, 'refused', before)
            # On Arm the bridge itself has a driver, for hotplug behind it.
            assert ('interrupts' if arm else '6.4') in group['Reason']
        else:
            policyd.wait_state(vm, number, 'compliant', domain)
        assert [vm.driver_of('old1'), vm.driver_of('old2')] == ['e1000'] * 2


@pytest.mark.brief()
def test_data_survives_every_type(vm, monkeypatch):
    monkeypatch.setattr(test_nvme_types, 'PIECE', 4)
    test_nvme_types.test_data_survives_every_type(vm)


def test_strict_to_lazy_live(vm):
    """The driver keeps its disk, and the disk goes on, checked throughout."""
    test_nvme_types.rule(vm, 'DMA')
    policyd.wait_state(vm, 'n0', 'compliant', 'DMA')
    vm.wait('test -b /dev/nvme0n1')
    probe, load = sequence(vm), Load(vm)
    policyd.policies(vm, disk='[storage]\nmatch-class = 0108\n'
                     'domain = DMA-FQ\n')
    policyd.wait_state(vm, 'n0', 'compliant', 'DMA-FQ')
    assert vm.type_of('n0') == 'DMA-FQ'
    load.more()
    # Back again the driver has to let go, and rebind is not said.
    policyd.policies(vm, disk='[storage]\nmatch-class = 0108\n'
                     'domain = DMA\n')
    group = policyd.wait_state(vm, 'n0', 'pending', 'DMA-FQ')
    assert 'waits for driver nvme to let go of' in group['Reason']
    load.more()
    load.stop()
    assert sequence(vm) == probe
    assert disk_errors(vm) == ''
    policyd.policies(vm, disk=None)


def test_quarantine(vm):
    with under_policy(vm, 'domain = blocked\n', e1000e('nic', 'rp2')):
        group = policyd.wait_state(vm, 'nic', 'compliant', 'blocked')
        assert group['Owner'] == 'policy'
        assert vm.type_of('nic') == 'DMA'
        assert vm.driver_of('nic') is None
        assert override(vm, 'nic') == PIN
        address = vm.address('nic')
        assert vm.run(f'echo {address} > /sys/bus/pci/drivers/e1000e/bind',
                      check=False).status
        vm.run(f'systemctl kill -s KILL {policyd.UNIT}')
        vm.wait('busctl status org.iommupolicy1 >/dev/null')
        policyd.wait_state(vm, 'nic', 'compliant', 'blocked')
        assert vm.driver_of('nic') is None
        policyd.policies(vm, nic=f'{NIC}domain = DMA\nrebind = always\n')
        policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
        wait_driver(vm, address, driver='e1000e')
        assert override(vm, 'nic') == '(null)'


def test_user_owned(vm):
    with under_policy(vm, 'domain = DMA\ndriver = vfio-pci\n',
                      e1000e('nic', 'rp2')):
        policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
        with User(vm, 'nic') as user:
            policyd.policies(vm, nic=f'{NIC}domain = identity\n'
                             'driver = vfio-pci\nrebind = always\n')
            group = policyd.wait_state(vm, 'nic', 'user-owned', 'DMA')
            assert group['Reason'].startswith(user.reason)
            assert vm.type_of('nic') == 'DMA'
            user.tell('close', 'closed')
            policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        assert vm.driver_of('nic') == 'vfio-pci'


@pytest.mark.parametrize('place', [
    'bind.before',
    *(pytest.param(place, marks=pytest.mark.brief())
      for place in ('type.before', 'unbind.after', 'type.after'))])
def test_crash_recovery(vm, place):
    """Worker and daemon are killed at once; the next daemon puts it right."""
    policyd.wait_state(vm, 'cold', 'compliant', 'identity')
    number, pid = vm.group_of('cold'), policyd_pid(vm)
    vm.write(SPECS, f'run:{place}@{number}=kill-daemon\n')
    vm.policy('50-cold.conf', '[cold]\nmatch-address = 0000:01:00.0\n'
              'domain = DMA\nrebind = always\n')
    vm.wait(lambda: policyd_pid(vm) not in ('0', pid),
            what='the next daemon')
    vm.run(f'rm -f {SPECS}')
    policyd.wait_state(vm, number, 'compliant', 'DMA')
    wait_driver(vm, vm.address('cold'), driver='e1000e')
    assert override(vm, 'cold') == '(null)'
    settled(vm)
    policyd.policies(vm, cold='[cold]\nmatch-address = 0000:01:00.0\n'
                     'domain = identity\nrebind = always\n')
    policyd.wait_state(vm, 'cold', 'compliant', 'identity')


def policyd_pid(vm):
    return vm.out(['systemctl', 'show', '-P', 'MainPID', policyd.UNIT])
