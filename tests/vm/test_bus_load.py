# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of the bus that behave badly harm nobody else: one that calls as
fast as it is answered, and one that never reads what it is sent.
"""

import time

import pytest

from vmtest import Topology, bus, cache, e1000e, policyd

# So that answers of Explain are long, and soon fill whatever holds them.
RULES = ''.join(f'[rule-{number}]\nmatch-id = 1234:{number:04x}\n'
                f'domain = keep\ndescription = {"x" * 100}\n'
                for number in range(2000))
TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], cold=[e1000e('nic', 'rp1')], load=['e1000e'],
    policy={'40-many.conf': RULES,
            '50-nic.conf': '[8086:10d3]\ndomain = keep\n',
            '60-hot.conf': '[hot]\nmatch-parent = 0000:00:09.0\n'
                           'domain = identity\n'})

# As much slower as a caller, or a device, may get by what others do. A flood
# has at least one of the guest's two CPUs, and the bus has its part of it.
RATIO = 30
MEGABYTE = 1 << 20


def memory(vm):
    """The most that the daemon has ever had, in bytes."""
    pid = vm.out(['systemctl', 'show', '-P', 'MainPID', policyd.UNIT])
    fields = dict(line.split(':', 1) for line in
                  vm.read(f'/proc/{pid}/status').splitlines())
    return int(fields['VmHWM'].split()[0]) * 1024


def flood(vm, *words):
    script = (cache.GUEST_FILES / 'bus-flood.py').read_text()
    vm.write('/run/bus-flood', script, mode=0o755)
    return vm.start('exec setpriv --reuid=nobody --regid=nogroup '
                    f'--clear-groups -- /run/bus-flood {" ".join(words)}')


def call_time(vm):
    start = time.monotonic()
    assert policyd.call(vm, 'Plan') == ('', '')
    return time.monotonic() - start


def plug_time(vm):
    """How long a device that is plugged in waits for what its rule says."""
    start = time.monotonic()
    vm.plug(e1000e('hot', 'rp2'))
    vm.wait(lambda: vm.type_of('hot') == 'identity'
            and vm.driver_of('hot') == 'e1000e', what='identity',
            timeout=180)
    taken = time.monotonic() - start
    address = vm.address('hot')
    vm.unplug('hot')
    vm.wait(lambda: not vm.present(address), what='the device to go')
    return taken


@pytest.fixture
def usual(vm):
    """How long things take when nobody does harm; and that nobody did."""
    state = ['systemctl', 'show', '-P', 'MainPID,NRestarts', policyd.UNIT]
    before = vm.out(state)
    yield call_time(vm), plug_time(vm), memory(vm)
    # Neither the watchdog nor anything else has ended it.
    assert vm.out(state) == before


def harmless(vm, usual):
    call, plug, room = usual
    assert call_time(vm) < RATIO * call
    assert plug_time(vm) < RATIO * plug
    assert call_time(vm) < RATIO * call
    assert memory(vm) < room + 64 * MEGABYTE


def answered(job):
    lines = [line for line in job.peek().stdout.split('\n')[:-1]
             if line.startswith('answered')]
    return int(lines[-1].split()[1]) if lines else 0


def test_a_thousand_calls_a_second(vm, usual):
    job = flood(vm, 'read')
    try:
        vm.wait(lambda: answered(job) > 300, what='the flood')
        before = answered(job)
        harmless(vm, usual)
        assert answered(job) > before
    finally:
        job.stop()


def test_one_that_never_reads(vm, usual):
    """What it is sent is the bus's to keep, which has limits."""
    job = flood(vm, 'deaf', vm.address('nic'), '900')
    try:
        vm.wait(lambda: 'called 800' in job.peek().stdout
                or job.peek().status is not None, what='the calls',
                timeout=240)
        harmless(vm, usual)
    finally:
        job.stop()
    assert bus.get_all(vm, bus.ROOT, 'Manager')['Mode'] == 'enforce'
