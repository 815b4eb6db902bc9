# SPDX-License-Identifier: GPL-2.0-or-later
"""A hundred times two devices at once: each ends in its type with its driver,
and the daemon is as small afterwards as it was before. Forty with --brief.

On kernel 6.1 a type write may meet the removal of its device and fault in the
kernel, so this is for 6.12.
"""

import time

import pytest

from vmtest import Topology, bus, e1000e, nvme

WARM_UP = 20    # until buffers, pools and the like have their size

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'],
    policy={'50-cycles.conf': '[8086:10d3]\ndomain = identity\n'
            '[disks]\nmatch-class = 0108\ndomain = DMA-FQ\n'},
    # Each change is looked for in the journal: none may be left out.
    files={'/etc/iommu-policyd/iommu-policyd.conf.d/log.conf':
           '[Daemon]\nLogLevel=debug\n'},
    load=['e1000e', 'nvme'])

WANTED = {'nic': ('identity', 'e1000e'), 'disk': ('DMA-FQ', 'nvme')}
APPLIED = 'MESSAGE_ID=d78709716d1f491bb84d3223daaaec5d'

# One command a look: each costs a tenth of a second of emulation.
LOOK = '''
pid=$(systemctl show -P MainPID iommu-policyd)
echo pid $pid
sed -n 's/^RssAnon:[^0-9]*\\([0-9]*\\) kB/anon \\1/p' /proc/$pid/status
echo files $(ls /proc/$pid/fd | wc -l)
echo maps $(wc -l < /proc/$pid/maps)
echo children $(cat /proc/$pid/task/$pid/children | wc -w)
echo records $(ls /run/iommu-policyd/group /run/iommu-policyd/transaction |
	grep -c '^[0-9]')
'''


# A group's object: the first digit of its number is encoded.
STATE = """busctl get-property org.iommupolicy1 \\
	/org/iommupolicy1/group/$(printf %s $number | sed 's/^./_3&/') \\
	org.iommupolicy1.Group State | grep -q '"compliant"'"""


def measure(vm):
    return {name: int(value) for name, value in
            (line.split() for line in vm.out(LOOK).splitlines())}


def right(vm, settled=True):
    """A shell condition: both devices are as their rules say.

    `settled`: the daemon has seen it to its end and says so.
    """
    words = []
    for name, (type_, driver) in WANTED.items():
        folder = f'/sys/bus/pci/devices/{vm.address(name)}'
        words += [f'grep -qsx {type_} {folder}/iommu_group/type',
                  f'[ {folder}/driver -ef /sys/bus/pci/drivers/{driver} ]']
        if settled:
            words.append(f'number=$(basename $(readlink {folder}/iommu_group'
                         ')) && ' + STATE)
    return ' && '.join(words)


def gone(addresses):
    """A shell condition: none of these devices is there."""
    return ' && '.join(f'[ ! -e /sys/bus/pci/devices/{address} ]'
                       for address in addresses)


def complaints(vm):
    """What the daemon has told of at level warning or above."""
    return [entry['MESSAGE'] for entry in
            vm.journal('_SYSTEMD_UNIT=iommu-policyd.service')
            if int(entry['PRIORITY']) <= 4]


@pytest.mark.kernels('6.12')
def test_hundred_cycles(vm, pytestconfig):
    cycles = 40 if pytestconfig.getoption('--brief') else 100
    pair = [e1000e('nic', 'rp1'), nvme('disk', 'rp2')]
    objects = sorted(bus.managed_objects(vm))
    samples = {0: measure(vm)}
    took = []
    for cycle in range(1, cycles + 1):
        # Which one is first takes turns.
        pair.reverse()
        started = time.monotonic()
        vm.plug(*pair)
        addresses = [vm.address(device.id) for device in pair]
        vm.wait(right(vm), interval=0.05,
                what=f'types and drivers in cycle {cycle}')
        took.append(time.monotonic() - started)
        vm.unplug(*WANTED)
        vm.wait(gone(addresses), interval=0.05, what=f'end of cycle {cycle}')
        if cycle % 10 == 0:
            # Idle means that nothing is left to hear of.
            vm.wait(lambda: sorted(bus.managed_objects(vm)) == objects,
                    what='the objects to go')
            samples[cycle] = measure(vm)
            # Each change was one, and was seen to its end.
            assert len(vm.journal(APPLIED)) == 2 * cycle

    print(f'\n{cycles} cycles, plugging to done: '
          f'{min(took):.2f} to {max(took):.2f} s, '
          f'median {sorted(took)[len(took) // 2]:.2f} s')
    for cycle, sample in samples.items():
        print(f'cycle {cycle:3}: {sample}')
    warm, last = samples[WARM_UP], samples[cycles]
    assert last['pid'] == samples[0]['pid']
    assert last['files'] == warm['files'] == samples[0]['files']
    assert last['children'] == 0
    assert last['records'] == samples[0]['records']
    assert last['maps'] <= warm['maps'] + 2
    # 160 devices after 40: less than 0.6 KiB for each would be seen.
    assert last['anon'] - warm['anon'] <= 96, samples
    # Nothing went wrong on the way, either.
    assert complaints(vm) == []


@pytest.mark.kernels('6.12')
def test_unplugged_in_the_middle(vm):
    """Gone again while the daemon is at it: no complaint, nothing left."""
    pair = [e1000e('nic', 'rp1'), nvme('disk', 'rp2')]
    objects = sorted(bus.managed_objects(vm))
    before = measure(vm)
    for moment in range(8):
        pair.reverse()
        vm.plug(*pair)
        addresses = [vm.address(device.id) for device in pair]
        if moment < 4:
            vm.wait(right(vm, settled=False), interval=0.02,
                    what='types and drivers')
        else:
            vm.wait(f'[ -e /sys/bus/pci/devices/{addresses[moment % 2]} ]',
                    interval=0.02, what='a device')
        vm.unplug(*WANTED)
        vm.wait(gone(addresses), what='both to go')
    vm.wait(lambda: sorted(bus.managed_objects(vm)) == objects,
            what='the objects to go')
    vm.wait(lambda: measure(vm)['children'] == 0, what='the workers to end')
    after = measure(vm)
    assert {**after, 'anon': 0} == {**before, 'anon': 0}
    assert complaints(vm) == []
