# SPDX-License-Identifier: GPL-2.0-or-later
"""A device goes in the middle of a change, and what comes in its place has the
same address and the same group number: nothing of the change is done to it.

Whoever carries the change out stands still meanwhile, at each step in turn.
"""

import json
import random
import time

import pytest

from vmtest import Topology, cache, e1000e, nvme, policyd, sriov_nvme

pytestmark = pytest.mark.kernels('6.12', '6.1')

TOPOLOGY = Topology(
    ports=['rp1'], module=True, load=['nvme'],
    subsystems=['ss'],
    # A card that nobody takes is one whose type anybody may write.
    files={'/etc/modprobe.d/no-e1000e.conf': 'install e1000e /bin/false\n'})

DISK = '[disk]\nmatch-class = 0108\ndomain = {}\nrebind = always\n'
STEPS = ['started', 'prepare', 'fence', 'unbind', 'write', 'unfence', 'probe',
         'verify']
FUNCTIONS = 4
LEFT = 'ls -A /run/iommu-policyd/transaction'


@pytest.fixture
def backend(backend, vm):
    yield backend
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


@pytest.mark.parametrize('exchange', [
    pytest.param(nothing, marks=pytest.mark.brief('6.12')), stranger,
    pytest.param(twin, marks=pytest.mark.brief('6.12')), itself])
def test_exchanged_at_each_step(vm, backend, exchange):
    process, before = pid(vm), files(vm)
    # What comes in its place matters most where it is a stranger.
    steps = STEPS[:-1] if exchange is stranger else STEPS[:-1:3]
    caught = [round_of(vm, step, exchange) for step in steps]
    print('caught at', caught)
    # Where it is caught is a race; most of the steps must have been met.
    assert 2 * len(set(caught) - {None}) > len(steps), caught
    assert pid(vm) == process
    vm.wait(lambda: files(vm) == before,
            what='files and children to be as before')
    if backend == 'module':
        assert 'iommu' not in vm.out('ls /sys/class/devlink')


def virtual(vm):
    """The card's virtual functions, as many as are switched on."""
    return vm.out(f'cd /sys/bus/pci/devices/{vm.address("pf")} && '
                  'for f in virtfn*; do [ -e $f ] && basename $(readlink $f);'
                  ' done; true').split()


def switch(vm, number):
    vm.run(f'echo {number} > /sys/bus/pci/devices/{vm.address("pf")}'
           '/sriov_numvfs')


def all_virtual(vm, type_):
    """Of all of them, as the rule has it."""
    found = virtual(vm)
    assert len(found) == FUNCTIONS, found
    for address in found:
        group = policyd.group(vm, address)
        seen = address, group['State'], group['Type'], group['Reason']
        assert (group['State'], group['Type']) == ('compliant', type_), seen
        assert vm.type_of(address) == type_
    return True


def test_virtual_functions(vm, backend, kernel_release):
    """They come and go all at once, in the middle of their changes."""
    process, before = pid(vm), files(vm)
    vm.plug(sriov_nvme('pf', 'rp1', FUNCTIONS))
    vm.wait(lambda: vm.driver_of('pf') == 'nvme', what='the card')
    groups = sorted(vm.groups())
    vm.run('echo 0 > /sys/bus/pci/devices/'
           f'{vm.address("pf")}/sriov_drivers_autoprobe')
    # Before 6.4 a type that is written while its device goes ends the kernel,
    # unless the module makes the one wait for the other.
    races = backend == 'module' or kernel_release != '6.1'
    dice = random.Random(4711)
    for type_ in ('identity', 'DMA-FQ', 'DMA') * 4:
        policyd.policies(vm, disk='[disk]\nmatch-virtual-function = yes\n'
                                  f'domain = {type_}\nrebind = always\n')
        switch(vm, FUNCTIONS)
        if races:
            time.sleep(dice.random())
        else:
            vm.wait(lambda: all_virtual(vm, type_), what=type_)
        switch(vm, 0)
        vm.wait(lambda: sorted(vm.groups()) == groups, what='them to go')
    switch(vm, FUNCTIONS)
    vm.wait(lambda: all_virtual(vm, 'DMA'), what='the last word')
    switch(vm, 0)
    gone(vm, 'pf')
    vm.wait(lambda: vm.out(LEFT) == '', what='no record to be left')
    vm.wait(lambda: sorted(vm.out('ls /run/iommu-policyd/group').split(),
                           key=int) == list(map(str, sorted(vm.groups()))),
            what='no group to be left')
    assert pid(vm) == process
    vm.wait(lambda: files(vm) == before, what='files to be as before')


@pytest.mark.parametrize('wish', ['blocked', 'SetGroupType'])
def test_exchanged_while_nobody_looked(vm, backend, wish):
    """What was kept of a device is not its successor's."""
    policyd.policies(vm, disk=DISK.format('blocked' if wish == 'blocked'
                                          else 'keep'))
    vm.plug(nvme('disk', 'rp1'))
    if wish == 'blocked':
        policyd.wait_state(vm, 'disk', 'compliant', 'blocked')
        assert vm.out(LEFT) == str(vm.group_of('disk'))
    else:
        settled(vm, 'disk', 'DMA', 'nvme', 'compliant')
        assert policyd.call(vm, 'SetGroupType', 'usa{sv}',
                            vm.group_of('disk'), 'identity',
                            {'rebind': ['b', True]}) == ('', '')
        assert vm.type_of('disk') == 'identity'
    number = vm.group_of('disk')
    vm.run(f'systemctl stop {policyd.UNIT}')
    gone(vm, 'disk')
    vm.plug(e1000e('nic', 'rp1'))
    vm.wait(lambda: vm.group_of('nic') == number, what='the same number')
    vm.run(f'systemctl start {policyd.UNIT}')
    settled(vm, 'nic', 'DMA', None, 'unmanaged')
    vm.wait(lambda: vm.out(LEFT) == '', what='no record to be left')
    vm.run(f'systemctl stop {policyd.UNIT}')
    gone(vm, 'nic')
    vm.run(f'systemctl start {policyd.UNIT}')
    vm.wait(lambda: str(number) not in
            vm.out('ls /run/iommu-policyd/group').split(),
            what='nothing to be kept of what is gone')
