# SPDX-License-Identifier: GPL-2.0-or-later
"""A device goes in the middle of a change, and what comes in its place has the
same address and the same group number: nothing of the change is done to it.

Whoever carries the change out stands still meanwhile, at each step in turn.
"""

import json

import pytest

from vmtest import Topology, cache, e1000e, nvme, policyd

pytestmark = pytest.mark.kernels('6.12', '6.1')

TOPOLOGY = Topology(
    ports=['rp1'], module=True, load=['nvme'],
    # A card that nobody takes is one whose type anybody may write.
    files={'/etc/modprobe.d/no-e1000e.conf': 'install e1000e /bin/false\n'})

DISK = '[disk]\nmatch-class = 0108\ndomain = {}\nrebind = always\n'
STEPS = ['started', 'prepare', 'fence', 'unbind', 'write', 'unfence', 'probe',
         'verify']
LEFT = 'ls -A /run/iommu-policyd/transaction'


@pytest.fixture(params=['pins', 'module'])
def fence(vm, request):
    vm.run('modprobe iommu_policy' if request.param == 'module'
           else 'modprobe -r iommu_policy')
    vm.wait(lambda: policyd.manager(vm, 'Backend') ==
            {'pins': 'sysfs', 'module': 'module'}[request.param],
            what=request.param)
    yield request.param
    policyd.policies(vm, disk=None)


def pid(vm):
    return vm.out(['systemctl', 'show', '-P', 'MainPID', policyd.UNIT])


def files(vm):
    """What the daemon has open, and its children."""
    found = vm.out(f'for f in /proc/{pid(vm)}/fd/*; do readlink $f; done '
                   "| sed 's/:.*//' | sort")
    return found, vm.out(f'pgrep -P {pid(vm)} || true')


def catch(vm, group, *steps):
    """Starts to lie in wait for the next worker of a group."""
    script = (cache.GUEST_FILES / 'catch-worker.py').read_text()
    job = vm.start(f'python3 - {group} {" ".join(steps)}', input=script)
    vm.wait(lambda: job.peek().stdout.startswith('ready'),
            what='the catcher')
    return job


def gone(vm, *names):
    """Plugs out; until the guest shows it no more."""
    places = [vm.address(name) for name in names]
    vm.unplug(*names)
    vm.wait(lambda: not any(map(vm.present, places)), what=f'{names} to go')


def settled(vm, name, type_, driver, state):
    vm.wait(lambda: vm.present(name) and vm.group_of(name) is not None,
            what=name)
    policyd.wait_state(vm, name, state, type_)
    assert vm.type_of(name) == type_
    vm.wait(lambda: vm.driver_of(name) == driver, what=f'{name}: {driver}')
    assert vm.read(f'/sys/bus/pci/devices/{vm.address(name)}'
                   '/driver_override') == '(null)'


def nothing(vm):
    gone(vm, 'disk')
    return lambda: None


def stranger(vm):
    """A card of another kind, that has no driver and no rule."""
    gone(vm, 'disk')
    vm.plug(e1000e('nic', 'rp1'))

    def check():
        settled(vm, 'nic', 'DMA', None, 'unmanaged')
        gone(vm, 'nic')
    return check


def twin(vm):
    """One of the same kind, for which the same rule stands."""
    gone(vm, 'disk')
    vm.plug(nvme('disk', 'rp1'))

    def check():
        settled(vm, 'disk', 'identity', 'nvme', 'compliant')
        gone(vm, 'disk')
    return check


def itself(vm):
    """The same one, as an administrator takes it out and finds it again."""
    vm.run(f'echo 1 > /sys/bus/pci/devices/{vm.address("disk")}/remove && '
           'echo 1 > /sys/bus/pci/rescan')
    return lambda: (settled(vm, 'disk', 'identity', 'nvme', 'compliant'),
                    gone(vm, 'disk'))


def round_of(vm, step, exchange):
    """One change that is caught at, or after, a step; which it was."""
    policyd.policies(vm, disk=DISK.format('keep'))
    vm.plug(nvme('disk', 'rp1'))
    settled(vm, 'disk', 'DMA', 'nvme', 'compliant')
    group, address = vm.group_of('disk'), vm.address('disk')
    job = catch(vm, group, *STEPS[STEPS.index(step):])
    policyd.policies(vm, disk=DISK.format('identity'))
    caught = json.loads(job.wait().stdout.splitlines()[-1])
    if caught['pid'] is None:
        settled(vm, 'disk', 'identity', 'nvme', 'compliant')
        gone(vm, 'disk')
        return None
    try:
        check = exchange(vm)
    finally:
        vm.run(f'kill -CONT {caught["pid"]}')
    vm.wait(lambda: not vm.exists(f'/proc/{caught["pid"]}'),
            what=f'the worker to end (caught at {caught["step"]})')
    check()
    vm.wait(lambda: not vm.present(address), what='nothing to be left')
    vm.wait(lambda: vm.out(LEFT) == '', what='no record to be left')
    return caught['step']


@pytest.mark.parametrize('exchange', [nothing, stranger, twin, itself])
def test_exchanged_at_each_step(vm, fence, exchange):
    process, before = pid(vm), files(vm)
    caught = [round_of(vm, step, exchange) for step in STEPS[:-1]]
    print('caught at', caught)
    # Where it is caught is a race; most of the steps must have been met.
    assert len(set(caught) - {None}) >= 4, caught
    assert pid(vm) == process
    vm.wait(lambda: files(vm) == before,
            what='files and children to be as before')
    if fence == 'module':
        assert 'iommu' not in vm.out('ls /sys/class/devlink')
