# SPDX-License-Identifier: GPL-2.0-or-later
"""The first seconds: a driver meets its device after the change.

Nothing is loaded by hand here. udev loads the drivers of what is there at
boot, as it does everywhere; the kernel's own events, recorded from before the
daemon starts, tell when each of them got its device, and the journal when the
type was changed.
"""

import re

import pytest

from vmtest import Device, Topology, e1000e, nvme, policyd

pytestmark = pytest.mark.brief('6.12')

EVENTS = '/run/boot-events'
RECORDER = f'''\
[Unit]
DefaultDependencies=no
Before={policyd.UNIT} systemd-udev-trigger.service
[Service]
ExecStart=/bin/sh -c 'exec stdbuf -oL udevadm monitor --kernel --property \
--subsystem-match=pci >{EVENTS}'
ExecStartPost=/bin/sh -c 'until grep -q KERNEL {EVENTS}; do sleep 0.1; done'
[Install]
WantedBy=sysinit.target
'''
POLICY = '''\
[storage]
match-class = 0108
domain = identity

[network]
match-id = 8086:10d3
domain = identity

[serial]
match-class = 0700
'''
IDENTITY, LAZY = 'domain = identity\n', 'domain = DMA-FQ\n'


def topology(**options):
    files = {'/etc/systemd/system/boot-events.service': RECORDER}
    files.update(options.pop('files', {}))
    return Topology(
        ports=['rp1', 'rp2', 'rp3'],
        cold=[nvme('disk', 'rp1'), e1000e('nic', 'rp2'),
              Device('pci-serial', 'serial', 'rp3')],
        policy={'50-boot.conf': POLICY + IDENTITY}, files=files,
        enable=[policyd.UNIT, 'boot-events.service'], **options)


TOPOLOGY = topology()
DRIVERS = {'disk': 'nvme', 'nic': 'e1000e'}


def pytest_generate_tests(metafunc):
    """One boot in three, or in twenty, shares the file's machine."""
    if 'boot_number' in metafunc.fixturenames:
        last = 20 if metafunc.config.getoption('--long') else 3
        metafunc.parametrize('boot_number', range(2, last + 1))


def events(vm, name):
    """What the kernel told of a device: (seconds since boot, what it did)."""
    found = re.findall(r'^KERNEL\[([0-9.]+)\] (\w+) +\S*/(\S+) \(pci\)$',
                       vm.read(EVENTS), re.MULTILINE)
    return [(float(when), what) for when, what, address in found
            if address == vm.address(name)]


def look(vm):
    """Each device was changed first and bound then, and never unbound."""
    for name, driver in DRIVERS.items():
        vm.wait(lambda: vm.driver_of(name) == driver, what=driver)
        policyd.wait_state(vm, name, 'compliant', 'identity')
        applied = policyd.entry(vm, 'applied',
                                IOMMU_GROUP=vm.group_of(name))
        assert (applied['TYPE_FROM'], applied['TYPE_TO']) \
            == ('DMA', 'identity')
        # Told when the probe is over, long after the link to the driver.
        bound = vm.wait(lambda: [when for when, what in events(vm, name)
                                 if what == 'bind'], what='the bind event')
        print(f'{name}: changed at {policyd.sent(applied):.3f} s, '
              f'bound at {bound[0]:.3f} s')
        assert len(bound) == 1 and policyd.sent(applied) < bound[0]
    assert not re.search(r'^KERNEL\S+ unbind ', vm.read(EVENTS), re.MULTILINE)
    vm.wait('test -b /dev/nvme0n1')
    vm.run('dd if=/dev/nvme0n1 of=/dev/null bs=64k count=16 2>/dev/null')


@pytest.mark.strict
def test_first_driver(vm):
    look(vm)


@pytest.mark.fresh_vm
@pytest.mark.strict
def test_first_driver_again(vm, boot_number):
    look(vm)


def test_a_driver_that_is_built_in(vm):
    """It was there before anybody could act, and the state says so."""
    vm.wait(lambda: vm.driver_of('serial') == 'serial', what='the driver')
    reason = policyd.wait_state(vm, 'serial', 'pending', 'DMA')['Reason']
    assert 'it is built into the kernel' in reason
    for help in ('rebind = always', 'iommu.passthrough=', 'DMA-FQ'):
        assert help in reason
    try:
        # What needs no unbinding works.
        policyd.policies(vm, boot=POLICY + LAZY)
        policyd.wait_state(vm, 'serial', 'compliant', 'DMA-FQ')
        assert not [what for _, what in events(vm, 'serial')
                    if what == 'unbind']
        # And so does what the rule allows.
        policyd.policies(vm, boot=POLICY + IDENTITY + 'rebind = always\n')
        policyd.wait_state(vm, 'serial', 'compliant', 'identity')
        assert vm.driver_of('serial') == 'serial'
    finally:
        policyd.policies(vm, boot=POLICY + IDENTITY)


# -- a daemon that does not help ----------------------------------------------

def seconds(vm, unit, name):
    """A time stamp of a unit, since boot."""
    return int(vm.out(['systemctl', 'show', '-P', f'{name}TimestampMonotonic',
                       unit])) / 1e6


def started(vm, unit):
    """When systemd began with it, for the first time."""
    return min(policyd.sent(row)
               for row in vm.journal('SYSLOG_IDENTIFIER=systemd')
               if row['MESSAGE'].startswith(f'Starting {unit}'))


def held_up(vm):
    """How long udev's trigger had to wait for the daemon."""
    vm.wait('systemctl is-active multi-user.target', timeout=180,
            what='the boot to end')
    for name, driver in DRIVERS.items():
        vm.wait(lambda: vm.driver_of(name) == driver, what=driver)
        assert vm.type_of(name) == 'DMA'
    return started(vm, 'systemd-udev-trigger.service') \
        - started(vm, policyd.UNIT)


def with_start(command):
    """The daemon's unit, with another program."""
    # A machine that is slow for its debugging gives all services longer.
    text = f'[Service]\nExecStart=\nExecStart={command}\n' \
        'TimeoutStartSec=10s\n'
    return topology(wait='agent', expect_failed=[policyd.UNIT], files={
        f'/etc/systemd/system/{policyd.UNIT}.d/test.conf': text})


@pytest.mark.brief()
def test_a_daemon_that_fails(boot):
    vm = boot(with_start('/bin/false'))
    delay = held_up(vm)
    print(f'held up for {delay:.1f} s')
    # Nobody waits for the next try.
    assert delay < seconds(vm, 'multi-user.target', 'ActiveEnter') / 4


def test_a_daemon_that_hangs(boot):
    """It is stopped before its first word, and so hears no SIGTERM."""
    vm = boot(with_start("/bin/sh -c 'kill -STOP $$$$; exec iommu-policyd'"))
    delay = held_up(vm)
    print(f'held up for {delay:.1f} s')
    vm.run(f'grep -qx TimeoutStartSec=10s /lib/systemd/system/{policyd.UNIT}')
    assert 10 <= delay < 20 * vm.slowness


# Before the daemon: its worker stops where it would write the type.
STOPPER = f'''\
[Unit]
DefaultDependencies=no
Before={policyd.UNIT}
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'mkdir -m 0755 /run/iommu-policyd && \
echo run:type.before=stop >/run/iommu-policyd/failpoints'
[Install]
WantedBy=sysinit.target
'''


def test_a_kernel_that_does_not_come_back(boot):
    """From the write of a type: nobody waits for that longer than 5 s."""
    drop_in = f'/etc/systemd/system/{policyd.UNIT}.d/test.conf'
    vm = boot(topology(wait='agent', configure=['--enable-failpoints'], files={
        '/etc/systemd/system/stopper.service': STOPPER,
        drop_in: '[Unit]\nAfter=stopper.service\nWants=stopper.service\n'
                 '[Service]\nTimeoutStartSec=600s\n',
        '/etc/iommu-policyd/iommu-policyd.conf':
            '[Daemon]\nTransactionTimeoutSec=600\n'}))
    vm.wait('systemctl is-active multi-user.target', timeout=180,
            what='the boot to end')
    assert vm.out(f'systemctl is-active {policyd.UNIT}') == 'active'
    delay = started(vm, 'systemd-udev-trigger.service') \
        - started(vm, policyd.UNIT)
    print(f'held up for {delay:.1f} s')
    assert delay >= 5
    # The drivers come as they would without the daemon, which finds them there.
    for name, driver in DRIVERS.items():
        vm.wait(lambda: vm.driver_of(name) == driver, what=driver)
        policyd.wait_state(vm, name, 'applying', 'DMA')
    vm.run('rm /run/iommu-policyd/failpoints; pkill -CONT iommu-policyd')
    for name, driver in DRIVERS.items():
        policyd.wait_state(vm, name, 'pending', 'DMA')
        assert vm.driver_of(name) == driver


def test_neither_bus_nor_journal(boot):
    """It begins before them, and works without them."""
    masks = ('dbus.socket', 'dbus.service', 'systemd-journald.service',
             'systemd-journald.socket', 'systemd-journald-dev-log.socket')
    vm = boot(topology(wait='agent', kernel_args=' '.join(
        f'systemd.mask={unit}' for unit in masks)))
    vm.wait(f'systemctl is-active {policyd.UNIT}', what='the daemon')
    for name, driver in DRIVERS.items():
        vm.wait(lambda: vm.driver_of(name) == driver, what=driver)
        assert vm.type_of(name) == 'identity'
        assert 'unbind' not in [what for _, what in events(vm, name)]
    assert not vm.exists('/run/dbus/system_bus_socket')
    assert not vm.exists('/run/systemd/journal/socket')
    status = policyd.status(vm)
    assert '3 managed' in status and '1 pending' in status
