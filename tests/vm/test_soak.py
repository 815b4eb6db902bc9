# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything at once and at random, and all is well afterwards.

The seed is printed; IOMMU_VM_SEED repeats it. How long: --soak SECONDS, a
minute by default; tests/vm/soak does it for half an hour each.
"""

import collections
import json
import os
import random
import re
import time

import pytest

from vmtest import Topology, cache, e1000e, nvme, pair, policyd

pytestmark = pytest.mark.kernels('6.12', '6.1')

# How often it is tried to have done something of everything.
TURNS = 5

# Memory of its own kind, and a look at its own leaks (by ptrace) at its end.
ASAN = bool(os.environ.get('IOMMU_VM_ASAN'))
DROP_IN = f'/etc/systemd/system/{policyd.UNIT}.d/asan.conf'
SANITIZED = {DROP_IN: '''[Service]
Environment=ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
SystemCallFilter=
MemoryDenyWriteExecute=no
TimeoutStartSec=60
'''}

TOPOLOGY = Topology(
    files=SANITIZED if ASAN else {},
    ports=['rp1', 'rp2', 'rp3', 'rp4', 'rp5'], module=True,
    cold=[nvme('disk', 'rp1'), e1000e('nic', 'rp2')],
    load=['e1000e', 'nvme'], ram_mb=1536, tcg_thread='single')

# What is plugged in and out, with the ports that they go to.
HOT = {'hot-disk': [nvme('hot-disk', 'rp3')],
       'hot-nic': [e1000e('hot-nic', 'rp4')],
       'f0': pair('f0', 'f1', 'rp5')}

# The last word. The pair's is what it has at boot, which also kernels before
# 6.4 can give it, and back again.
FINAL = '''[last-disk]
match-class = 0108
domain = identity
rebind = always

[last-nic]
match-class = 0200
domain = DMA-FQ
rebind = always

[last-pair]
match-address = {pair}
domain = DMA
rebind = always
'''
FOLDER = '/run/iommu-policyd/transaction'
# Of the daemon's memory, what it may have more after than before: what malloc
# keeps of a flood's peak, and not what leaks with each of thousands of changes.
GROWTH, SLACK_KB = 1.3, 4096


@pytest.fixture
def seconds(pytestconfig):
    return pytestconfig.getoption('--soak')


def pid(vm):
    found = vm.out(['systemctl', 'show', '-P', 'MainPID', policyd.UNIT])
    assert found != '0', vm.out(['systemctl', 'status', policyd.UNIT],
                                check=False)
    return found


def memory(vm):
    """Of the daemon's own, in KiB."""
    return int(re.search(r'^RssAnon:\s+(\d+)',
                         vm.read(f'/proc/{pid(vm)}/status'), re.M)[1])


def files(vm):
    """What it has open, by kind."""
    return vm.out(f'for f in /proc/{pid(vm)}/fd/*; do readlink $f; done '
                  "| sed 's/:.*//' | sort")


def plug_about(vm, dice, until):
    """Devices come and go; all of them are there in the end.

    Not a disk on 6.1: nvme before 6.2 frees what it has of a disk that is
    pulled when its last user is done, and the kernel dies of it
    (nvme_dbbuf_dma_free() after "Removing from iommu group").
    """
    movable = [name for name in sorted(HOT)
               if vm.release != '6.1' or name != 'hot-disk']
    cycles = 0
    while time.monotonic() < until:
        name = dice.choice(movable)
        if vm.plugged(name):
            vm.unplug(*(device.id for device in HOT[name]), timeout=180)
            cycles += 1
        else:
            vm.plug(*HOT[name])
        time.sleep(dice.random())
    for name, devices in sorted(HOT.items()):
        if not vm.plugged(name):
            vm.plug(*devices)
    return cycles


def soak(vm, seed, seconds, *words):
    """What was done, and how often."""
    script = (cache.GUEST_FILES / 'soak.py').read_text()
    staying = ','.join(vm.address(device.id) for device in TOPOLOGY.cold)
    job = vm.start(f'python3 - {seed} {seconds} {staying} {" ".join(words)}',
                   input=script)
    cycles = plug_about(vm, random.Random(seed), time.monotonic() + seconds)
    done = json.loads(job.wait(timeout=seconds + 300).stdout)
    print(f'seed {seed}: {cycles} plugged out; {json.dumps(done)}')
    return cycles, done


def devices(vm):
    return [name for name in ('disk', 'nic', 'f1', *sorted(HOT))]


def type_of(name):
    return {'disk': 'identity', 'nic': 'DMA-FQ'}.get(
        name.removeprefix('hot-'), 'DMA')


def settle(vm, module):
    """The last word is spoken, and everybody else is silent."""
    vm.run('systemctl reset-failed iommu-policyd; '
           'systemctl start iommu-policyd')
    vm.run('modprobe iommu_policy' if module else 'modprobe -r iommu_policy')
    vm.run(f'rm -f {policyd.FOLDER}/*')
    vm.run('echo 1 > /sys/bus/pci/rescan')
    for name in devices(vm):
        vm.wait(lambda: vm.present(name) and vm.group_of(name) is not None,
                what=f'{name} to be there')
    bus_ = vm.address('f0').rsplit('.', 1)[0]
    policyd.policies(vm, soak=FINAL.format(pair=f'{bus_}.*'))
    # By whoever has unbound it.
    for name in devices(vm):
        address = vm.address(name)

        def bound():
            if vm.driver_of(address):
                return True
            vm.run(f'echo {address} > /sys/bus/pci/drivers_probe',
                   check=False)
            return False
        right(vm, name)
        vm.wait(bound, what=f'{name} to be bound', interval=1)
        right(vm, name)


def right(vm, name):
    """As the policy says; what has failed once is asked for again."""
    def look():
        found = policyd.group(vm, name)
        if found['State'] in ('failed', 'pending', 'refused'):
            policyd.call(vm, 'ApplyGroup', 'ua{sv}', vm.group_of(name),
                         {'rebind': ['b', True]})
        seen = found['State'], found['Type'], found['Reason']
        assert found['State'] == 'compliant', (name, seen)
        assert found['Type'] == type_of(name) == vm.type_of(name), (name, seen)
        return True
    vm.wait(look, timeout=120, what=f'{name} to be as the policy says',
            interval=1)


def left(vm):
    """Everything that a change may leave behind."""
    overrides = {name: vm.read(f'/sys/bus/pci/devices/{vm.address(name)}'
                               '/driver_override') for name in devices(vm)}
    assert set(overrides.values()) == {'(null)'}, overrides
    assert vm.out(f'ls -A {FOLDER}') == ''
    assert vm.out(f'pgrep -P {pid(vm)} || true') == ''
    assert vm.out('ps -e -o stat= -o comm= | grep "^Z.*iommu-pol" || true') \
        == ''
    assert sorted(vm.out('ls /run/iommu-policyd/group').split(), key=int) \
        == [str(number) for number in sorted(vm.groups())]
    if vm.exists('/sys/module/iommu_policy'):
        assert 'iommu' not in vm.out('ls /sys/class/devlink')
    return True


def everybody_is_well(vm):
    vm.wait(lambda: left(vm), what='nothing to be left')
    assert vm.out('systemctl is-active iommu-policyd') == 'active'
    said = vm.out(f'journalctl -b -q -o cat _PID=1 + _SYSTEMD_UNIT='
                  f'{policyd.UNIT}')
    assert not re.search(r'dumped core|status=\d+/(ABRT|SEGV|BUS)|Sanitizer'
                         '|runtime error:', said), said


def everything_at_random(vm, seconds, module, *words):
    """WORDS: what guest/soak.py may do that cannot be done everywhere."""
    seed = int(os.environ.get('IOMMU_VM_SEED', random.randrange(1 << 31)))
    print(f'IOMMU_VM_SEED={seed}')
    vm.run('modprobe iommu_policy' if module else 'modprobe -r iommu_policy')
    for name, found in sorted(HOT.items()):
        if not vm.plugged(name):
            vm.plug(*found)
    cycles, well = 0, collections.Counter()
    for turn in range(TURNS):
        more, done = soak(vm, seed + turn, seconds * 2 // 3, 'kill', *words)
        settle(vm, module)
        everybody_is_well(vm)
        cycles += more
        well.update({name: count for name, (_, count) in done.items()})
        # What is never done cannot fail; a busy host does little in a minute.
        enough = cycles >= 1 and well['kill'] + well['restart'] >= 1 \
            and all(well[name] for name in ('policy', 'objects', 'unbind'))
        if enough:
            break
    assert enough, (cycles, well)

    # And without an end of the daemon, for what it would keep.
    process, before, open_before = pid(vm), memory(vm), files(vm)
    soak(vm, seed + TURNS, seconds // 3, *words)
    settle(vm, module)
    everybody_is_well(vm)
    assert pid(vm) == process
    vm.wait(lambda: files(vm) == open_before, what='files to be closed')
    after = memory(vm)
    print(f'memory: {before} KiB before, {after} KiB after')
    assert ASAN or after <= before * GROWTH + SLACK_KB, (before, after)


@pytest.mark.kernels('6.12')
def test_without_the_module(vm, seconds):
    """Not on 6.1, which does not survive a type that is written while a
    device goes: the module is its cure (test_module_bracket.py)."""
    everything_at_random(vm, seconds, False, 'types')


def test_with_the_module(vm, seconds, kernel_release):
    """On 6.1 it stays loaded, and nobody else writes types: see there."""
    everything_at_random(vm, seconds, True,
                         *(() if kernel_release == '6.1'
                           else ('types', 'module')))
