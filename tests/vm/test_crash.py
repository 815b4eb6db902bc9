# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGKILL at every failpoint, of the worker or of it and the daemon, with both
fences, and once more in the recovery: drivers and overrides are as found, no
fence is left, and the type that is told is the one that is."""

import json
import time

import pytest

from vmtest import Topology, cache, e1000e, nvme, pair, policyd
from vmtest.client import traces, unbind, wait_driver

PIN = 'iommu-policyd-hold'
RESTART = ('[Unit]\nStartLimitIntervalSec=0\n'
           '[Service]\nRestartSec=100ms\n')

TOPOLOGY = Topology(
    ports=['rp1', 'rp2', 'rp3', 'rp4', 'rp5', 'rp6', 'rp7'], module=True,
    configure=['--enable-failpoints'],
    cold=[e1000e('nic', 'rp1'), nvme('disk', 'rp2'), e1000e('given', 'rp3'),
          e1000e('shut', 'rp4'), *pair('f0', 'f1', 'rp5'),
          nvme('locked', 'rp6')],
    load=['e1000e', 'nvme', 'vfio-pci'],
    files={f'/etc/systemd/system/{policyd.UNIT}.d/crash.conf': RESTART})

FENCES = ['module', 'pin']

MET = {}            # {kernel: names of failpoints}
RECOVERIES = {}     # see Machine.recoveries()


def remember(vm, names):
    MET.setdefault(vm.release, set()).update(names)


class Machine:
    """The groups that are changed, and how many failpoints each leg meets."""

    def __init__(self, vm, fence):
        self.vm, self.module = vm, fence == 'module'
        self.script = (cache.GUEST_FILES / 'crash.py').read_bytes()
        self.groups = {}
        self.legs = {}
        self.add('nic', 'nic')
        self.add('disk', 'disk', driver='nvme')
        self.add('given', 'given', drivers=['e1000e', 'vfio-pci'])
        self.add('shut', 'shut', blocked=True)
        self.add('locked', 'locked', driver='nvme', blocked=True)
        if vm.release != '6.1':     # which cannot change groups of several
            self.add('pair', 'f0', 'f1')

    def add(self, name, *devices, driver='e1000e', drivers=(),
            blocked=False):
        number = str(self.vm.group_of(devices[0]))
        self.groups[number] = {
            'name': name, 'drivers': list(drivers), 'blocked': blocked,
            'driver': driver,
            'devices': [self.vm.address(device) for device in devices]}

    def run(self, whom, kills, always=''):
        """What came of it; KILLS is {group: {leg: [[first, second], …]}}."""
        wanted = {'whom': whom, 'module': self.module, 'always': always,
                  'groups': {
                      number: {**group, 'kills': kills.get(number, {})}
                      for number, group in self.groups.items()}}
        self.vm.write('/run/crash.py', self.script, 0o755)
        began = time.monotonic()
        done = self.vm.run('python3 /run/crash.py', timeout=1800,
                           input=json.dumps(wanted))
        found = [json.loads(line) for line in done.stdout.splitlines()]
        for one in found:
            for names in one['met'].values():
                remember(self.vm, names)
            if not one['kills'][1] and 'recover' in one['met']:
                self.recoveries()[one['group'], one['leg'],
                                  one['kills'][0]] = one['met']['recover']
        print(f'{len(found)} changes in {time.monotonic() - began:.0f} s; '
              'to the first kill, the second, the end: '
              f'{sorted({tuple(one["took"]) for one in found})}')
        return found

    def learn(self):
        """Each leg once without a kill: what it meets."""
        kills = {number: {'in': [[0, 0]], 'out': [[0, 0]]}
                 if group['blocked'] else {'change': [[0, 0]] * 2}
                 for number, group in self.groups.items()}
        for found in self.run('nobody', kills):
            assert self.wrong(found) == [], json.dumps(found)
            self.legs[found['group'], found['leg']] = found['met']['run']
        return self.legs

    def everywhere(self, every):
        """Each place of each leg; what leads into quarantine takes turns."""
        kills = {}
        for (number, leg), names in self.legs.items():
            group = self.groups[number]
            if group['blocked'] and leg == 'change':
                continue
            found = [[place, 0] for place in places(names, every)]
            if group['blocked'] and not every:
                found = found[group['name'] == 'locked'::2]
            kills.setdefault(number, {})[leg] = found
        return kills

    def recoveries(self):
        """What each recovery meets: {(group, leg, place): [name, …]}."""
        return RECOVERIES.setdefault((self.vm.release, self.module), {})

    def twice(self, every):
        """A second kill for each first one; unless EVERY, they take turns."""
        kills = {}
        for index, (key, names) in enumerate(self.recoveries().items()):
            number, leg, place = key
            again = places(names, every)
            if not every:
                again = [again[index % len(again)]]
            kills.setdefault(number, {}).setdefault(leg, []).extend(
                [place, second] for second in again)
        return kills

    # -- what must be true ----------------------------------------------

    def is_committed(self, found):
        """Its end was recorded before the kill, or there was none."""
        met = found['met']['run']
        if found['leg'] == 'in':
            leg = self.legs.get((found['group'], 'in'), met)
            return met.count('file-rename.after') == \
                leg.count('file-rename.after')
        return met[-1] in ('file-remove.after', 'tell')

    def wrong(self, found):
        """What is not as it has to be after one change that was cut off."""
        group = self.groups[found['group']]
        before, after = found['before'], found['after']
        told, problems = after['told'], []

        def check(right, what):
            if not right:
                problems.append(what)

        shut = after['record'] == 'quarantine'
        check(after['type'] in ('DMA', 'identity'), 'type')
        check(told['Type'] == ('blocked' if shut else after['type']),
              'the type that is told')
        check(after['told_drivers'] == {
            address: driver or ''
            for address, driver in after['drivers'].items()},
            'the drivers that are told')
        check(after['links'] == [], 'device links')
        if shut:
            check(group['blocked'] and after['type'] == 'DMA', 'quarantine')
            check(set(after['overrides'].values()) == {PIN}, 'pins')
            check(set(after['drivers'].values()) == {None},
                  'drivers in quarantine')
            check(after['module'] == ['claim'] * self.module, 'claim')
        else:
            check(after['record'] is None, 'the record')
            check(PIN not in after['overrides'].values(), 'a pin')
            check(after['module'] == [], 'holds and claims')
        problems += self.wrong_end(group, found, shut)
        return problems

    def wrong_end(self, group, found, shut):
        """Either nothing but the type is another, or it is done as a whole."""
        before, after = found['before'], found['after']
        same = (before['drivers'], before['overrides'], before['record']) == \
            (after['drivers'], after['overrides'], after['record'])
        if same and found['kills'][0]:
            return []
        if not self.is_committed(found):
            return ['drivers or overrides']
        if found['leg'] == 'in':
            return [] if shut else ['quarantine has not begun']
        if after['type'] == before['type'] and found['leg'] == 'change':
            return ['type has not changed']
        if found['leg'] == 'out':
            drivers, overrides = [group['driver']], [None]
        elif group['drivers']:
            drivers = set(group['drivers']) - set(before['drivers'].values())
            overrides = drivers
        else:
            drivers = before['drivers'].values()
            overrides = before['overrides'].values()
        right = set(after['drivers'].values()) == set(drivers) and \
            set(after['overrides'].values()) == set(overrides)
        return [] if right else ['drivers or overrides of a change that is done']


@pytest.fixture
def machine(vm, fence):
    # What a test that failed has left stopped goes to its end.
    vm.run('rm -f /run/iommu-policyd/failpoints; pkill -CONT iommu-policyd || true')
    vm.run('rm -f /run/modprobe.d/crash.conf; modprobe iommu_policy')
    if fence == 'pin':
        # The unit loads the module whenever it starts.
        vm.write('/run/modprobe.d/crash.conf',
                 'install iommu_policy /bin/true\n')
        vm.run('modprobe -r iommu_policy')
    backend = 'module' if fence == 'module' else 'sysfs'
    vm.wait(lambda: policyd.manager(vm, 'Backend') == backend, what=backend)
    # An override of somebody's own has to come back as it was.
    vm.run('echo e1000e > /sys/bus/pci/devices/'
           f'{vm.address("nic")}/driver_override')
    return Machine(vm, fence)


SAME = {'file-write': ('file-rename.before',),      # a file that nobody reads
        '.after': ('.before', 'file-write', 'tell')}


def places(names, every):
    """Where to kill: of places with nothing between them, the last."""
    def is_same(name, then):
        return any(name.endswith(end) and then.endswith(SAME[end])
                   for end in SAME)
    return [number for number, (name, then)
            in enumerate(zip(names, [*names[1:], '']), 1)
            if every or not is_same(name, then)]


def check(machine, results):
    for found in results:
        assert machine.wrong(found) == [], json.dumps(found)


@pytest.mark.parametrize('fence', FENCES)
def test_killed_with_the_daemon(machine, pytestconfig):
    every = pytestconfig.getoption('--long')
    machine.learn()
    results = machine.run('daemon', machine.everywhere(every))
    check(machine, results)
    if every:
        check(machine, machine.run('daemon', machine.twice(every)))


@pytest.mark.parametrize('fence', [
    pytest.param('module', marks=pytest.mark.brief()), 'pin'])
def test_worker_killed_and_the_next_one_too(machine, pytestconfig):
    """The daemon has what is left put right by another, and that as well."""
    every = pytestconfig.getoption('--long')
    machine.learn()
    results = machine.run('worker', machine.everywhere(every)) \
        if every or not machine.recoveries() else []
    check(machine, results)
    check(machine, machine.run('worker', machine.twice(every)))


def at(machine, name):
    """Every group cut off at the last time that it meets this."""
    kills = {}
    for (number, leg), names in machine.legs.items():
        if leg != 'out' and not (leg == 'change' and
                                 machine.groups[number]['blocked']):
            place = len(names) - names[::-1].index(name)
            kills[number] = {leg: [[place, 0]]}
    return kills


@pytest.mark.parametrize('whom', ['worker', 'daemon'])
@pytest.mark.parametrize('fence', ['pin'])
def test_without_recovery_it_is_seen(machine, whom):
    """The control of all this."""
    machine.learn()
    results = machine.run(whom, at(machine, 'unbind.after'),
                          'recover:recover=error:ECANCELED\n')
    results = [found for found in results if found['kills'][0]]
    assert len(results) == len(machine.groups)
    for found in results:
        if found['kills'][0]:
            assert {'the record', 'a pin', 'drivers or overrides'} <= \
                set(machine.wrong(found)), json.dumps(found)
    machine.vm.run(f'systemctl restart {policyd.UNIT}')
    await_recovery(machine)


def await_recovery(machine):
    vm = machine.vm
    for group in machine.groups.values():
        for address in group['devices']:
            vm.wait(lambda: vm.driver_of(address)
                    and vm.read(f'/sys/bus/pci/devices/{address}'
                                '/driver_override') != PIN,
                    what=f'{group["name"]} to be put right')


@pytest.mark.parametrize('fence', ['pin'])
def test_every_recovery_is_killed(machine):
    """It is given up, and told, and left to the next reload or start."""
    machine.learn()
    results = machine.run('worker', at(machine, 'unbind.after'),
                          'recover:recover=kill\n')
    for found in results:
        if found['kills'][0]:
            assert 'tried at the next reload' in found['after']['told']['Reason']
            assert len(found['met']['recover']) == 3
            assert 'the record' in machine.wrong(found)
    # The script has ended with a reload, and without the failpoints.
    await_recovery(machine)


# -- hotplug --------------------------------------------------------------------

HOT = e1000e('hot', 'rp7')
SPECS, TRACE = '/run/iommu-policyd/failpoints', '/run/iommu-policyd/failpoints.trace'
CGROUP = f'/sys/fs/cgroup/system.slice/{policyd.UNIT}/cgroup.procs'
PID = f'$(systemctl show -P MainPID {policyd.UNIT})'
STOPPED = (f'for p in $(cat {CGROUP}); do grep -q "^State:.T" '
           '/proc/$p/status && exit 0; done; exit 1')


def plug(vm, place, whom):
    """Plugs it in, kills at the PLACEth failpoint; what its worker has met."""
    vm.write(TRACE, '')
    vm.write(SPECS, f'run:*#{place}=stop\n' if place else '')
    vm.plug(HOT)
    address = vm.address('hot')
    if place:
        vm.wait(STOPPED, what=f'the worker to be at {place}', interval=0.05)
        vm.write(SPECS, '')
        also = '' if whom == 'worker' else '$main'
        vm.run(f'main={PID}; kill -9 {also} $(grep -vx $main {CGROUP})')
    wait_driver(vm, address, driver='e1000e')
    vm.wait(f'[ $(wc -l < {CGROUP}) = 1 ]', what='the worker to end')
    return address


@pytest.mark.parametrize('fence', [
    'module', pytest.param('pin', marks=pytest.mark.brief())])
def test_plugged_in(vm, machine, fence, pytestconfig):
    """What comes behind the gate, or is pinned, has its driver in the end."""
    every = pytestconfig.getoption('--long')
    policyd.policies(vm, crash=None, hot='[hot]\nmatch-address = 0000:07:*\n'
                     'domain = identity\n')

    def look(place, whom):
        address = plug(vm, place, whom)
        names = [line.split()[2] for line in vm.read(TRACE).splitlines()
                 if line.split()[1] == 'run']
        remember(vm, names)
        number = vm.group_of(address)

        def told():
            group = policyd.group(vm, number)
            assert group['Type'] == vm.type_of(number), group
            assert group['State'] != 'applying', group
            assert (group['State'] == 'compliant') == \
                (group['Type'] == 'identity'), group
            return group
        vm.wait(told, what='the truth')
        assert vm.read(f'/sys/bus/pci/devices/{address}/driver_override') \
            == '(null)'
        vm.wait(f'! [ -e /run/iommu-policyd/transaction/{number} ]',
                what='no record to be left')
        if fence == 'module':
            # Other groups may be in quarantine.
            vm.wait(lambda: [item for item in traces(vm) if 'left' in item
                             or item.get('group') == number] == [],
                    what='no fence to be left')
        vm.unplug('hot')
        vm.wait(lambda: not vm.present(address), what='the device to go')
        return names

    for index, place in enumerate(places(look(0, None), every)):
        for whom in ['worker', 'daemon'] if every else \
                [['worker', 'daemon'][index % 2]]:
            look(place, whom)
    policyd.policies(vm, hot=None)


@pytest.mark.parametrize('fence', ['module'])
def test_killed_at_the_gate(vm, machine):
    """The daemon itself, about to let through what needs no worker."""
    policyd.policies(vm, crash=None)
    vm.write(SPECS, 'daemon:gate-let-through=kill\n')
    vm.write(TRACE, '')
    vm.run(f'systemctl restart {policyd.UNIT}')
    vm.wait(lambda: policyd.manager(vm, 'Backend') == 'module', what='the gate')
    before = vm.out(f'echo {PID}')
    vm.plug(HOT)
    address = vm.address('hot')
    wait_driver(vm, address, driver='e1000e')
    vm.wait(f'main={PID}; [ $main != {before} ] && [ $main != 0 ]',
            what='another daemon')
    vm.run(f'rm {SPECS}; systemctl restart {policyd.UNIT}')
    policyd.wait_state(vm, 'hot', 'unmanaged', 'DMA')
    remember(vm, [line.split()[2] for line in vm.read(TRACE).splitlines()])
    vm.unplug('hot')
    vm.wait(lambda: not vm.present(address), what='the device to go')


# -- without a service manager ----------------------------------------------------

@pytest.mark.parametrize('fence', FENCES)
def test_once_is_killed(vm, machine):
    """Its worker goes on to its end, for which a daemon's recovery waits."""
    address, before = vm.address('disk'), vm.type_of('disk')
    wish = 'DMA' if before == 'identity' else 'identity'
    record = f'/run/iommu-policyd/transaction/{vm.group_of("disk")}'
    vm.run(f'systemctl stop {policyd.UNIT}')
    vm.policy('50-crash.conf', f'[disk]\nmatch-address = {address}\n'
              f'domain = {wish}\nrebind = always\n')
    vm.write(SPECS, f'run:type.before@{vm.group_of("disk")}=stop\n')
    job = vm.start('exec iommu-policyd --once')
    worker = vm.wait(lambda: vm.out(
        f'cat /proc/{job.pid}/task/{job.pid}/children'), what='the worker')
    vm.wait(f'grep -q "^State:.T" /proc/{worker}/status',
            what='the worker to be where it is to be')
    vm.run(f'kill -9 {job.pid}')
    vm.run(f'rm {SPECS}')
    mark = policyd.mark(vm)
    vm.run(f'systemctl start {policyd.UNIT}')
    vm.wait(f'pgrep -P $(systemctl show -P MainPID {policyd.UNIT})',
            what='the recovery to begin')
    assert (vm.type_of(address), vm.driver_of(address)) == (before, None)
    assert vm.exists(record)

    vm.run(f'kill -CONT {worker}')
    policyd.wait_state(vm, 'disk', 'compliant', wish)
    wait_driver(vm, address, driver='nvme')
    vm.wait(f'! [ -e {record} ]', what='no record to be left')
    assert vm.read(f'/sys/bus/pci/devices/{address}/driver_override') \
        == '(null)'
    # There was nothing to undo, and nothing has been done twice.
    assert policyd.entries(vm, 'applied', mark) == []
    policyd.policies(vm, crash=None)


@pytest.mark.parametrize('fence', ['pin'])
def test_nobody_had_it(vm, machine):
    """Out of quarantine a device is offered to all drivers, where that had none."""
    address = vm.address('disk')
    rule = f'[disk]\nmatch-address = {address}\nrebind = always\ndomain = '
    unbind(vm, address)
    for name in ('probe.before', 'probe.after'):
        policyd.policies(vm, crash=rule + 'blocked\n')
        policyd.wait_state(vm, 'disk', 'compliant', 'blocked')
        vm.write(TRACE, '')
        vm.write(SPECS, f'run:{name}=kill\n')
        policyd.policies(vm, crash=rule + 'DMA\n')
        group = policyd.wait_state(vm, 'disk', 'failed', 'blocked')
        assert 'the quarantine stays' in group['Reason']
        assert vm.driver_of('disk') is None
        remember(vm, [line.split()[2] for line in vm.read(TRACE).splitlines()])
    vm.run(f'rm {SPECS}')
    policyd.policies(vm, crash=rule + 'identity\n')
    policyd.wait_state(vm, 'disk', 'compliant', 'identity')
    assert vm.driver_of('disk') == 'nvme'
    policyd.policies(vm, crash=None)


def test_no_failpoint_is_left_out(vm):
    """Of those that are built in, each has been met by the tests above."""
    if vm.release not in MET:
        pytest.skip('needs the tests above')
    built_in = set(vm.out('iommu-policyd --list-failpoints').split())
    # No change has that: test_autoprobe.py kills there.
    built_in -= {'autoprobe.before', 'autoprobe.after'}
    assert len(built_in) > 20
    assert built_in - MET[vm.release] == set()
