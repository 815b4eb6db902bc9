# SPDX-License-Identifier: GPL-2.0-or-later
"""Other tools at the same devices at the same time. Whoever wished something
last has it, nothing of ours is left behind, and what is told is true."""

import contextlib
import time

import pytest

from vmtest import Topology, bus, e1000e, policyd
from vmtest.client import (bind, traces, unbind, wait_driver,
                           write_type)

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], module=True,
    cold=[e1000e('nic', 'rp1'), e1000e('other', 'rp2')],
    load=['e1000e', 'vfio-pci'])

PIN = 'iommu-policyd-hold'

pytestmark = pytest.mark.usefixtures('backend')


@pytest.fixture
def backend(backend, vm):
    yield backend
    policyd.policies(vm, nic=None)
    override(vm, '')
    assert policyd.call(vm, 'Restore', 'u', vm.group_of('nic')) == ('', '')
    address = vm.address('nic')
    if vm.driver_of('nic') != 'e1000e':
        unbind(vm, address)
        vm.run(f'echo {address} > /sys/bus/pci/drivers_probe')
    wait_driver(vm, address, driver='e1000e')
    if vm.type_of('nic') != 'DMA':
        policyd.policies(vm, nic=rule(vm, 'DMA'))
        policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
        policyd.policies(vm, nic=None)


def rule(vm, word):
    return (f'[nic]\nmatch-address = {vm.address("nic")}\n'
            f'rebind = always\ndomain = {word}\n')


def override(vm, word=None):
    path = f'/sys/bus/pci/devices/{vm.address("nic")}/driver_override'
    if word is not None:
        vm.run(f'echo {word} > {path}')
    return vm.read(path)


def nothing_left(vm):
    """Nothing of ours is on any device, and what the bus has is so."""
    def look():
        assert PIN not in vm.out('cat /sys/bus/pci/devices/*/driver_override')
        assert vm.out('ls /run/iommu-policyd/transaction') == ''
        if policyd.manager(vm, 'Backend') == 'module':
            assert [item for item in traces(vm) if 'gate' not in item] == []
        group = policyd.group(vm, 'nic')
        assert group['State'] != 'applying', group
        assert group['Type'] == vm.type_of('nic')
        if group['State'] == 'compliant':
            assert group['Target'] == group['Type']
        path = bus.device_path(vm.address('nic'))
        assert vm.busctl_get(path, 'Device', 'Driver') \
            == (vm.driver_of('nic') or '')
        return True
    vm.wait(look, what='the end of all changes')


# -- at the same time, again and again -------------------------------------------

ROUNDS = 6
PATIENCE = 600      # seconds

# Each loop ends as a whole when /run/stop appears; the last pass is the wish.
# Each pass, and each change below, is a line of output.
LOOP = '''
cd /sys/bus/pci
device={device}
while [ ! -e /run/stop ]; do
{body}
	echo pass
done 2> /dev/null
'''

# As driverctl does it: the override, then away from the driver, then a probe.
DRIVERCTL = '''
	for driver in vfio-pci ''; do
		echo "$driver" > devices/$device/driver_override
		echo $device > devices/$device/driver/unbind
		echo $device > drivers_probe
	done
'''

# As libvirt does it: the same, with names of drivers, in its own order.
LIBVIRT = '''
	echo $device > devices/$device/driver/unbind
	echo vfio-pci > devices/$device/driver_override
	echo $device > drivers/vfio-pci/bind
	echo $device > drivers/vfio-pci/unbind
	echo > devices/$device/driver_override
	echo $device > drivers_probe
'''

MODPROBE = '''
	modprobe -r e1000e
	modprobe e1000e
'''

BY_HAND = '''
	echo $device > devices/$device/driver/unbind
	for word in identity DMA-FQ DMA; do
		echo $word > devices/$device/iommu_group/type
	done
	echo $device > drivers/e1000e/bind
'''

# Changes that are asked for all the while.
CHANGES = '''
number={number}
while [ ! -e /run/stop ]; do
	for word in identity DMA DMA-FQ; do
		busctl --timeout=120 call org.iommupolicy1 /org/iommupolicy1 \\
			org.iommupolicy1.Manager SetGroupType 'usa{{sv}}' $number \\
			$word 1 rebind b true > /dev/null 2>&1 && echo changed
	done
done
'''


@contextlib.contextmanager
def at_once(vm, *scripts):
    """Runs them; each has come to its end afterwards."""
    vm.run('rm -f /run/stop')
    jobs = [vm.start(script) for script in scripts]
    try:
        yield jobs
    finally:
        vm.run('touch /run/stop')
        for job in jobs:
            job.wait(180)


@pytest.mark.parametrize('body', [DRIVERCTL, LIBVIRT, MODPROBE, BY_HAND],
                         ids=['driverctl', 'libvirt', 'modprobe', 'by-hand'])
@pytest.mark.strict
def test_race(vm, seconds, body):
    address, number = vm.address('nic'), vm.group_of('nic')
    # Two changes at a time, and they do not hinder each other.
    both = [CHANGES.format(number=number),
            CHANGES.format(number=vm.group_of('other'))]
    with at_once(vm, LOOP.format(device=address, body=body), *both) as jobs:
        def passes():
            return [len(job.peek().stdout.splitlines()) for job in jobs]
        vm.wait(lambda: policyd.group(vm, 'nic')['State'] != 'unmanaged',
                what='the first request')
        end = time.monotonic() + seconds * vm.slowness
        # However slow the machine is, they are to meet some times.
        while time.monotonic() < end or min(passes()) < ROUNDS:
            assert time.monotonic() < end + PATIENCE, passes()
            group = policyd.group(vm, 'nic')
            assert group['State'] in ('compliant', 'pending', 'applying',
                                      'failed', 'refused'), group
    print('{} passes, {} and {} changes'.format(*passes()))
    nothing_left(vm)
    # Its last wish was no override, and a driver.
    assert override(vm) == '(null)'
    wait_driver(vm, address, vm.address('other'), driver='e1000e')
    # And all is well from here on.
    policyd.policies(vm, nic=rule(vm, 'identity'))
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert vm.driver_of('nic') == 'e1000e'
    assert policyd.call(vm, 'Restore', 'u', vm.group_of('other')) == ('', '')
    nothing_left(vm)


# -- in the middle of one change -------------------------------------------------

DELAY = ('exec strace -f -p {pid} -P {path} -e trace=write '
         '-e inject=write:delay_enter=600s -o /dev/null')


@contextlib.contextmanager
def stopped_before(vm, path):
    """Whoever of ours is about to write to PATH waits until this ends."""
    pid = vm.out(['systemctl', 'show', '-P', 'MainPID', policyd.UNIT])
    tracer = vm.start(DELAY.format(pid=pid, path=path))
    vm.wait(f'grep -q "TracerPid:.[1-9]" /proc/{pid}/status')
    try:
        yield
    finally:
        tracer.stop(9)


def type_file(vm):
    return f'/sys/kernel/iommu_groups/{vm.group_of("nic")}/type'


@contextlib.contextmanager
def in_the_middle(vm):
    """Fenced, unbound, and not written yet."""
    with stopped_before(vm, type_file(vm)):
        policyd.policies(vm, nic=rule(vm, 'identity'))
        vm.wait(lambda: vm.driver_of('nic') is None, what='the unbinding')
        vm.wait('grep -q step=write /run/iommu-policyd/transaction/'
                f'{vm.group_of("nic")}')
        yield


def test_an_override_in_the_middle(vm):
    """It is for that driver now, and no failure."""
    with in_the_middle(vm):
        override(vm, 'vfio-pci')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert override(vm) == 'vfio-pci'
    wait_driver(vm, vm.address('nic'), driver='vfio-pci')
    nothing_left(vm)


def test_an_override_that_nobody_answers_to(vm):
    with in_the_middle(vm):
        override(vm, 'none-such')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert override(vm) == 'none-such'
    assert vm.driver_of('nic') is None
    nothing_left(vm)


def test_an_override_is_taken_away_in_the_middle(vm):
    """Ours, where there is no module: then there is no fence any more."""
    with in_the_middle(vm):
        override(vm, '')
        vm.run(f'echo {vm.address("nic")} > /sys/bus/pci/drivers_probe',
               check=False)
    group = vm.wait(lambda: (found := policyd.group(vm, 'nic'))['State']
                    in ('compliant', 'pending') and found, what='the end')
    # Somebody has bound it: that is waited for, or done again.
    assert group['Type'] == vm.type_of('nic')
    wait_driver(vm, vm.address('nic'), driver='e1000e')
    assert override(vm) == '(null)'
    nothing_left(vm)


def test_a_type_by_hand_in_the_middle(vm):
    """After ours: it stays, and is told."""
    link = '/sys/bus/pci/drivers/e1000e/bind'
    with stopped_before(vm, link):
        policyd.policies(vm, nic=rule(vm, 'identity'))
        vm.wait('grep -q step=probe /run/iommu-policyd/transaction/'
                f'{vm.group_of("nic")}')
        assert vm.type_of('nic') == 'identity'
        assert write_type(vm, vm.address('nic'), 'DMA-FQ') is None
    group = policyd.wait_state(vm, 'nic', 'pending', 'DMA-FQ')
    assert 'drifted' in group['Reason'] and group['Drifted']
    assert vm.driver_of('nic') == 'e1000e'
    nothing_left(vm)
    vm.run(f'systemctl reload {policyd.UNIT}')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')


def test_unbound_by_somebody(vm):
    """It gets its type, and no driver that nobody wished."""
    policyd.policies(vm, nic=rule(vm, 'identity'))
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert unbind(vm, vm.address('nic')) is None
    policyd.policies(vm, nic=rule(vm, 'DMA'))
    policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
    assert vm.driver_of('nic') is None
    assert override(vm) == '(null)'
    nothing_left(vm)


def test_an_override_before(vm):
    """Written for the next binding by somebody, which ours is not."""
    address = vm.address('nic')
    override(vm, 'vfio-pci')
    policyd.policies(vm, nic=rule(vm, 'identity'))
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert vm.driver_of('nic') == 'e1000e'
    assert override(vm) == 'vfio-pci'
    nothing_left(vm)
    # The other way round: what has it would not get it by its ID.
    assert unbind(vm, address) is None
    assert bind(vm, 'vfio-pci', address) is None
    override(vm, '')
    policyd.policies(vm, nic=rule(vm, 'DMA-FQ'))
    policyd.wait_state(vm, 'nic', 'compliant', 'DMA-FQ')
    assert vm.driver_of('nic') == 'vfio-pci'
    assert override(vm) == '(null)'
    nothing_left(vm)
