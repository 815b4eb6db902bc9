# SPDX-License-Identifier: GPL-2.0-or-later
"""The module's brackets around a type write: who may open one, what waits for
its end, and the race that they are there for.
"""

import re
import time

import pytest

from vmtest import GuestGone, Topology, e1000e, pair
from vmtest.client import unbind, wait_driver, write_type

pytestmark = [pytest.mark.kernels('6.12', '6.1'), pytest.mark.brief('6.1'),
              pytest.mark.strict]

# What is in rp2 has no driver, as a device has none during a type write.
TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], module=True, enable=(),
    cold=[e1000e('nic', 'rp1'), *pair('f0', 'f1', 'rp2')],
    kernel_args='modprobe.blacklist=e1000e', load=['iommu_policy'])

MAX = 5.0       # seconds: IOMMU_POLICY_BRACKET_MAX_MS

pytest_left = pytest.mark.usefixtures('nothing_left')


@pytest.fixture
def one(clients):
    return clients()


@pytest.fixture
def two(vm):
    """The addresses of the card's functions, which are there at the end."""
    addresses = vm.address('f0'), vm.address('f1')
    yield addresses
    vm.run('echo 1 > /sys/bus/pci/rescan')
    vm.wait(lambda: all(map(vm.present, addresses)), what='the card')


def removing(vm, address):
    """Begins to remove a device; the job ends with the removal."""
    return vm.start(f'echo begun; echo 1 > /sys/bus/pci/devices/{address}'
                    '/remove; cut -d" " -f1 /proc/uptime')


def waits(vm, job):
    """The job has begun, and does not get on."""
    vm.wait(lambda: job.peek().stdout, what='the job to begin', interval=0.02)
    assert job.peek(0.5).status is None


@pytest_left
def test_around_a_write(vm, one, two):
    first, _ = two
    assert one.ask('bracket-begin', device=first)['error'] is None
    assert one.group(first)['bracket'] == {'portid': one.portid,
                                           'pid': one.pid}
    nic = vm.address('nic')
    assert one.ask('bracket-begin', device=nic)['error'] is None
    assert write_type(vm, nic, 'identity') is None
    assert one.group(nic)['domain'] == 'identity'
    assert write_type(vm, nic, 'auto') is None
    for target in ({'group': vm.group_of(nic)}, {'device': first}):
        assert one.ask('bracket-end', **target)['error'] is None
        assert 'bracket' not in one.get('group-get', **target)
        assert one.ask('bracket-end', **target)['error'] == 'ENOENT'
    assert one.ask('bracket-begin', group=4000)['error'] == 'ENODEV'
    assert one.ask('bracket-end', group=4000)['error'] in ('ENODEV', 'ENOENT')


@pytest_left
def test_a_driver_is_in_the_way(vm, one):
    nic = vm.address('nic')
    vm.run('modprobe e1000e')
    wait_driver(vm, nic, driver='e1000e')
    refused = one.ask('bracket-begin', device=nic)
    assert refused['error'] == 'EBUSY'
    # What is to be made lazy may be in use.
    assert one.ask('bracket-begin', 'live', device=nic)['error'] is None
    assert write_type(vm, nic, 'DMA-FQ') is None
    assert one.ask('bracket-end', device=nic)['error'] is None
    assert unbind(vm, nic) is None
    assert one.ask('bracket-begin', device=nic)['error'] is None
    assert write_type(vm, nic, 'DMA') is None
    assert one.ask('bracket-end', device=nic)['error'] is None
    vm.run('modprobe -r e1000e')


@pytest_left
def test_others_are_in_the_way(vm, clients, one):
    other, nic = clients(events=False), vm.address('nic')
    other.ask('bracket-begin', device=nic)
    assert one.ask('bracket-begin', device=nic)['error'] == 'EBUSY'
    assert one.ask('bracket-end', device=nic)['error'] == 'ENOENT'
    done = one.do('hold', device=nic)
    assert done['error'] == 'EBUSY'
    assert done['holder']['pid'] == other.pid
    assert other.ask('bracket-end', device=nic)['error'] is None

    # Under a hold: the holder's own, nobody else's.
    other.must('hold', device=nic)
    assert one.ask('bracket-begin', device=nic)['error'] == 'EBUSY'
    assert other.ask('bracket-begin', device=nic)['error'] is None
    assert other.ask('bracket-end', device=nic)['error'] is None
    other.must('release', device=nic)

    # And not at all under a claim, whose type cannot be written.
    other.must('claim', device=nic)
    for client in (one, other):
        assert client.ask('bracket-begin', device=nic)['error'] == 'EBUSY'
    other.must('unclaim', device=nic)


@pytest_left
@pytest.mark.parametrize('way', ['end', 'close', 'kill'])
def test_a_removal_waits(vm, clients, one, two, way):
    """Until END, or until the socket is gone."""
    owner, (first, second) = clients(events=False), two
    assert owner.ask('bracket-begin', device=first)['error'] is None
    job = removing(vm, second)
    waits(vm, job)
    # Nobody begins anything on a group that one is leaving.
    assert one.ask('bracket-begin', device=first)['error'] in ('EBUSY',
                                                               'ENODEV')
    assert vm.present(second)
    if way == 'end':
        assert owner.ask('bracket-end', device=first)['error'] is None
    else:
        getattr(owner, way)()
    job.wait()
    # It was not the time that would end the bracket by itself.
    assert f'process {owner.pid} has its type bracket open for too long' \
        not in vm.out('dmesg')
    assert not vm.present(second)
    assert one.ask('bracket-begin', device=first)['error'] is None
    assert one.ask('bracket-end', device=first)['error'] is None


@pytest_left
def test_an_arrival_waits(vm, one, two):
    first, second = two
    vm.run(f'echo 1 > /sys/bus/pci/devices/{second}/remove')
    assert one.ask('bracket-begin', device=first)['error'] is None
    job = vm.start('echo begun; echo 1 > /sys/bus/pci/rescan')
    waits(vm, job)
    assert [entry['address'] for entry in one.group(first)['devices']] \
        == [first]
    assert one.ask('bracket-end', device=first)['error'] is None
    job.wait()
    assert vm.group_of(second) == vm.group_of(first)


@pytest_left
def test_open_for_too_long(vm, one, two):
    """What comes or goes does not wait for ever, and the owner is told."""
    first, second = two
    began = one.mark()
    assert one.ask('bracket-begin', device=first)['error'] is None
    job = removing(vm, second)
    ended = float(job.wait().stdout.split()[1])
    assert MAX - 0.5 < ended - began < MAX + 10
    assert not vm.present(second)
    assert one.ask('bracket-end', device=first)['error'] == 'ETIMEDOUT'
    assert one.ask('bracket-end', device=first)['error'] == 'ENOENT'
    # As good as new.
    assert one.ask('bracket-begin', device=first)['error'] is None
    assert one.ask('bracket-end', device=first)['error'] is None


@pytest_left
def test_the_group_goes(vm, one, two):
    """With the bracket around it, which is nobody's business any more."""
    first, second = two
    vm.run(f'echo 1 > /sys/bus/pci/devices/{second}/remove')
    number = vm.group_of(first)
    assert one.ask('bracket-begin', device=first)['error'] is None
    job = removing(vm, first)
    waits(vm, job)
    job.wait()
    assert not vm.present(first)
    assert one.ask('bracket-end', group=number)['error'] in (
        'ENOENT', 'ENODEV', 'ETIMEDOUT')


@pytest_left
def test_the_module_goes(vm, one, two):
    first, second = two
    assert one.ask('bracket-begin', device=first)['error'] is None
    job = removing(vm, second)
    waits(vm, job)
    vm.run('modprobe -r iommu_policy')
    job.wait()
    assert not vm.present(second)
    vm.run('modprobe iommu_policy')


# Removes and finds a device again, as fast as it goes; counts how often.
CYCLES = '''
n=0
trap 'echo cycles $n; exit 0' TERM
while :; do
	echo 1 > /sys/bus/pci/devices/%s/remove
	echo 1 > /sys/bus/pci/rescan
	n=$((n + 1))
done
'''


@pytest_left
def test_race(vm, one, seconds):
    """Type writes race removals: by the thousand, and nothing happens."""
    nic = vm.address('nic')
    job = vm.start(CYCLES % nic)
    seq = one.send(f'type-loop seconds={seconds} device={nic} '
                   'types=identity,DMA bracket')
    found = one.wait(kind='type-loop', timeout=seconds + 60)
    cycles = int(job.stop().stdout.split()[-1])
    print(f'\n{found}, {cycles} removals; {seq} lines')
    assert found['writes']['0'] > 5 * seconds and cycles > seconds
    assert not found['missing_acks']
    # A device that is not there, or is just coming or going, and no other.
    assert set(found['begins']) <= {'0', 'ENODEV', 'EAGAIN'}
    # Inside the bracket the device stays: no write fails.
    assert set(found['writes']) == {'0'}
    assert set(found['ends']) == {'0'}
    vm.run('echo 1 > /sys/bus/pci/rescan')
    vm.wait(lambda: vm.present(nic), what='the device')


@pytest.mark.kernels('6.1')
def test_race_without_the_module(boot):
    """The control: the same, unprotected, ends this kernel."""
    vm = boot(Topology(
        ports=['rp1'], cold=[e1000e('nic', 'rp1')], module=True, enable=(),
        kernel_args='modprobe.blacklist=e1000e oops=panic softlockup_panic=1',
        expect_kernel=['.']))
    nic = vm.address('nic')
    vm.start(CYCLES % nic)
    # Two at once, to meet that moment sooner; on a busy host it may take minutes.
    for types in ('identity,DMA', 'DMA,identity'):
        vm.start('echo "type-loop seconds=600 device=%s types=%s" | '
                 'policy-client --closed' % (nic, types))
    deadline = time.monotonic() + 600
    while vm.machine.alive() and time.monotonic() < deadline:
        time.sleep(0.2)
    text = vm.machine.console_text()
    assert not vm.machine.alive(), 'the kernel has survived'
    # Of a page fault, a general protection fault, a list that is corrupt…
    assert re.search(r'Kernel panic - not syncing: |BUG:', text)
    assert re.search(r'^.*  (iommu_|dmar_|domain_|intel_iommu_)', text, re.M)
    with pytest.raises(GuestGone):
        vm.run('true')
