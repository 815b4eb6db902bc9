# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything at once: holds, claims, brackets with type writes, the gate and
queries of three clients, drivers that come and go, devices that are removed,
found again, and plugged. Each request has its answer, the kernel complains of
nothing, and unloading leaves nothing behind.
"""

import time

import pytest

from vmtest import Topology, e1000e, nvme, pair
from vmtest.client import bind, traces, wait_driver

pytestmark = [pytest.mark.kernels('6.12', '6.1'), pytest.mark.strict]

# An emulated timer that is armed anew for each tick may miss one for ever when
# the host is busy, and nobody arms it again; a periodic one goes on.
TOPOLOGY = Topology(
    kernel_args='nohz=off highres=off',
    ports=['rp1', 'rp2', 'rp3', 'rp4'], module=True, enable=(),
    cold=[nvme('disk', 'rp1'), e1000e('nic', 'rp2'),
          *pair('f0', 'f1', 'rp3')],
    load=['iommu_policy', 'e1000e', 'nvme', 'vfio-pci'])

DRIVERS = {'disk': 'nvme', 'nic': 'e1000e', 'f0': 'e1000e', 'f1': 'e1000e'}

# What a request may be told when others are at the same thing.
ACKS = {'0', 'EBUSY', 'EUSERS', 'EAGAIN', 'ENODEV', 'ENOENT', 'ETIMEDOUT',
        'ENOBUFS'}
DONES = {'0', 'EBUSY', 'EUSERS', 'EAGAIN', 'ENODEV', 'ENOENT', 'ECANCELED'}

# And while the module is being unloaded, the latter by netlink itself.
LAST_ACKS = ACKS | {'ESHUTDOWN', 'EPROTONOSUPPORT'}

# Of the groups that have gone, of those of several devices before 6.4, and
# of what has been bound or claimed since.
WRITES = {'0', 'EBUSY', 'EPERM', 'EINVAL', 'ENOENT', 'ENODEV'}

BINDS = '''
cd /sys/bus/pci
while :; do
	for pair in {pairs}; do
		device=${{pair%=*}} driver=${{pair#*=}}
		echo $device > drivers/$driver/unbind
		echo $device > drivers/$driver/bind
		echo $device > drivers_probe
	done
done 2> /dev/null
'''

CYCLES = '''
cd /sys/bus/pci
while :; do
	for device in {devices}; do
		echo 1 > devices/$device/remove
		echo 1 > rescan
	done
done 2> /dev/null
'''


@pytest.fixture
def addresses(vm):
    """Of all devices; they are there and bound at the end."""
    # Until 6.2 nvme gives memory back at the last close of its disk
    # (nvme_pci_free_ctrl()), by the domain of that time: a type that is
    # written between unbind and that is a page fault of the kernel's own.
    # While it is being started, a stop is cancelled by that.
    vm.wait('systemctl stop systemd-udevd.service '
            'systemd-udevd-control.socket systemd-udevd-kernel.socket')
    # Sooner than the two minutes by which the harness would be gone.
    vm.run('sysctl -q kernel.hung_task_timeout_secs=30')
    found = {name: vm.address(name) for name in DRIVERS}
    yield found
    vm.run('modprobe -r iommu_policy; echo 1 > /sys/bus/pci/rescan')
    for name, address in found.items():
        vm.wait(lambda: vm.present(address), what=f'{name} to be found')
        if not vm.driver_of(address):
            bind(vm, DRIVERS[name], address)
        wait_driver(vm, address, driver=DRIVERS[name])
    vm.run('modprobe iommu_policy')


class Load:
    """Three clients and two loops; ended by `end`."""

    def __init__(self, vm, clients, addresses, seconds):
        self.clients = [clients(events=False) for _ in range(3)]
        self.jobs = [
            vm.start(BINDS.format(pairs=' '.join(
                f'{addresses[name]}={driver}'
                for name, driver in DRIVERS.items()))),
            vm.start(CYCLES.format(devices=' '.join(
                addresses[name] for name in ('f1', 'nic'))))]
        for seed, client in enumerate(self.clients, 1):
            client.send(f'stress seconds={seconds} seed={seed} '
                        f'devices={",".join(addresses.values())}')

    def end(self):
        """What the clients say, when all answers are there."""
        found = [client.wait(kind='stress', timeout=180)
                 for client in self.clients]
        for job in self.jobs:
            # It may stand in an nvme probe, which waits 60 s for an interrupt
            # that QEMU has lost.
            job.stop(9, timeout=180)
        for answer in found:
            print(answer)
            assert answer['sent'].keys() <= {'0'}
            assert (answer['missing_acks'], answer['missing_dones'],
                    answer['overruns']) == (0, 0, 0)
            assert answer['writes'].keys() <= WRITES
        return found


def test_everything_at_once(vm, clients, addresses, seconds):
    load = Load(vm, clients, addresses, seconds)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        vm.plug(e1000e('hot', 'rp4'))
        vm.wait(lambda: vm.present('hot'), what='the device')
        hot = vm.address('hot')
        vm.unplug('hot')
        vm.wait(lambda: not vm.present(hot), what='the device to go')
    done = 0
    for answer in load.end():
        assert answer['acks'].keys() <= ACKS
        assert answer['dones'].keys() <= DONES
        assert answer['acks']['0'] > 20 * seconds / vm.slowness
        done += answer['writes'].get('0', 0)
    # Types that could be written, in between all that.
    assert done > 0

    # Unloaded with all of it in somebody's hands, or in nobody's.
    for client in load.clients:
        client.close()
    vm.run('echo 1 > /sys/bus/pci/rescan')
    vm.wait(lambda: all(map(vm.present, addresses.values())),
            what='all devices')
    last = clients(events=False)
    last.ask('gate-disarm')
    for name in ('disk', 'nic', 'f0'):
        if vm.driver_of(addresses[name]):
            vm.run(f'echo {addresses[name]} > /sys/bus/pci/devices/'
                   f'{addresses[name]}/driver/unbind')
        last.error('unclaim', device=addresses[name])
    last.must('claim', 'persistent', device=addresses['disk'])
    last.must('hold', device=addresses['f0'])
    assert last.ask('bracket-begin', device=addresses['nic'])['error'] is None
    assert last.ask('gate-arm', 'sticky', 'keep-shut',
                    timeout=3600000)['error'] is None
    vm.plug(e1000e('hot', 'rp4'))
    hot = vm.address('hot')
    # Arrivals wait for the bracket.
    assert last.ask('bracket-end', device=addresses['nic'])['error'] is None
    vm.wait(lambda: last.info()['gate']['held'] == 1, what='the gate')
    assert last.ask('bracket-begin', device=addresses['nic'])['error'] is None
    vm.run('modprobe -r iommu_policy')
    wait_driver(vm, hot, driver='e1000e')
    wait_driver(vm, addresses['disk'], driver='nvme')
    assert 'iommu' not in vm.out('ls /sys/class/devlink')
    vm.unplug('hot')
    vm.wait(lambda: not vm.present(hot), what='the device to go')


def test_unloaded_under_load(vm, clients, addresses):
    """What is queued is answered before the module goes; then nobody is."""
    for _ in range(2):
        load = Load(vm, clients, addresses, 6)
        vm.wait(lambda: traces(vm), what='something to be held',
                interval=0.05)
        # Every dump that is under way is a reference of netlink's.
        vm.wait('modprobe -r iommu_policy', interval=0)
        for answer in load.end():
            assert answer['acks'].keys() <= LAST_ACKS
        assert not vm.exists('/sys/module/iommu_policy')
        vm.run('modprobe iommu_policy; echo 1 > /sys/bus/pci/rescan')
        vm.wait(lambda: not traces(vm), what='nothing to be held')
