# SPDX-License-Identifier: GPL-2.0-or-later
"""With the module's gate, a device that is plugged in waits for its policy:
its first driver meets the right type, and is its only one."""

import contextlib

import pytest

from vmtest import Topology, e1000e, nvme, pair, plugged, policyd
from vmtest.client import Client, once, traces, wait_driver
from vmtest.uevents import Uevents

CYCLES = 50
NIC = '[8086:10d3]\ndomain = identity\n'
DISK = '[disk]\nmatch-class = 0108\ndomain = DMA-FQ\n'
DROP_IN = '/run/iommu-policyd/iommu-policyd.conf.d/50-test.conf'

pytestmark = pytest.mark.brief('6.1')

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], module=True,
    load=['e1000e', 'nvme', 'vfio-pci'],
    policy={'50-nic.conf': NIC, '50-disk.conf': DISK})

DEVICES = {'nic': (e1000e('nic', 'rp1'), 'e1000e', 'identity'),
           'disk': (nvme('disk', 'rp2'), 'nvme', 'DMA-FQ')}


@pytest.fixture
def settings(vm):
    """settings(text) are the daemon's for one test."""
    def set_to(text, reload=True):
        vm.write(DROP_IN, f'[Daemon]\n{text}')
        if reload:
            vm.run(f'systemctl reload {policyd.UNIT}')
    yield set_to
    vm.run(f'rm -f {DROP_IN}; systemctl reload-or-restart {policyd.UNIT}')


@pytest.fixture
def rule(vm):
    yield lambda text: policyd.policies(vm, nic=NIC.replace(
        'domain = identity\n', text))
    policyd.policies(vm, nic=NIC)


def gate(vm):
    """What the module says of the gate; None while it is not armed."""
    info, = [line for line in once(vm, 'info-get') if line['kind'] == 'reply']
    return info.get('gate')


def pid(vm):
    return int(vm.out(['systemctl', 'show', '-P', 'MainPID', policyd.UNIT]))


def nothing_left(vm):
    def look():
        found = [item for item in traces(vm) if 'gate' not in item]
        assert not found, found
        return True
    vm.wait(look, what='no fence to be left')


def is_gated(vm, address):
    entry, = [device for line in once(vm, f'group-get device={address}')
              if line['kind'] == 'reply' for device in line['devices']
              if device['address'] == address]
    return 'gated' in entry['flags']


# -- the gate is the daemon's ---------------------------------------------------

def test_the_service_loads_the_module_and_arms_the_gate(vm):
    assert vm.exists('/sys/module/iommu_policy')
    assert policyd.manager(vm, 'Backend') == 'module'
    policyd.entry(vm, 'module-came')
    found = gate(vm)
    assert found['pid'] == pid(vm)
    assert found['flags'] == []
    assert found['timeout'] == 10000
    assert found['held'] == 0


@pytest.mark.parametrize('name', DEVICES)
def test_bound_once_and_never_unbound(vm, name):
    device, driver, type_ = DEVICES[name]
    # The journal gets so many entries of a group, and its number is used again.
    vm.run(f'systemctl restart {policyd.UNIT}')
    vm.wait(lambda: (gate(vm) or {}).get('pid') == pid(vm), what='the gate')
    mark = policyd.mark(vm)
    with Uevents(vm) as events:
        for cycle in range(1, CYCLES + 1):
            with plugged(vm, device) as address:
                wait_driver(vm, address, driver=driver)
                # Nothing changes it under the driver, so it was that before.
                assert vm.type_of(address) == type_, cycle
            vm.wait(lambda: len(events.of(address)) >= 4 * cycle,
                    what='all events')
        # The one unbind is that of the unplugging.
        assert events.of(address) == [
            'add', f'bind {driver}', 'unbind', 'remove'] * CYCLES
    applied = policyd.entries(vm, 'applied', mark)
    assert len(applied) == CYCLES
    assert {entry['TYPE_TO'] for entry in applied} == {type_}
    nothing_left(vm)


@pytest.mark.kernels('6.12')
def test_both_functions_of_a_card_wait_for_the_vote(vm):
    """The first function alone would get another type than both."""
    policyd.policies(vm, nic='[first]\nmatch-address = 0000:01:00.0\n'
                     'domain = identity\n[second]\n'
                     'match-address = 0000:01:00.1\ndomain = DMA-FQ\n')
    try:
        with Uevents(vm) as events:
            with plugged(vm, *pair('first', 'second', 'rp1')) as (_, first):
                second = first[:-1] + '1'
                wait_driver(vm, first, second, driver='e1000e')
                assert vm.type_of(first) == 'DMA-FQ'
                assert vm.group_of(first) == vm.group_of(second)
                assert 'unbind' not in events.of(first) + events.of(second)
    finally:
        policyd.policies(vm, nic=NIC)
    nothing_left(vm)


@pytest.mark.parametrize('text', [
    'domain = keep\n', 'domain = DMA\n', 'domain = blocked\nmatch-address = 0000:ff:*\n',
    'domain = identity\nrebind = never\n'])
def test_nothing_is_to_be_done_and_it_is_not_kept(vm, rule, text):
    """No rule, nothing to change, a rule that never unbinds."""
    rule(text)
    with Uevents(vm) as events, plugged(vm, e1000e('nic', 'rp1')) as address:
        wait_driver(vm, address, driver='e1000e')
        assert vm.type_of(address) == ('identity' if 'never' in text
                                       else 'DMA')
        events.expect(address, 'add', 'bind e1000e')
    nothing_left(vm)


def test_a_device_of_no_policy_at_all(vm):
    """The files have errors from the start and none was kept."""
    policyd.policies(vm, reload=False, nic='[8086:10d3]\ndomain = no\n')
    vm.run('rm -rf /var/lib/iommu-policyd/policy; '
           f'systemctl restart {policyd.UNIT}')
    try:
        with plugged(vm, e1000e('nic', 'rp1')) as address:
            wait_driver(vm, address, driver='e1000e')
            assert vm.type_of(address) == 'DMA'
    finally:
        policyd.policies(vm, nic=NIC)
    nothing_left(vm)


@pytest.mark.parametrize('loaded', [True, False])
def test_the_rules_driver_is_the_first(vm, rule, loaded):
    rule('domain = identity\ndriver = vfio-pci\n')
    vm.run(f'modprobe {"" if loaded else "-r"} vfio-pci')
    with Uevents(vm) as events, plugged(vm, e1000e('nic', 'rp1')) as address:
        if not loaded:
            group = policyd.wait_state(vm, 'nic', 'pending', 'identity')
            assert 'modprobe vfio-pci' in group['Reason']
            events.expect(address, 'add')
            assert not is_gated(vm, address)
            vm.run('modprobe vfio-pci')
        wait_driver(vm, address, driver='vfio-pci')
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        events.expect(address, 'add', 'bind vfio-pci')
    nothing_left(vm)


def test_quarantine_from_the_first_moment(vm, rule):
    rule('domain = blocked\n')
    with Uevents(vm) as events, plugged(vm, e1000e('nic', 'rp1')) as address:
        group = policyd.wait_state(vm, 'nic', 'compliant', 'blocked')
        assert 'by the kernel module (DMA blocked)' in group['Reason']
        events.expect(address, 'add')
        vm.wait(lambda: not is_gated(vm, address), what='the gate to open')
        assert vm.driver_of(address) is None
        rule('domain = identity\n')
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        events.expect(address, 'add', 'bind e1000e')
    nothing_left(vm)


# -- settings -------------------------------------------------------------------

def test_settings_of_the_gate(vm, settings):
    settings('GateTimeoutSec=7\nGateOnTimeout=hold\n')
    vm.wait(lambda: gate(vm)['timeout'] == 7000, what='the new time-out')
    assert sorted(gate(vm)['flags']) == ['keep-shut', 'sticky']
    settings('GateTimeoutSec=9\n')
    vm.wait(lambda: gate(vm)['timeout'] == 9000, what='the next one')
    assert gate(vm)['flags'] == []
    for text in ('Gate=no\n', 'Mode=audit\n'):
        settings(text)
        vm.wait(lambda: gate(vm) is None, what='the gate to be disarmed')
        with plugged(vm, e1000e('nic', 'rp1')) as address:
            wait_driver(vm, address, driver='e1000e')
        settings('Gate=yes\n')
        vm.wait(lambda: gate(vm) is not None, what='the gate to be armed')
    mark = policyd.mark(vm)
    settings('Gate=perhaps\nGateTimeoutSec=0\nGateOnTimeout=shut\n')
    told = [entry['MESSAGE'] for entry in vm.journal(
        f'_SYSTEMD_UNIT={policyd.UNIT}', 'PRIORITY=4')
        if policyd.number(entry) > mark]
    assert [line for line in told if DROP_IN in line] == [
        f'{DROP_IN}:2: [Daemon] Gate: perhaps is not understood '
        '(expected yes, no or autoprobe)',
        f'{DROP_IN}:3: [Daemon] GateTimeoutSec: 0 is not understood '
        '(expected seconds, 1 to 3600)',
        f'{DROP_IN}:4: [Daemon] GateOnTimeout: shut is not understood '
        '(expected open or hold)']
    assert gate(vm)['timeout'] == 10000


def test_a_daemon_that_sleeps_and_a_gate_that_opens(vm, settings):
    # Long enough to look at what is held.
    settings('GateTimeoutSec=15\n')
    vm.wait(lambda: gate(vm)['timeout'] == 15000, what='the time-out')
    with contextlib.ExitStack() as stack:
        with policyd.asleep(vm):
            address = stack.enter_context(plugged(vm, e1000e('nic', 'rp1')))
            assert is_gated(vm, address)
            assert vm.driver_of(address) is None
            wait_driver(vm, address, driver='e1000e')
            assert vm.type_of(address) == 'DMA'
        # As without a gate: the driver is taken away and given back.
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        wait_driver(vm, address, driver='e1000e')
    nothing_left(vm)


def test_a_daemon_that_sleeps_and_a_gate_that_holds(vm, settings):
    settings('GateTimeoutSec=1\nGateOnTimeout=hold\n')
    vm.wait(lambda: gate(vm)['timeout'] == 1000, what='the time-out')
    with contextlib.ExitStack() as stack, Uevents(vm) as events:
        with policyd.asleep(vm):
            address = stack.enter_context(plugged(vm, e1000e('nic', 'rp1')))
            vm.run('sleep 3')
            assert is_gated(vm, address)
            assert vm.driver_of(address) is None
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        wait_driver(vm, address, driver='e1000e')
        events.expect(address, 'add', 'bind e1000e')
    nothing_left(vm)


# -- the daemon ends ------------------------------------------------------------

SECONDS_TO_DRIVER = '''
began=$(cut -d' ' -f1 /proc/uptime)
{kill}
until [ -e /sys/bus/pci/devices/{address}/driver ]; do sleep 0.02; done
awk "{{ print \\$1 - $began }}" /proc/uptime
'''


def test_a_killed_daemon_leaves_no_device_behind(vm):
    """Its socket is closed, and with it the gate."""
    with contextlib.ExitStack() as stack:
        before = pid(vm)
        vm.run(f'systemctl kill -s STOP {policyd.UNIT}')
        address = stack.enter_context(plugged(vm, e1000e('nic', 'rp1')))
        assert is_gated(vm, address)
        until = gate(vm)['timeout']
        took = float(vm.out(SECONDS_TO_DRIVER.format(
            kill=f'kill -9 {before}', address=address)))
        print(f'driver after {took:.2f} s')
        # It was not the time-out that opened it.
        assert took * 1000 < until
        vm.wait(lambda: pid(vm) not in (0, before), what='another daemon')
        vm.wait(lambda: gate(vm) and gate(vm)['pid'] == pid(vm),
                what='its gate')
        # It was there when the new one came, so it keeps its driver.
        group = policyd.wait_state(vm, 'nic', 'pending')
        assert 'hotplug' in group['Reason']
    nothing_left(vm)


def test_a_gate_that_holds_waits_for_the_next_daemon(vm, settings):
    settings('GateTimeoutSec=1\nGateOnTimeout=hold\n')
    vm.wait(lambda: 'sticky' in gate(vm)['flags'], what='the sticky gate')
    for way in ('kill', 'stop'):
        with contextlib.ExitStack() as stack, Uevents(vm) as events:
            before = pid(vm)
            if way == 'kill':
                vm.run(f'systemctl kill -s STOP {policyd.UNIT}')
            else:
                vm.run(f'systemctl stop {policyd.UNIT}')
                assert gate(vm)['portid'] == 0
            address = stack.enter_context(plugged(vm, e1000e('nic', 'rp1')))
            vm.run('sleep 2')
            assert is_gated(vm, address)
            vm.run(f'kill -9 {before}' if way == 'kill'
                   else f'systemctl start {policyd.UNIT}')
            wait_driver(vm, address, driver='e1000e')
            vm.wait(lambda: pid(vm) not in (0, before), what='the next one')
            policyd.wait_state(vm, 'nic', 'compliant', 'identity')
            events.expect(address, 'add', 'bind e1000e')
    # A daemon that is told not to have a gate opens that of the last one.
    vm.run(f'systemctl stop {policyd.UNIT}')
    assert gate(vm)['portid'] == 0
    settings('Gate=no\n', reload=False)
    vm.run(f'systemctl start {policyd.UNIT}')
    vm.wait(lambda: gate(vm) is None, what='the gate to be disarmed')
    nothing_left(vm)


def test_somebody_elses_gate(vm):
    vm.run(f'systemctl stop {policyd.UNIT}')
    other = Client(vm)
    assert other.ask('gate-arm', timeout=60000)['error'] is None
    mark = policyd.mark(vm)
    vm.run(f'systemctl start {policyd.UNIT}')

    def told():
        return [entry['MESSAGE'] for entry in vm.journal(
            f'_SYSTEMD_UNIT={policyd.UNIT}', 'PRIORITY=4')
            if policyd.number(entry) > mark]
    vm.wait(lambda: f'armed by process {other.pid};' in ' '.join(told()),
            what='the warning')
    assert gate(vm)['pid'] == other.pid
    other.stop()
    vm.wait(lambda: gate(vm) and gate(vm)['pid'] == pid(vm),
            what='the daemon to have it')


def test_it_was_not_restarted_more_often_than_meant(vm):
    assert vm.out(['systemctl', 'show', '-P', 'NRestarts',
                   policyd.UNIT]) in ('0', '2')
