# SPDX-License-Identifier: GPL-2.0-or-later
"""The module's gate: what is plugged in meets no driver before somebody, or
the clock, lets it through.
"""

import pytest

from vmtest import Topology, e1000e, nvme, pair, pci_bridge, sriov_nvme
from vmtest.client import (Client, bind, override, stays, unbind,
                           wait_driver, write_error, write_type)

pytestmark = [pytest.mark.kernels('6.12', '6.1'),
              pytest.mark.brief('6.1'),
              pytest.mark.usefixtures('nothing_left')]

TOPOLOGY = Topology(
    ports=['rp1', 'rp2', 'rp3'], module=True, enable=(),
    load=['iommu_policy', 'e1000e', 'nvme', 'vfio-pci'],
    subsystems=['ss'])

LONG = 3600000      # milliseconds: nothing here waits for it


@pytest.fixture
def one(clients):
    return clients()


@pytest.fixture
def unplugged(vm):
    """Ends with the ports empty, whatever was plugged in."""
    yield
    names = [name for name in ('nic', 'disk', 'pf', 'f0', 'f1', 'br')
             if vm.plugged(name)]
    places = [vm.address(name) for name in names]
    vm.unplug(*names)
    gone = ' && '.join(f'[ ! -e /sys/bus/pci/devices/{place} ]'
                       for place in places) or 'true'
    vm.wait(gone, what='the devices to go')


def plug_nic(vm, one):
    """Plugs a card in; its address, once the gate holds it."""
    since = one.mark()
    vm.plug(e1000e('nic', 'rp1'))
    address = vm.address('nic')
    event = one.event('gate-held', since, device=address)
    assert event['group'] == vm.group_of('nic')
    return address


def names(events, address):
    """The gate's events about a device, in their order."""
    return [event['event'] for event in events
            if event.get('device') == address]


def test_held_until_released(vm, one, unplugged):
    """Two devices, both drivers loaded: the type is there before they are."""
    one_since = one.mark()
    assert 'gate' not in one.info()
    assert one.ask('gate-arm', timeout=LONG)['error'] is None
    one.event('gate-armed', one_since)
    vm.plug(e1000e('nic', 'rp1'), nvme('disk', 'rp2'))
    nic, disk = vm.address('nic'), vm.address('disk')
    for address in (nic, disk):
        event = one.event('gate-held', device=address)
        assert event['group'] == vm.group_of(address)
    assert one.info()['gate'] == {
        'flags': [], 'timeout': LONG, 'portid': one.portid, 'pid': one.pid,
        'held': 2}
    assert one.flags(nic) == one.flags(disk) == ['gated']
    stays(vm, nic)
    stays(vm, disk)
    assert bind(vm, 'e1000e', nic) == 'EAGAIN'
    assert write_error(vm, '/sys/bus/pci/drivers_probe', disk) == 'EINVAL'
    for address in (nic, disk):
        assert write_type(vm, address, 'identity') is None

    done = one.must('gate-release', 'probe', device=nic)
    assert done['device'] == nic
    assert vm.driver_of(nic) == 'e1000e' and vm.type_of(nic) == 'identity'
    assert vm.driver_of(disk) is None
    assert one.info()['gate']['held'] == 1
    one.must('gate-release', 'probe', device=disk)
    assert vm.driver_of(disk) == 'nvme' and vm.type_of(disk) == 'identity'
    for address in (nic, disk):
        assert names(one.events(), address) == ['gate-held', 'gate-opened']
        assert one.error('gate-release', device=address) == 'ENOENT'
    assert one.ask('gate-disarm')['error'] is None
    one.event('gate-disarmed')
    assert 'gate' not in one.info()


def test_the_kernel_binds_it_once(vm, one, unplugged):
    """No unbind, and one bind: counted by their uevents."""
    job = vm.start('exec udevadm monitor --kernel --subsystem-match=pci')
    vm.wait(lambda: 'KERNEL' in job.peek().stdout, what='the monitor')
    one.ask('gate-arm', timeout=LONG)
    nic = plug_nic(vm, one)
    assert write_type(vm, nic, 'identity') is None
    one.must('gate-release', 'probe', device=nic)
    vm.wait(lambda: ' bind ' in job.peek().stdout, what='the bind event')
    found = [line.split()[1] for line in job.stop().stdout.splitlines()
             if f'{nic} (pci)' in line]
    assert found == ['add', 'bind']


def test_opens_by_itself(vm, one, unplugged):
    one.ask('gate-arm', timeout=500)
    nic = plug_nic(vm, one)
    opened = one.event('gate-opened', device=nic)
    held = one.event('gate-held', device=nic)
    # A timer of the kernel counts ticks, the first of which may be all but
    # over: half of the time is what tells it from a gate that did not wait.
    assert opened['t'] - held['t'] >= 0.25
    wait_driver(vm, nic, driver='e1000e')
    assert names(one.events(), nic) == ['gate-held', 'gate-timeout',
                                        'gate-opened']
    assert one.info()['gate']['held'] == 0


def test_keeps_shut(vm, one, unplugged):
    """The clock is told of, and that is all."""
    one.ask('gate-arm', 'keep-shut', timeout=500)
    assert one.info()['gate']['flags'] == ['keep-shut']
    nic = plug_nic(vm, one)
    one.event('gate-timeout', device=nic)
    stays(vm, nic)
    assert one.flags(nic) == ['gated']
    assert names(one.events(), nic) == ['gate-held', 'gate-timeout']
    one.must('gate-release', 'probe', device=nic)
    assert vm.driver_of(nic) == 'e1000e'


@pytest.mark.parametrize('way', ['disarm', 'close', 'kill'])
def test_ends_with_its_owner(vm, clients, one, unplugged, way):
    """What it holds is let through and offered to the drivers."""
    owner = clients(events=False)
    assert owner.ask('gate-arm', 'keep-shut', timeout=LONG)['error'] is None
    nic = plug_nic(vm, one)
    since = one.mark()
    if way == 'disarm':
        assert owner.ask('gate-disarm')['error'] is None
    else:
        getattr(owner, way)()
    one.event('gate-disarmed', since)
    one.event('gate-opened', since, device=nic)
    wait_driver(vm, nic, driver='e1000e')
    assert 'gate' not in one.info()
    # And the next one is not held.
    vm.plug(nvme('disk', 'rp2'))
    disk = vm.address('disk')
    wait_driver(vm, disk, driver='nvme')
    assert names(one.events(), disk) == []


def test_sticky(vm, clients, one, unplugged):
    """Nobody's any more, it goes on, and anybody may take or end it."""
    owner = clients(events=False)
    owner.ask('gate-arm', 'sticky', 'keep-shut', timeout=LONG)
    assert one.info()['gate']['flags'] == ['sticky', 'keep-shut']
    owner.kill()
    vm.wait(lambda: one.info()['gate']['portid'] == 0, what='the orphan')
    nic = plug_nic(vm, one)
    stays(vm, nic)

    # Armed anew it is owned again; what it holds, it holds.
    assert one.ask('gate-arm', timeout=LONG)['error'] is None
    gate = one.info()['gate']
    assert gate == {'flags': [], 'timeout': LONG, 'portid': one.portid,
                    'pid': one.pid, 'held': 1}
    other = clients(events=False)
    assert other.ask('gate-disarm')['error'] == 'EBUSY'
    one.ask('gate-arm', 'sticky', timeout=LONG)
    one.close()
    vm.wait(lambda: other.info()['gate']['portid'] == 0, what='the orphan')
    assert other.ask('gate-disarm')['error'] is None
    wait_driver(vm, nic, driver='e1000e')


def test_a_second_armer(vm, clients, one, unplugged):
    other = clients(events=False)
    assert one.ask('gate-disarm')['error'] == 'ENOENT'
    one.ask('gate-arm', timeout=LONG)
    assert other.ask('gate-arm', timeout=LONG)['error'] == 'EBUSY'
    assert other.ask('gate-disarm')['error'] == 'EBUSY'
    assert other.info()['gate']['pid'] == one.pid
    # Letting one device through is anybody's.
    nic = plug_nic(vm, one)
    other.must('gate-release', 'probe', device=nic)
    assert vm.driver_of(nic) == 'e1000e'


def test_new_settings_are_for_devices_to_come(vm, one, unplugged):
    one.ask('gate-arm', timeout=LONG)
    nic = plug_nic(vm, one)
    assert one.ask('gate-arm', timeout=300)['error'] is None
    vm.plug(nvme('disk', 'rp2'))
    disk = vm.address('disk')
    one.event('gate-opened', device=disk)
    wait_driver(vm, disk, driver='nvme')
    stays(vm, nic)
    assert names(one.events(), nic) == ['gate-held']


def test_what_was_there_stays_as_it_is(vm, one, unplugged):
    """Removed and found again, it is a device that appears."""
    vm.plug(e1000e('nic', 'rp1'))
    nic = vm.address('nic')
    wait_driver(vm, nic, driver='e1000e')
    one.ask('gate-arm', timeout=LONG)
    assert unbind(vm, nic) is None and bind(vm, 'e1000e', nic) is None
    since = one.mark()
    vm.run(f'echo 1 > /sys/bus/pci/devices/{nic}/remove; '
           'echo 1 > /sys/bus/pci/rescan')
    one.event('gate-held', since, device=nic)
    stays(vm, nic)
    one.must('gate-release', 'probe', device=nic)
    assert vm.driver_of(nic) == 'e1000e'


def test_for_another_driver(vm, one, unplugged):
    """The first driver is the one that the override names."""
    one.ask('gate-arm', timeout=LONG)
    nic = plug_nic(vm, one)
    override(vm, nic, 'vfio-pci')
    one.must('gate-release', 'probe', device=nic)
    assert vm.driver_of(nic) == 'vfio-pci'


def test_unplugged_again(vm, one, unplugged):
    """Gone while it was held: no event of a release, nothing left."""
    one.ask('gate-arm', timeout=LONG)
    nic = plug_nic(vm, one)
    vm.unplug('nic')
    vm.wait(lambda: one.info()['gate']['held'] == 0, what='the gate to know')
    assert one.error('gate-release', device=nic) in ('ENODEV', 'ENOENT')
    # What comes into its place is held anew.
    again = plug_nic(vm, one)
    assert again == nic and one.info()['gate']['held'] == 1


def test_bridges_pass(vm, one, unplugged):
    one.ask('gate-arm', timeout=LONG)
    since = one.mark()
    vm.plug(pci_bridge('br', 'rp3'))
    bridge = vm.address('br')
    vm.wait(lambda: vm.present('br'), what='the bridge')
    vm.plug(e1000e('nic', 'rp1'))
    # By when the next device is held, the bridge would have been.
    one.event('gate-held', since, device=vm.address('nic'))
    assert names(one.events(since), bridge) == []
    assert one.flags(bridge)[0] == 'bridge'
    assert 'gated' not in one.flags(bridge)


def test_a_card_of_two_one_by_one(vm, one, unplugged):
    """Each device is let through for itself; the group is one."""
    one.ask('gate-arm', timeout=LONG)
    vm.plug(*pair('f0', 'f1', 'rp1'))
    first, second = vm.address('f0'), vm.address('f1')
    for address in (first, second):
        one.event('gate-held', device=address)
    one.must('gate-release', 'probe', device=first)
    assert vm.driver_of(first) == 'e1000e'
    stays(vm, second)
    assert one.flags(second) == ['gated']
    one.must('gate-release', 'probe', device=second)
    assert vm.driver_of(second) == 'e1000e'


def test_gate_and_hold(vm, one, unplugged):
    """A device that both keep: each has to let go."""
    one.ask('gate-arm', timeout=LONG)
    nic = plug_nic(vm, one)
    one.must('hold', device=nic)
    assert one.flags(nic) == ['held', 'gated']
    one.must('gate-release', 'probe', device=nic)
    stays(vm, nic)
    assert one.flags(nic) == ['held']
    one.must('release', 'probe', device=nic)
    wait_driver(vm, nic, driver='e1000e')


def test_virtual_functions(vm, one, unplugged):
    """Each of them is held when it is made."""
    vm.plug(sriov_nvme('pf', 'rp3', 2))
    parent = vm.address('pf')
    wait_driver(vm, parent, driver='nvme')
    one.ask('gate-arm', timeout=LONG)
    folder = f'/sys/bus/pci/devices/{parent}'
    # Offline they are no good to their driver; another one takes them.
    vm.run(f'echo 2 > {folder}/sriov_numvfs')
    functions = vm.out(f'for link in {folder}/virtfn*; do '
                       'basename $(readlink $link); done').split()
    assert len(functions) == 2
    for address in functions:
        one.event('gate-held', device=address)
        assert one.flags(address) == ['gated']
        assert bind(vm, 'nvme', address) == 'EAGAIN'
    assert names(one.events(), parent) == []
    override(vm, functions[0], 'vfio-pci')
    one.must('gate-release', 'probe', device=functions[0])
    assert vm.driver_of(functions[0]) == 'vfio-pci'
    assert vm.driver_of(functions[1]) is None
    vm.run(f'echo 0 > {folder}/sriov_numvfs')
    vm.wait(lambda: one.info()['gate']['held'] == 0, what='the gate to know')


def test_the_module_goes(vm, one, unplugged):
    """With a device at the gate, which is nobody's to open."""
    one.ask('gate-arm', 'sticky', 'keep-shut', timeout=LONG)
    nic = plug_nic(vm, one)
    vm.run('modprobe -r iommu_policy')
    wait_driver(vm, nic, driver='e1000e')
    vm.run('modprobe iommu_policy')


@pytest.mark.kernels('6.12')
def test_a_device_without_a_group(boot):
    """virtio-iommu: its group comes with its first driver, so it passes. Since
    Linux 6.15 it has its group before, and waits."""
    vm = boot(Topology(ports=['rp1'], iommu='virtio', module=True, enable=(),
                       load=['virtio_iommu', 'iommu_policy', 'e1000e']))
    one = Client(vm)
    one.ask('gate-arm', 'keep-shut', timeout=LONG)
    vm.plug(e1000e('nic', 'rp1'))
    nic = vm.address('nic')
    if vm.release == '7.2':
        assert 'group' in one.event('gate-held', device=nic)
        one.must('gate-release', 'probe', device=nic)
        wait_driver(vm, nic, driver='e1000e')
        vm.run('modprobe -r iommu_policy')
        return
    event = one.event('gate-passed', device=nic)
    assert 'group' not in event
    wait_driver(vm, nic, driver='e1000e')
    assert vm.group_of(nic) is not None
    assert one.info()['gate']['held'] == 0
    assert one.flags(nic) == ['bound']
    assert names(one.events(), nic) == ['gate-passed']
    # With its group it is there already; found again, it has none again.
    one.must('hold', device=nic)
    assert unbind(vm, nic) is None and bind(vm, 'e1000e', nic) == 'EAGAIN'
    one.must('release', 'probe', device=nic)
    wait_driver(vm, nic, driver='e1000e')
    vm.run('modprobe -r iommu_policy')
