# SPDX-License-Identifier: GPL-2.0-or-later
"""The module's claims: a group whose DMA is nobody's.

Its devices reach no memory, no driver and no user can have them, and neither
its end nor the end of its devices leaves anything behind.
"""

import pytest

from vmtest import Device, Topology, acpi, cache, e1000e, nvme, pair
from vmtest.client import (bind, override, stays, unbind, wait_driver,
                           write_type)

pytestmark = [pytest.mark.kernels('6.12', '6.1'),
              pytest.mark.usefixtures('nothing_left')]

# Reserved by the firmware's memory map, as such a region has to be.
REGION = 0xf0000, 0xf0fff
FIRMWARE = (4, 0)       # a device on the root bus
SECOND = [(9, 0), (0, 1)]   # function 1 of what is in rp2

TOPOLOGY = Topology(
    ports=['rp1', 'rp2', 'rp3'], module=True, enable=(),
    cold=[e1000e('nic', 'rp1'), nvme('disk', 'rp3'),
          Device('edu', 'edu', 'pcie.0', 3, 0, 0, {'dma_mask': 0xffffffff}),
          e1000e('firmware', 'pcie.0', slot=FIRMWARE[0])],
    acpi_tables={'dmar.aml': acpi.dmar([(*REGION, [FIRMWARE]),
                                        (*REGION, SECOND)])},
    load=['iommu_policy', 'e1000e', 'nvme', 'vfio-pci', 'vfio_iommu_type1'],
    # The device that is told to do what it may not.
    expect_kernel=[r'DMAR: DRHD: handling fault', r'DMAR: .*\[00:03\.0\]'])

BLOCKED = {'6.1': 'unmanaged'}      # 'blocked' by now
TYPE_ERROR = {'6.1': 'EBUSY'}       # 'EPERM' by now
LAZY_ERROR = {'6.1': 'EBUSY'}       # none by now


@pytest.fixture
def blocked(kernel_release):
    """What the module says of a claimed group's domain."""
    return BLOCKED.get(kernel_release, 'blocked')


@pytest.fixture
def one(clients):
    return clients()


@pytest.fixture
def nic(vm):
    """The network card, unbound; with its driver at the end."""
    address = vm.address('nic')
    wait_driver(vm, address, driver='e1000e')
    assert unbind(vm, address) is None
    yield address
    override(vm, address, None)
    if vm.driver_of(address) != 'e1000e':
        unbind(vm, address)
        bind(vm, 'e1000e', address)
    wait_driver(vm, address, driver='e1000e')


def remove(vm, address):
    vm.run(f'echo 1 > /sys/bus/pci/devices/{address}/remove')


class User:
    """A program that has the group's DMA by VFIO, or has tried."""

    def __init__(self, vm, address):
        vm.write('/run/vfio-open.py',
                 (cache.GUEST_FILES / 'vfio-open.py').read_text())
        self.job = vm.start('exec python3 /run/vfio-open.py '
                            f'{vm.group_of(address)}')
        vm.wait(lambda: self.job.peek().stdout.endswith('\n'),
                what='a word from VFIO')
        self.outcome = self.job.peek().stdout.strip()

    def end(self):
        self.job.stop()


def for_vfio(vm, address):
    override(vm, address, 'vfio-pci')
    assert bind(vm, 'vfio-pci', address) is None


def test_claimed(vm, one, nic, blocked, kernel_release):
    """No driver, no type, no user; and all of it again afterwards."""
    number, since = vm.group_of(nic), one.mark()
    before = one.group(nic)
    assert (before['owner'], before['domain']) == ('none', 'DMA')
    assert one.must('claim', device=nic)['device'] == nic
    one.event('claimed', since, group=number)
    group = one.group(number)
    assert (group['owner'], group['domain']) == ('policy', blocked)
    assert group['claim'] == {'portid': one.portid, 'pid': one.pid}
    assert group['devices'] == [{'address': nic, 'flags': []}]

    assert bind(vm, 'e1000e', nic) == 'EBUSY'
    for word in ('identity', 'DMA', 'auto'):
        assert write_type(vm, nic, word) == TYPE_ERROR.get(kernel_release,
                                                           'EPERM')
    assert vm.type_of(nic) == 'DMA'
    # From strict to lazy is no new domain, so newer kernels let it through,
    # as they do while VFIO has the group: it is for when the claim has ended.
    assert write_type(vm, nic, 'DMA-FQ') == LAZY_ERROR.get(kernel_release)
    assert one.group(number)['domain'] == blocked
    for_vfio(vm, nic)
    assert one.group(nic)['owner'] == 'policy'
    assert User(vm, nic).outcome == 'EPERM'
    unbind(vm, nic)
    override(vm, nic, None)

    # Once more is no error, and still one claim.
    one.must('claim', device=nic)
    done = one.must('unclaim', 'probe', group=number)
    assert done['group'] == number
    assert vm.driver_of(nic) == 'e1000e'
    one.event('unclaimed', since, group=number)
    after = one.group(nic)
    assert (after['owner'], after['domain']) == ('kernel', vm.type_of(nic))
    unbind(vm, nic)
    assert write_type(vm, nic, 'auto') is None
    assert one.do('unclaim', device=nic)['error'] == 'ENOENT'


def test_dma_is_blocked(vm, one):
    """A device that is told to write to memory: it cannot, and then can."""
    edu = vm.address('edu')
    assert vm.driver_of(edu) is None
    vm.write('/run/edu-dma.py', (cache.GUEST_FILES / 'edu-dma.py')
             .read_text())

    def dma():
        return vm.out(f'python3 /run/edu-dma.py {edu}')

    assert write_type(vm, edu, 'identity') is None
    assert dma() == 'changed'
    one.must('claim', device=edu)
    vm.run('dmesg --clear')
    assert dma() == 'unchanged'
    vm.wait('dmesg | grep "DMAR: .*DMA Write.*00:03.0.*fault addr"')
    one.must('unclaim', device=edu)
    assert dma() == 'changed'

    # From the other side: claimed in a domain that allows nothing anyway.
    assert write_type(vm, edu, 'DMA') is None
    one.must('claim', device=edu)
    assert dma() == 'unchanged'
    one.must('unclaim', device=edu)
    assert dma() == 'unchanged'
    assert write_type(vm, edu, 'auto') is None


def test_a_driver_is_in_the_way(vm, one):
    disk = vm.address('disk')
    wait_driver(vm, disk, driver='nvme')
    done = one.do('claim', device=disk)
    assert (done['error'], done['owner']) == ('EBUSY', 'kernel')
    assert 'holder' not in done
    assert one.group(disk)['owner'] == 'kernel'
    vm.run('dd if=/dev/nvme0n1 of=/dev/null bs=4096 count=1 2>&1')


def test_a_user_is_in_the_way(vm, one, nic):
    """Told from a driver, and seen to come and go."""
    number = vm.group_of(nic)
    for_vfio(vm, nic)
    # Bound, but nobody has it.
    assert one.group(nic)['owner'] == 'none'
    since = one.mark()
    user = User(vm, nic)
    assert user.outcome == 'owns'
    group = one.group(nic)
    assert (group['owner'], group['domain']) == ('user', 'unmanaged')
    one.event('owner', since, group=number, owner='user')
    done = one.do('claim', device=nic)
    assert (done['error'], done['owner']) == ('EUSERS', 'user')
    for flags in ([], ['live']):
        assert one.ask('bracket-begin', *flags,
                       device=nic)['error'] == 'EUSERS'
    since = one.mark()
    user.end()
    vm.wait(lambda: one.group(nic)['owner'] == 'none', what='the user to go')
    one.event('owner', since, group=number, owner='none')
    one.must('claim', device=nic)
    assert User(vm, nic).outcome == 'EPERM'
    one.must('unclaim', device=nic)
    user = User(vm, nic)
    assert user.outcome == 'owns'
    user.end()


def test_owners_are_told(vm, one, nic):
    """A driver comes, and goes again."""
    number, since = vm.group_of(nic), one.mark()
    bind(vm, 'e1000e', nic)
    one.event('owner', since, group=number, owner='kernel')
    since = one.mark()
    unbind(vm, nic)
    one.event('owner', since, group=number, owner='none')


def test_a_firmware_region(vm, one):
    """Devices whose firmware needs its 1:1 map are not taken."""
    address = vm.address('firmware')
    assert unbind(vm, address) is None
    text = vm.read(f'/sys/bus/pci/devices/{address}/iommu_group'
                   '/reserved_regions')
    assert '0x00000000000f0000 0x00000000000f0fff direct' in text
    group = one.group(address)
    assert {'start': REGION[0], 'end': REGION[1], 'kind': 'direct'} \
        in group['regions']
    assert len(group['regions']) == len(text.splitlines())
    done = one.do('claim', device=address)
    assert done['error'] == 'EOPNOTSUPP'
    assert one.do('claim', 'persistent',
                  device=address)['error'] == 'EOPNOTSUPP'
    group = one.group(address)
    assert (group['owner'], group['domain']) == ('none', 'DMA')
    assert bind(vm, 'e1000e', address) is None


@pytest.mark.parametrize('way', ['close', 'kill'])
def test_ends_with_its_socket(vm, clients, one, nic, way):
    """And the drivers get back what they could not have."""
    owner = clients(events=False)
    owner.must('claim', device=nic)
    assert bind(vm, 'e1000e', nic) == 'EBUSY'
    since = one.mark()
    getattr(owner, way)()
    one.event('unclaimed', since, group=vm.group_of(nic))
    wait_driver(vm, nic, driver='e1000e')
    assert 'claim' not in one.group(nic)


def test_persistent(vm, clients, one, nic, blocked):
    """Nobody's, it stays; and whoever comes may take it or end it."""
    owner = clients(events=False)
    owner.must('claim', 'persistent', device=nic)
    assert one.group(nic)['claim']['portid'] == 0
    owner.kill()
    stays(vm, nic)
    group = one.group(nic)
    assert group['claim']['portid'] == 0
    assert (group['owner'], group['domain']) == ('policy', blocked)
    assert bind(vm, 'e1000e', nic) == 'EBUSY'

    # Taken over, it is as if it had never been nobody's.
    other = clients(events=False)
    other.must('claim', device=nic)
    assert one.group(nic)['claim'] == {'portid': other.portid,
                                       'pid': other.pid}
    done = one.do('unclaim', device=nic)
    assert done['error'] == 'EBUSY'
    assert done['holder']['pid'] == other.pid
    other.must('claim', 'persistent', device=nic)
    other.close()
    stays(vm, nic)
    one.must('unclaim', 'probe', device=nic)
    assert vm.driver_of(nic) == 'e1000e'


def test_a_second_claimer(vm, clients, one, nic):
    other = clients(events=False)
    one.must('claim', device=nic)
    done = other.do('claim', device=nic)
    assert done['error'] == 'EBUSY'
    assert done['holder'] == {'portid': one.portid, 'pid': one.pid}
    done = other.do('unclaim', 'probe', device=nic)
    assert done['error'] == 'EBUSY'
    assert done['holder'] == {'portid': one.portid, 'pid': one.pid}
    done = other.do('hold', device=nic)
    assert done['error'] == 'EBUSY'
    assert done['holder']['pid'] == one.pid
    assert one.ask('bracket-begin', device=nic)['error'] == 'EBUSY'
    assert other.ask('bracket-begin', device=nic)['error'] == 'EBUSY'
    one.must('unclaim', device=nic)
    stays(vm, nic)
    other.must('claim', device=nic)
    other.must('unclaim', device=nic)


def test_claim_under_a_hold(vm, one, nic):
    """Quarantine without a moment in which a driver could slip in."""
    bind(vm, 'e1000e', nic)
    one.must('hold', device=nic)
    assert one.do('claim', device=nic)['error'] == 'EBUSY'
    unbind(vm, nic)
    one.must('claim', device=nic)
    one.must('release', 'probe', device=nic)
    stays(vm, nic)
    assert bind(vm, 'e1000e', nic) == 'EBUSY'
    # And the way back.
    one.must('hold', device=nic)
    one.must('unclaim', 'probe', device=nic)
    stays(vm, nic)
    assert bind(vm, 'e1000e', nic) == 'EAGAIN'
    one.must('release', 'probe', device=nic)
    if vm.driver_of(nic) is None:
        assert bind(vm, 'e1000e', nic) is None


def test_unclaim_without_probe(vm, one, nic):
    one.must('claim', device=nic)
    assert bind(vm, 'e1000e', nic) == 'EBUSY'
    one.must('unclaim', device=nic)
    stays(vm, nic)
    assert bind(vm, 'e1000e', nic) is None


@pytest.fixture
def two(vm):
    """A card of two functions, both unbound, in a port without regions."""
    nic = vm.address('nic')
    wait_driver(vm, nic, driver='e1000e')
    vm.unplug('nic')
    vm.plug(*pair('f0', 'f1', 'rp1'))
    addresses = vm.address('f0'), vm.address('f1')
    wait_driver(vm, *addresses, driver='e1000e')
    for address in addresses:
        unbind(vm, address)
    yield addresses
    if vm.present(addresses[0]):
        vm.unplug('f0', 'f1')
    vm.wait(lambda: not vm.present(addresses[0]), what='the card to go')
    vm.plug(e1000e('nic', 'rp1'))
    wait_driver(vm, nic, driver='e1000e')


def test_a_device_joins(vm, one, two, blocked):
    """It is in the same quarantine, and free with the rest."""
    first, second = two
    remove(vm, second)
    one.must('claim', device=first)
    vm.run('echo 1 > /sys/bus/pci/rescan')
    vm.wait(lambda: vm.present(second), what='the second function')
    assert vm.group_of(second) == vm.group_of(first)
    stays(vm, second)
    assert bind(vm, 'e1000e', second) == 'EBUSY'
    group = one.group(second)
    assert group['owner'] == 'policy'
    assert group['domain'] == blocked
    assert [entry['address'] for entry in group['devices']] == [first, second]
    one.must('unclaim', 'probe', device=first)
    for address in two:
        assert vm.driver_of(address) == 'e1000e'


def test_the_last_device_goes(vm, one, two):
    """No group dies claimed; what comes next in its place is free."""
    first, second = two
    number, since = vm.group_of(first), one.mark()
    one.must('claim', 'persistent', device=first)
    remove(vm, second)
    assert one.group(first)['owner'] == 'policy'
    remove(vm, first)
    one.event('unclaimed', since, group=number)
    assert one.error('unclaim', group=number) == 'ENODEV'
    vm.run('echo 1 > /sys/bus/pci/rescan')
    wait_driver(vm, *two, driver='e1000e')
    assert 'claim' not in one.group(first)


def test_unplugged_while_claimed(vm, one, nic):
    number, since = vm.group_of(nic), one.mark()
    one.must('claim', device=nic)
    vm.unplug('nic')
    one.event('unclaimed', since, group=number)
    vm.wait(lambda: not vm.present(nic), what='the device to go')
    assert number not in [group['group'] for group in one.dump()]
    vm.plug(e1000e('nic', 'rp1'))
    wait_driver(vm, nic, driver='e1000e')


# 6.1 oopses in intel_iommu_release_device() when it refuses such a device,
# whoever owns the group that it would join.
@pytest.mark.kernels('6.12')
def test_a_device_with_a_region_joins(vm, one):
    """Its firmware's DMA has to go on: the kernel gives it no group, so that
    the claim does not have it.
    """
    vm.plug(*pair('f0', 'f1', 'rp2'))
    first, second = vm.address('f0'), vm.address('f1')
    wait_driver(vm, first, second, driver='e1000e')
    kinds = [region['kind'] for region in one.group(second)['regions']]
    assert 'direct' in kinds
    for address in (first, second):
        unbind(vm, address)
    assert one.do('claim', device=first)['error'] == 'EOPNOTSUPP'
    remove(vm, second)
    one.must('claim', device=first)
    vm.run('echo 1 > /sys/bus/pci/rescan')
    vm.wait(lambda: vm.present(second), what='the second function')
    assert vm.group_of(second) is None
    assert one.ask('group-get', device=second)['error'] == 'ENODEV'
    assert one.group(first)['owner'] == 'policy'
    vm.unplug('f0', 'f1')
    vm.wait(lambda: not vm.present(first), what='the card to go')


def test_the_module_goes(vm, clients, one, nic):
    """With one claim that is somebody's and one that is nobody's."""
    disk = vm.address('disk')
    wait_driver(vm, disk, driver='nvme')
    unbind(vm, disk)
    one.must('claim', device=nic)
    one.must('claim', 'persistent', device=disk)
    vm.run('modprobe -r iommu_policy')
    wait_driver(vm, nic, driver='e1000e')
    wait_driver(vm, disk, driver='nvme')
    vm.run('dd if=/dev/nvme0n1 of=/dev/null bs=4096 count=1 2>&1')
    vm.run('modprobe iommu_policy')
    assert [group for group in clients().dump() if 'claim' in group] == []
