# SPDX-License-Identifier: GPL-2.0-or-later
"""The module's holds: nothing binds while one lasts, however it is tried, and
at its end exactly what lost its chance is offered to the drivers again.
"""

import pytest

from vmtest import (Topology, e1000, e1000e, nvme, pair, pci_bridge,
                    sriov_nvme)
from vmtest.client import (bind, override, reload, stays, unbind, wait_driver,
                           write_error, write_type)

pytestmark = [pytest.mark.kernels('6.12', '6.1'),
              pytest.mark.brief('6.1'),
              pytest.mark.usefixtures('nothing_left')]

TOPOLOGY = Topology(
    ports=['rp1', 'rp2', 'rp3', 'rp4'], module=True, enable=(),
    cold=[e1000e('nic', 'rp1'), nvme('disk', 'rp2'),
          pci_bridge('br', 'pcie.0', slot=3),
          e1000('old1', 'br', slot=1), e1000('old2', 'br', slot=2)],
    load=['iommu_policy', 'e1000', 'e1000e', 'nvme', 'vfio-pci'],
    subsystems=['ss'])

PROBE = '/sys/bus/pci/drivers_probe'


@pytest.fixture
def nic(vm):
    """The network card's address; it has its driver, before and after."""
    address = vm.address('nic')
    wait_driver(vm, address, driver='e1000e')
    yield address
    override(vm, address, None)
    if not vm.driver_of(address):
        bind(vm, 'e1000e', address)
    wait_driver(vm, address, driver='e1000e')


@pytest.fixture
def two(vm):
    """A card of two functions in one group, bound; their addresses."""
    vm.plug(*pair('f0', 'f1', 'rp3'))
    addresses = vm.address('f0'), vm.address('f1')
    wait_driver(vm, *addresses, driver='e1000e')
    assert vm.group_of('f0') == vm.group_of('f1')
    yield addresses
    if vm.plugged('f0'):
        vm.unplug('f0', 'f1')
    vm.wait(lambda: not vm.present(addresses[0]), what='the card to go')


def remove(vm, address):
    vm.run(f'echo 1 > /sys/bus/pci/devices/{address}/remove')


def rescan(vm):
    vm.run('echo 1 > /sys/bus/pci/rescan')


def interface(vm, address):
    """A number that a driver's every probe makes anew."""
    return vm.out(f'cat /sys/bus/pci/devices/{address}/net/*/ifindex')


def test_nothing_binds(vm, clients, nic):
    """Whichever way is tried; and types can be written meanwhile."""
    one = clients()
    since = one.mark()
    assert unbind(vm, nic) is None
    done = one.must('hold', device=nic)
    assert done['device'] == nic and 'group' not in done
    number = vm.group_of(nic)
    assert one.event('held', since)['group'] == number
    group = one.group(nic)
    assert group['holder'] == {'portid': one.portid, 'pid': one.pid}
    assert (group['group'], group['owner']) == (number, 'none')
    assert group['devices'] == [{'address': nic, 'flags': ['held']}]
    assert group == {**one.group(number), 't': group['t'],
                     'seq': group['seq']}

    assert bind(vm, 'e1000e', nic) == 'EAGAIN'
    assert write_error(vm, PROBE, nic) == 'EINVAL'
    override(vm, nic, 'vfio-pci')
    assert bind(vm, 'vfio-pci', nic) == 'EAGAIN'
    override(vm, nic, None)
    for word in ('identity', 'DMA-FQ', 'auto', 'DMA'):
        assert write_type(vm, nic, word) is None
        assert one.group(nic)['domain'] == vm.type_of(nic)
    assert vm.driver_of(nic) is None

    assert one.must('release', 'probe', group=number)['group'] == number
    # It was unbound before, so it is nothing that the hold took; but a
    # driver was kept from it, so the kernel tries that one again.
    wait_driver(vm, nic, driver='e1000e')
    assert one.event('released', since)['group'] == number
    assert one.flags(nic) == ['bound']


def test_another_ones_bind_does_not_open_it(vm, clients, nic):
    """Each bind in the system makes the kernel try deferred ones again."""
    one, disk = clients(), vm.address('disk')
    unbind(vm, nic)
    one.must('hold', device=nic)
    assert write_error(vm, PROBE, nic) == 'EINVAL'
    assert nic in vm.read('/sys/kernel/debug/devices_deferred')
    assert unbind(vm, disk) is None and bind(vm, 'nvme', disk) is None
    stays(vm, nic)
    # Nothing that the hold took. The kernel itself tries once more, with the
    # next bind of whatever device.
    one.must('release', device=nic)
    assert unbind(vm, disk) is None and bind(vm, 'nvme', disk) is None
    wait_driver(vm, nic, driver='e1000e')


def test_a_bind_that_failed_has_been_told(vm, clients, nic):
    """Who wrote to bind knows of it; no driver comes by itself later."""
    one = clients()
    unbind(vm, nic)
    one.must('hold', device=nic)
    assert bind(vm, 'e1000e', nic) == 'EAGAIN'
    one.must('release', 'probe', device=nic)
    stays(vm, nic)


def test_a_driver_is_loaded_meanwhile(vm, clients, nic):
    """Its module binds nothing at once, and binds when the hold ends."""
    one = clients()
    vm.run('modprobe -r e1000e')
    one.must('hold', device=nic)
    vm.run('modprobe e1000e')
    stays(vm, nic)
    one.must('release', 'probe', device=nic)
    wait_driver(vm, nic, driver='e1000e')


def test_a_driver_is_unloaded_meanwhile(vm, clients, nic):
    one = clients()
    one.must('hold', device=nic)
    vm.run('modprobe -r e1000e')
    assert vm.driver_of(nic) is None
    vm.run('modprobe e1000e')
    stays(vm, nic)
    one.must('release', 'probe', device=nic)
    assert vm.driver_of(nic) == 'e1000e'    # with DONE, not some time later


def test_what_is_bound_stays_bound(vm, clients, nic):
    one, before = clients(), interface(vm, nic)
    one.must('hold', device=nic)
    assert one.flags(nic) == ['bound', 'held']
    assert one.group(nic)['owner'] == 'kernel'
    stays(vm, nic, 'e1000e')
    one.must('release', 'probe', device=nic)
    assert interface(vm, nic) == before

    one.must('hold', device=nic)
    assert unbind(vm, nic) is None
    assert bind(vm, 'e1000e', nic) == 'EAGAIN'
    one.must('release', 'probe', device=nic)
    assert vm.driver_of(nic) == 'e1000e'
    assert interface(vm, nic) != before


def test_release_without_probe(vm, clients, nic):
    """Nobody asked for it, so nobody gets it."""
    one = clients()
    one.must('hold', device=nic)
    unbind(vm, nic)
    one.must('release', device=nic)
    stays(vm, nic)
    assert bind(vm, 'e1000e', nic) is None


def test_kept_for_one_driver(vm, clients, nic):
    """driver_override before the release says who gets the device."""
    one = clients()
    one.must('hold', device=nic)
    unbind(vm, nic)
    assert bind(vm, 'e1000e', nic) == 'EAGAIN'
    override(vm, nic, 'vfio-pci')
    one.must('release', 'probe', device=nic)
    assert vm.driver_of(nic) == 'vfio-pci'
    unbind(vm, nic)


def test_what_was_unbound_on_purpose_stays_so(vm, clients, two):
    """Of one group: the one gets its driver back, the other never had it."""
    one, (first, second) = clients(), two
    unbind(vm, second)
    one.must('hold', device=second)
    assert one.flags(first) == ['bound', 'held']
    assert one.flags(second) == ['held']
    unbind(vm, first)
    one.must('release', 'probe', device=first)
    assert vm.driver_of(first) == 'e1000e'
    stays(vm, second)


def test_a_device_joins(vm, clients, two):
    """It is held as the others are, and bound when the hold ends."""
    one, (first, second) = clients(), two
    remove(vm, second)
    one.must('hold', device=first)
    rescan(vm)
    vm.wait(lambda: vm.present(second), what='the second function')
    assert vm.group_of(second) == vm.group_of(first)
    assert one.flags(second) == ['held']
    stays(vm, second)
    assert bind(vm, 'e1000e', second) == 'EAGAIN'
    one.must('release', 'probe', device=first)
    assert vm.driver_of(second) == 'e1000e'


def test_a_device_leaves(vm, clients, two):
    """The hold goes on with the rest; who comes back is as new."""
    one, (first, second) = clients(), two
    one.must('hold', device=first)
    remove(vm, second)
    assert not vm.present(second)
    assert one.group(first)['holder']['pid'] == one.pid
    rescan(vm)
    vm.wait(lambda: vm.present(second), what='the second function')
    stays(vm, second)
    one.must('release', 'probe', device=first)
    assert vm.driver_of(second) == 'e1000e'


def test_the_group_goes(vm, clients, two):
    """Its hold ends with it, and the next of that number is free."""
    one, (first, second) = clients(), two
    number = vm.group_of(first)
    one.must('hold', device=first)
    since = one.mark()
    remove(vm, second)
    remove(vm, first)
    one.event('released', since, group=number)
    assert one.error('release', group=number) == 'ENODEV'
    rescan(vm)
    wait_driver(vm, *two, driver='e1000e')
    assert 'holder' not in one.group(first)
    assert one.flags(first) == one.flags(second) == ['bound']


@pytest.mark.parametrize('way', ['unplug', 'remove'])
def test_a_lone_device_goes(vm, clients, way):
    one = clients()
    vm.plug(e1000e('hot', 'rp4'))
    address = vm.address('hot')
    wait_driver(vm, address, driver='e1000e')
    number = vm.group_of('hot')
    one.must('hold', group=number)
    unbind(vm, address)
    since = one.mark()
    if way == 'unplug':
        vm.unplug('hot')
    else:
        remove(vm, address)
    one.event('released', since, group=number)
    assert one.error('release', device=address) == 'ENODEV'
    if way == 'unplug':
        vm.plug(e1000e('hot', 'rp4'))
    else:
        rescan(vm)
    wait_driver(vm, address, driver='e1000e')
    assert 'holder' not in one.group(address)
    vm.unplug('hot')
    vm.wait(lambda: not vm.present(address), what='the device to go')


def test_a_second_holder(vm, clients, nic):
    one, other = clients(), clients()
    one.must('hold', device=nic)
    since = other.mark()
    done = other.do('hold', device=nic)
    assert done['error'] == 'EBUSY'
    assert done['holder'] == {'portid': one.portid, 'pid': one.pid}
    assert other.do('release', 'probe', device=nic)['error'] == 'ENOENT'
    assert one.group(nic)['holder']['pid'] == one.pid
    # Asked for once more by whoever has it: no error, and still one hold.
    one.must('hold', device=nic)
    one.must('release', device=nic)
    assert one.do('release', device=nic)['error'] == 'ENOENT'
    other.must('hold', device=nic)
    assert other.group(nic)['holder']['pid'] == other.pid
    other.must('release', device=nic)
    assert [event['event'] for event in other.events(since)
            if event['event'] != 'owner'] == ['released', 'held', 'released']


def test_one_socket_holds_several(vm, clients, nic, two):
    one, disk = clients(), vm.address('disk')
    for address in (nic, disk, two[0]):
        one.must('hold', device=address)
    held = [group['group'] for group in one.dump() if 'holder' in group]
    assert sorted(held) == sorted(vm.group_of(address)
                                  for address in (nic, disk, two[0]))
    for address in (nic, disk, *two):
        unbind(vm, address)
    one.close()
    wait_driver(vm, nic, driver='e1000e')
    wait_driver(vm, disk, driver='nvme')
    wait_driver(vm, *two, driver='e1000e')


@pytest.mark.parametrize('way', ['close', 'kill'])
def test_the_socket_ends(vm, clients, nic, way):
    """However it ends: as a release that probes."""
    one, other = clients(), clients()
    one.must('hold', device=nic)
    unbind(vm, nic)
    assert bind(vm, 'e1000e', nic) == 'EAGAIN'
    since = other.mark()
    getattr(one, way)()
    other.event('released', since, group=vm.group_of(nic))
    wait_driver(vm, nic, driver='e1000e')
    assert 'holder' not in other.group(nic)


def test_a_copy_of_the_socket_keeps_it(vm, clients, nic):
    one, other = clients(events=False), clients()
    one.must('hold', device=nic)
    unbind(vm, nic)
    one.send('fork')
    copy = one.wait(kind='forked')['pid']
    vm.run(['kill', '-KILL', str(one.pid)])
    vm.wait(lambda: one.job.poll(), what='the first process to end')
    assert other.group(nic)['holder'] == {'portid': one.portid,
                                          'pid': one.pid}
    stays(vm, nic)
    since = other.mark()
    vm.run(['kill', '-KILL', str(copy)])
    other.event('released', since)
    wait_driver(vm, nic, driver='e1000e')


def test_the_module_goes(vm, clients, nic):
    """Unloaded with a hold that a living process has."""
    one = clients()
    one.must('hold', device=nic)
    unbind(vm, nic)
    assert bind(vm, 'e1000e', nic) == 'EAGAIN'
    vm.run('modprobe -r iommu_policy')
    wait_driver(vm, nic, driver='e1000e')
    assert 'iommu' not in vm.out('ls /sys/class/devlink')
    vm.run('modprobe iommu_policy')
    assert 'holder' not in clients().group(nic)


def test_in_the_order_of_asking(vm, clients, nic):
    """One group's requests: each finds what those before it left."""
    one = clients()
    one.send(*(f'{command} device={nic} cookie={cookie}'
               for cookie, command in enumerate(
                   ['hold', 'release probe', 'release', 'hold', 'hold',
                    'release', 'hold'], 1)))
    one.wait(kind='done', cookie=7)
    answers = one.lines(kind='done')
    assert [answer['cookie'] for answer in answers] == [1, 2, 3, 4, 5, 6, 7]
    held = False
    for answer in answers:
        if answer['command'] == 'release':
            assert answer['error'] == (None if held else 'ENOENT')
            held = False
        else:
            # A later release may have taken it back.
            assert answer['error'] in (None, 'ECANCELED')
            held = answer['error'] is None
    assert held
    assert one.group(nic)['holder']['pid'] == one.pid


def test_no_such_group(clients):
    one = clients()
    for target in ({'group': 4000}, {'device': '0000:42:00.0'},
                   {'device': 'no-address'}):
        assert one.error('hold', **target) == 'ENODEV'
        assert one.error('release', **target) == 'ENODEV'
        assert one.ask('group-get', **target)['error'] == 'ENODEV'


def test_bridges_are_left_alone(vm, clients):
    """One that shares a group with what is held, and one that has its own."""
    one, bridge = clients(), vm.address('br')
    old = vm.address('old1'), vm.address('old2')
    group = one.group(old[0])
    assert {entry['address'] for entry in group['devices']} \
        >= {bridge, *old}
    one.must('hold', device=old[0])
    assert 'bridge' in one.flags(bridge)
    assert 'held' not in one.flags(bridge)
    for address in old:
        assert one.flags(address) == ['bound', 'held']
        unbind(vm, address)
        assert bind(vm, 'e1000', address) == 'EAGAIN'
    one.must('release', 'probe', device=old[1])
    wait_driver(vm, *old, driver='e1000')

    port = vm.address('rp4')
    one.must('hold', device=port)
    assert one.flags(port) == ['bridge', 'bound']
    assert unbind(vm, port) is None and bind(vm, 'pcieport', port) is None
    one.must('release', device=port)


def test_when_done_comes_no_probe_is_under_way(vm, clients, nic):
    """A bind at the same time is over, or has failed, by then."""
    one, outcomes = clients(), set()
    for attempt in range(6):
        unbind(vm, nic)
        # The delay moves the request along the probe.
        job = vm.start(f'sleep 0.0{attempt}; '
                       f'echo {nic} > /sys/bus/pci/drivers/e1000e/bind')
        one.must('hold', device=nic)
        now = vm.driver_of(nic)
        status = job.wait(check=False).status
        outcomes.add(now)
        assert (now, status) in ((None, 1), ('e1000e', 0))
        assert vm.driver_of(nic) == now
        one.must('release', device=nic)
        if not now:
            assert bind(vm, 'e1000e', nic) is None
    print(f'drivers when DONE came: {outcomes}')


def test_suspend_to_idle(vm, clients, nic):
    """All devices go to sleep and wake up, held or not."""
    one = clients()
    one.must('hold', device=nic)
    unbind(vm, nic)
    disk = vm.address('disk')
    one.must('hold', device=disk)
    vm.run('echo 1 > /sys/module/suspend/parameters/pm_test_delay; '
           'echo devices > /sys/power/pm_test && '
           'echo freeze > /sys/power/state; status=$?; '
           'echo none > /sys/power/pm_test; exit $status')
    assert vm.driver_of(nic) is None and vm.driver_of(disk) == 'nvme'
    assert bind(vm, 'e1000e', nic) == 'EAGAIN'
    one.must('release', 'probe', device=nic)
    one.must('release', 'probe', device=disk)
    wait_driver(vm, nic, driver='e1000e')
    vm.run('dd if=/dev/nvme0n1 of=/dev/null bs=4096 count=1 2>&1')


def test_virtual_functions(vm, clients):
    """Made and taken away while they are held, and made again."""
    one = clients()
    vm.plug(sriov_nvme('pf', 'rp4', 2))
    parent = vm.address('pf')
    wait_driver(vm, parent, driver='nvme')
    folder = f'/sys/bus/pci/devices/{parent}'
    vm.run(f'echo 0 > {folder}/sriov_drivers_autoprobe; '
           f'echo 2 > {folder}/sriov_numvfs')
    functions = vm.out(f'for link in {folder}/virtfn*; do '
                       'basename $(readlink $link); done').split()
    assert len(functions) == 2
    for address in (parent, *functions):
        one.must('hold', device=address)
        assert 'held' in one.flags(address)
    for address in functions:
        assert bind(vm, 'nvme', address) == 'EAGAIN'
    since = one.mark()
    numbers = {vm.group_of(address) for address in functions}
    vm.run(f'echo 0 > {folder}/sriov_numvfs')
    vm.wait(lambda: numbers == {
        event['group'] for event in one.events(since, event='released')},
        what='the holds to end')
    vm.run(f'echo 2 > {folder}/sriov_numvfs')
    for address in functions:
        assert one.flags(address) == []
    one.must('hold', device=functions[0])
    reload(vm)
    vm.run(f'echo 0 > {folder}/sriov_numvfs')
    vm.unplug('pf')
    vm.wait(lambda: not vm.present(parent), what='the device to go')
