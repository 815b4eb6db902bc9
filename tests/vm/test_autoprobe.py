# SPDX-License-Identifier: GPL-2.0-or-later
"""Gate=autoprobe: a device that is plugged in waits for its policy without the
kernel module, and none is left waiting, neither by the daemon nor by one that
has ended."""

from pathlib import Path

import pytest

from vmtest import (Device, Topology, e1000e, kernel, module, nic, nvme,
                    plugged, policyd)
from vmtest.client import wait_driver
from vmtest.uevents import Uevents

NAME = '/etc/iommu-policyd/iommu-policyd.conf.d/50-gate.conf'
DROP_IN = f'/run/systemd/system/{policyd.UNIT}.d/50-test.conf'
FAILPOINTS = '/run/iommu-policyd/failpoints'
RECORD = '/run/iommu-policyd/autoprobe'
SWITCH = '/sys/bus/pci/drivers_autoprobe'
AUTOPROBE, YES = '[Daemon]\nGate=autoprobe\n', '[Daemon]\nGate=yes\n'
SLOW = 'iommu_policy_slow'

pytestmark = pytest.mark.brief()
newest = pytest.mark.kernels('7.2')


def topology(**options):
    return Topology(
        ports=['rp1', 'rp2'], load=['e1000e', 'nvme'],
        cold=[nic('cold', 'pcie.0', 'e1000', slot=3)],
        policy={'50-nic.conf': '[8086:10d3]\ndomain = identity\n'},
        files={NAME: AUTOPROBE}, **options)


TOPOLOGY = topology(configure=['--enable-failpoints'])


def switched(vm, value):
    vm.wait(lambda: (vm.read(SWITCH), vm.exists(RECORD))
            == (value, value == '0'), what=f'{SWITCH} to be {value}')


def setting(vm, text):
    vm.write(NAME, text)
    vm.run(f'systemctl reload {policyd.UNIT}')


def said(vm, words, mark=0):
    """The daemon's lines, or the unit's, that have these words."""
    vm.run('journalctl --sync')
    return [entry['MESSAGE']
            for entry in vm.journal(f'_SYSTEMD_UNIT={policyd.UNIT}')
            if policyd.number(entry) > mark and words in entry['MESSAGE']]


def without_nvme(vm):
    """udev may be looking at what a disk has."""
    vm.wait('modprobe -r nvme', what='the driver to go')


@pytest.fixture
def edu(vm):
    """A device to plug in, whose driver defers its probe."""
    vm.write(f'/run/{SLOW}.ko',
             module.other(kernel.get(vm.release),
                          Path(__file__).with_name('slow')))
    vm.run(f'insmod /run/{SLOW}.ko defer=1')
    yield Device('edu', 'edu', 'rp2')
    vm.run(f'rmmod {SLOW}')


def go_on(vm):
    vm.run(f'echo 0 >/sys/module/{SLOW}/parameters/defer')


@pytest.mark.brief('6.12')
def test_what_the_kernel_honours(vm):
    """One line says so; before 6.19 nothing is switched. Drivers come either
    way, at boot by udev, after the daemon has begun."""
    line, = said(vm, 'Gate=autoprobe')
    honours = vm.release == '7.2'
    assert ('is 0 from now on' if honours else 'before Linux 6.19') in line
    switched(vm, '0' if honours else '1')
    wait_driver(vm, vm.address('cold'), driver='e1000')
    with plugged(vm, e1000e('nic', 'rp1')) as address:
        wait_driver(vm, address, driver='e1000e')
    assert len(said(vm, 'autoprobe')) == 1


@newest
def test_first_driver_comes_after_the_policy(vm):
    """Nothing is unbound, though the drivers were loaded before; what nobody
    manages has its driver, too; and no other bus is touched."""
    switched(vm, '0')
    others = vm.out('grep -L 1 /sys/bus/*/drivers_autoprobe')
    assert others == SWITCH
    mark = policyd.mark(vm)
    with Uevents(vm) as events, \
            plugged(vm, e1000e('nic', 'rp1'), nvme('other', 'rp2')) \
            as (card, other):
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        policyd.wait_state(vm, 'other', 'unmanaged', 'DMA')
        wait_driver(vm, card, driver='e1000e')
        wait_driver(vm, other, driver='nvme')
        # The kernel refuses this change to what has a driver, so the one
        # that was bound once came after it.
        events.expect(card, 'add', 'bind e1000e')
        events.expect(other, 'add', 'bind nvme')
        applied = policyd.entry(vm, 'applied', mark,
                                IOMMU_GROUP=vm.group_of('nic'))
        assert (applied['TYPE_FROM'], applied['TYPE_TO']) \
            == ('DMA', 'identity')


@newest
def test_a_driver_that_is_loaded_later(vm):
    """udev loads it when the device comes, and no rule is about that."""
    without_nvme(vm)
    with plugged(vm, nvme('other', 'rp1')) as address:
        wait_driver(vm, address, driver='nvme')
        # And again, by a driver that finds the device there.
        without_nvme(vm)
        vm.wait(lambda: vm.driver_of(address) is None, what='no driver')
        vm.run('modprobe nvme')
        wait_driver(vm, address, driver='nvme')


@newest
def test_a_driver_that_defers_its_probe(vm, edu):
    """The kernel would not ask it again (deferred probe) while that is 0."""
    with plugged(vm, edu) as address:
        vm.wait(lambda: address in vm.read(
            '/sys/kernel/debug/devices_deferred'), what='it to be deferred')
        assert vm.driver_of(address) is None
        go_on(vm)
        wait_driver(vm, address, driver='slow')


@newest
def test_a_probe_that_was_deferred_before(vm, edu):
    vm.run(f'systemctl stop {policyd.UNIT}')
    switched(vm, '1')
    with plugged(vm, edu) as address:
        vm.wait(lambda: address in vm.read(
            '/sys/kernel/debug/devices_deferred'), what='it to be deferred')
        vm.run(f'systemctl start {policyd.UNIT}')
        switched(vm, '0')
        go_on(vm)
        wait_driver(vm, address, driver='slow')


@newest
def test_what_somebody_has_unbound(vm):
    """Only what has come is given to a driver, not what was taken from it."""
    with plugged(vm, nvme('other', 'rp1')) as address:
        wait_driver(vm, address, driver='nvme')
        vm.run(f'echo {address} >/sys/bus/pci/drivers/nvme/unbind')
        vm.run(f'systemctl restart {policyd.UNIT}')
        switched(vm, '0')
        vm.run(f'udevadm trigger --action=add /sys/bus/pci/devices/{address};'
               ' udevadm settle')
        with plugged(vm, e1000e('nic', 'rp2')) as card:
            wait_driver(vm, card, driver='e1000e')
        assert vm.driver_of(address) is None


@newest
def test_a_daemon_that_is_killed(vm):
    """The unit puts back, and what waited has its driver without a daemon."""
    vm.write(DROP_IN, '[Service]\nRestart=no\n')
    vm.run('systemctl daemon-reload')
    without_nvme(vm)
    try:
        mark = policyd.mark(vm)
        pid = vm.out(f'systemctl show -P MainPID {policyd.UNIT}')
        vm.run(f'kill -STOP {pid}')
        with plugged(vm, e1000e('nic', 'rp1'), nvme('other', 'rp2')) \
                as (card, other):
            vm.run('modprobe nvme; udevadm settle')
            assert (vm.driver_of(card), vm.driver_of(other)) == (None, None)
            vm.run(f'kill -KILL {pid}')
            switched(vm, '1')
            wait_driver(vm, card, driver='e1000e')
            wait_driver(vm, other, driver='nvme')
            assert vm.out(f'systemctl is-failed {policyd.UNIT}') == 'failed'
            assert len(said(vm, 'Gate=autoprobe has ended', mark)) == 1
    finally:
        vm.run(f'rm {DROP_IN}; systemctl daemon-reload; '
               f'systemctl reset-failed {policyd.UNIT}; '
               f'systemctl start {policyd.UNIT}')
    switched(vm, '0')


# Who is traced hears neither SIGTERM nor the SIGCONT that systemd has follow.
HOLD = '''\
import ctypes, os, sys, time
PTRACE_ATTACH, WALL, pid = 16, 0x40000000, int(sys.argv[1])
ctypes.CDLL(None).ptrace(PTRACE_ATTACH, pid, None, None)
os.waitpid(pid, WALL)
open("/run/held", "w").close()
time.sleep(1e6)
'''


@newest
def test_a_daemon_that_cannot_be_killed(vm):
    """systemd says so to ExecStopPost= by what it does not set: the switch at
    least is put back, and the next start does the rest."""
    pid = vm.out(f'systemctl show -P MainPID {policyd.UNIT}')
    vm.write('/run/hold.py', HOLD)
    held = vm.start(f'python3 /run/hold.py {pid}')
    vm.wait('test -e /run/held', what='the daemon to be held')
    # For systemd it is one that SIGKILL has not ended.
    vm.write(DROP_IN, '[Service]\nSendSIGKILL=no\nTimeoutStopSec=15s\n'
             'ExecStopPost=/bin/sh -c "env >/run/stop-post"\n')
    try:
        with plugged(vm, e1000e('nic', 'rp1')) as address:
            # Whoever else comes while the daemon runs does nothing.
            for words in ('', 'SERVICE_RESULT=exit-code EXIT_CODE=exited'):
                assert vm.run(f'env {words} iommu-policyd --put-back',
                              check=False).status != 0
                assert vm.read(SWITCH) == '0'
            vm.run('systemctl daemon-reload && '
                   f'systemctl stop {policyd.UNIT}', timeout=180)
            told = vm.read('/run/stop-post')
            assert 'SERVICE_RESULT=timeout' in told
            assert 'EXIT_CODE' not in told
            assert (vm.read(SWITCH), vm.exists(RECORD)) == ('1', True)
            assert vm.driver_of(address) is None
            vm.run(f'kill -KILL {pid}; rm {DROP_IN}; '
                   'systemctl daemon-reload; '
                   f'systemctl reset-failed {policyd.UNIT}; '
                   f'systemctl start {policyd.UNIT}')
            wait_driver(vm, address, driver='e1000e')
    finally:
        vm.run(f'kill -KILL {pid}; rm -f {DROP_IN} && '
               f'systemctl daemon-reload && systemctl start {policyd.UNIT}')
        held.stop()
    switched(vm, '0')


@newest
@pytest.mark.parametrize('where', ['before', 'after'])
def test_killed_where_it_switches(vm, where):
    """The record is there first, and tells whoever comes."""
    vm.run(f'systemctl stop {policyd.UNIT}')
    switched(vm, '1')
    vm.write(DROP_IN, '[Service]\nRestart=no\nExecStopPost=\n')
    vm.write(FAILPOINTS, f'daemon:autoprobe.{where}=kill\n')
    try:
        vm.run('systemctl daemon-reload')
        start = vm.run(f'systemctl start {policyd.UNIT}', check=False)
        assert start.status != 0 and vm.exists(RECORD)
        assert vm.read(SWITCH) == ('1' if where == 'before' else '0')
        vm.run(f'rm {FAILPOINTS}')
        with plugged(vm, e1000e('nic', 'rp1')) as address:
            if where == 'after':
                assert vm.driver_of(address) is None
            vm.run('iommu-policyd --put-back')
            wait_driver(vm, address, driver='e1000e')
            switched(vm, '1')
    finally:
        vm.run(f'rm -f {DROP_IN} {FAILPOINTS}; systemctl daemon-reload; '
               f'systemctl reset-failed {policyd.UNIT}; '
               f'systemctl start {policyd.UNIT}')
    switched(vm, '0')


@newest
def test_all_of_the_unit_is_killed(vm):
    """Nobody has put back, perhaps, and the next daemon knows what waits."""
    pid = vm.out(f'systemctl show -P MainPID {policyd.UNIT}')
    vm.run(f'kill -STOP {pid}')
    with plugged(vm, e1000e('nic', 'rp1')) as address:
        assert vm.driver_of(address) is None
        vm.run(f'systemctl kill -s KILL {policyd.UNIT}')
        vm.wait(lambda: vm.out(f'systemctl show -P MainPID {policyd.UNIT}')
                not in ('0', pid), what='the next daemon')
        wait_driver(vm, address, driver='e1000e')
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    switched(vm, '0')


@newest
def test_stopped_while_a_device_comes(vm):
    pid = vm.out(f'systemctl show -P MainPID {policyd.UNIT}')
    vm.run(f'kill -STOP {pid}')
    with plugged(vm, e1000e('nic', 'rp1')) as address:
        assert vm.driver_of(address) is None
        vm.run(f'systemctl stop --no-block {policyd.UNIT}; kill -CONT {pid}')
        wait_driver(vm, address, driver='e1000e')
        switched(vm, '1')
        vm.run(f'systemctl start {policyd.UNIT}')
        switched(vm, '0')
        assert vm.driver_of(address) == 'e1000e'


@newest
def test_the_setting_comes_and_goes_while_devices_do(vm):
    job = vm.start(
        f'while :; do for gate in yes autoprobe; do '
        f'printf "[Daemon]\\nGate=$gate\\n" >{NAME}; '
        f'systemctl reload {policyd.UNIT}; done; done')
    try:
        for _ in range(6):
            with plugged(vm, e1000e('nic', 'rp1'), nvme('other', 'rp2')) \
                    as (card, other):
                wait_driver(vm, card, driver='e1000e')
                wait_driver(vm, other, driver='nvme')
    finally:
        job.stop()
    setting(vm, YES)
    switched(vm, '1')
    setting(vm, AUTOPROBE)
    switched(vm, '0')


@newest
def test_somebody_else_has_switched_it_off(vm):
    vm.run(f'systemctl stop {policyd.UNIT}')
    switched(vm, '1')
    vm.run(f'echo 0 >{SWITCH}')
    mark = policyd.mark(vm)
    vm.run(f'systemctl start {policyd.UNIT}')
    assert len(said(vm, 'by somebody else', mark)) == 1
    assert not vm.exists(RECORD)
    vm.run(f'systemctl stop {policyd.UNIT}')
    assert vm.read(SWITCH) == '0'
    vm.run(f'echo 1 >{SWITCH}; systemctl start {policyd.UNIT}')
    switched(vm, '0')


@newest
def test_the_module_has_a_gate_of_its_own(boot):
    """Where it is loaded nothing is switched, be it before or later."""
    vm = boot(topology(module=True))
    with plugged(vm, e1000e('nic', 'rp1')) as address:
        wait_driver(vm, address, driver='e1000e')
    assert not said(vm, 'Gate=autoprobe')
    switched(vm, '1')
    vm.run('modprobe -r iommu_policy')
    switched(vm, '0')
    with plugged(vm, e1000e('nic', 'rp1')) as address:
        wait_driver(vm, address, driver='e1000e')
        vm.run('modprobe iommu_policy')
        switched(vm, '1')
    assert len(said(vm, 'Gate=autoprobe is off')) == 1
