# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of the bus that behave badly harm nobody else: one that calls as
fast as it is answered, one that never reads what it is sent, and several.
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
    # Root is told apart from those whom the bus has not named yet.
    assert policyd.call(vm, 'Reload') == ('', '')
    assert memory(vm) < room + 64 * MEGABYTE


def owner(vm):
    return vm.run(['busctl', 'call', 'org.freedesktop.DBus', '/',
                   'org.freedesktop.DBus', 'GetNameOwner', 's', bus.SERVICE],
                  check=False).stdout


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
    before = owner(vm)
    job = flood(vm, 'deaf', vm.address('nic'), '120', '1')
    try:
        # dbus-broker has enough of it sooner.
        vm.wait(lambda: 'sent' in job.peek().stdout
                or vm.topology.bus == 'broker'
                and job.peek().status is not None, what='the calls',
                timeout=240)
        harmless(vm, usual)
    finally:
        job.stop()
    # dbus-daemon keeps that.
    assert owner(vm) == before
    assert bus.get_all(vm, bus.ROOT, 'Manager')['Mode'] == 'enforce'


def test_some_that_never_read(vm, usual):
    """While what they are sent is more than 127 MB, dbus-daemon reads
    nothing from the daemon, which joins it anew.
    """
    before = owner(vm)
    # An answer has about 250 KB.
    job = flood(vm, 'deaf', vm.address('nic'), '120', '8')
    try:
        if vm.topology.bus == 'broker':
            vm.wait(lambda: 'sent' in job.peek().stdout
                    or job.peek().status is not None, what='the calls',
                    timeout=240)
        else:
            vm.wait(lambda: owner(vm) not in ('', before),
                    what='the daemon to join the bus anew', timeout=240)
            assert [row for row in
                    vm.journal('SYSLOG_IDENTIFIER=iommu-policyd')
                    if 'joining it anew' in row['MESSAGE']]
        vm.wait(lambda: policyd.call(vm, 'Plan') == ('', ''),
                what='an answer')
        harmless(vm, usual)
        # They are still there.
        assert vm.topology.bus == 'broker' or job.peek().status is None
    finally:
        job.stop()
    assert bus.get_all(vm, bus.ROOT, 'Manager')['Mode'] == 'enforce'
