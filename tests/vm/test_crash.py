# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGKILL at every failpoint, of the worker or of it and the daemon, with both
fences, and once more in the recovery: drivers and overrides are as found, no
fence is left, and the type that is told is the one that is."""

import json
import time

import pytest

from vmtest import Topology, cache, e1000e, nvme, pair, policyd

PIN = 'iommu-policyd-hold'
RESTART = ('[Unit]\nStartLimitIntervalSec=0\n'
           '[Service]\nRestartSec=100ms\n')

TOPOLOGY = Topology(
    ports=['rp1', 'rp2', 'rp3', 'rp4', 'rp5'], module=True,
    configure=['--enable-failpoints'],
    cold=[e1000e('nic', 'rp1'), nvme('disk', 'rp2'), e1000e('given', 'rp3'),
          e1000e('shut', 'rp4'), *pair('f0', 'f1', 'rp5')],
    load=['e1000e', 'nvme', 'vfio-pci'],
    files={f'/etc/systemd/system/{policyd.UNIT}.d/crash.conf': RESTART})

FENCES = ['module', 'pin']


class Machine:
    """The groups that are changed, and how many failpoints each leg meets."""

    def __init__(self, vm, fence):
        self.vm, self.module = vm, fence == 'module'
        self.script = (cache.GUEST_FILES / 'crash.py').read_bytes()
        self.groups = {}
        self.legs = {}
        self.add('nic', 'nic')
        self.add('disk', 'disk')
        self.add('given', 'given', drivers=['e1000e', 'vfio-pci'])
        self.add('shut', 'shut', blocked=True)
        if vm.release != '6.1':     # which cannot change groups of several
            self.add('pair', 'f0', 'f1')

    def add(self, name, *devices, drivers=(), blocked=False):
        number = str(self.vm.group_of(devices[0]))
        self.groups[number] = {
            'name': name, 'drivers': list(drivers), 'blocked': blocked,
            'devices': [self.vm.address(device) for device in devices]}

    def run(self, whom, kills):
        """What came of it; KILLS is {group: {leg: [[first, second], …]}}."""
        wanted = {'whom': whom, 'module': self.module, 'groups': {
            number: {**group, 'kills': kills.get(number, {})}
            for number, group in self.groups.items()}}
        self.vm.write('/run/crash.py', self.script, 0o755)
        began = time.monotonic()
        done = self.vm.run('python3 /run/crash.py', timeout=900,
                           input=json.dumps(wanted))
        found = [json.loads(line) for line in done.stdout.splitlines()]
        rounds = max((len(list(item)) for item in kills.values()), default=0)
        print(f'{len(found)} changes cut off in '
              f'{time.monotonic() - began:.0f} s', rounds)
        return found

    def learn(self):
        """Each leg once without a kill: what it meets."""
        kills = {number: {'in': [[0, 0]], 'out': [[0, 0]]}
                 if group['blocked'] else {'change': [[0, 0]] * 2}
                 for number, group in self.groups.items()}
        for found in self.run('nobody', kills):
            assert self.wrong(found) == [], found
            self.legs[found['group'], found['leg']] = found['met']['run']
        return self.legs

    # -- what must be true ----------------------------------------------

    def is_committed(self, found):
        """Its end was recorded before the kill, or there was none."""
        first = found['kills'][0]
        leg = self.legs.get((found['group'], found['leg']))
        return not first or first >= len(leg) - 1

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
            drivers, overrides = ['e1000e'], [None]
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


@pytest.mark.parametrize('whom', ['worker', 'daemon'])
@pytest.mark.parametrize('fence', FENCES)
def test_killed(machine, whom, pytestconfig):
    legs = machine.learn()
    kills = {}
    for (group, leg), names in legs.items():
        kills.setdefault(group, {})[leg] = [
            [place, 0]
            for place in places(names, pytestconfig.getoption('--long'))]
    for found in machine.run(whom, kills):
        assert machine.wrong(found) == [], found
