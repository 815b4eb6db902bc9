# SPDX-License-Identifier: GPL-2.0-or-later
"""What is the way to a disk or folder elsewhere keeps its driver."""

import contextlib
from pathlib import Path

import pytest

from vmtest import Device, Topology, e1000e, inuse

# Both ends of one cable: the second card is the server's, in a namespace.
TOPOLOGY = Topology(
    ports=['rp1', 'rp2', 'rp3'],
    cold=[e1000e('nic', 'rp1', netdev='h0'),
          e1000e('peer', 'rp2', netdev='h1'),
          Device('virtio-9p-pci', 'share', 'rp3', properties={
              'fsdev': 'here', 'mount_tag': 'a share',
              'iommu_platform': True, 'disable-legacy': 'on'})],
    qemu_args=['-netdev', 'hubport,id=h0,hubid=0',
               '-netdev', 'hubport,id=h1,hubid=0',
               '-fsdev', 'local,id=here,security_model=none,readonly=on,'
                         f'path={Path(__file__).resolve().parent}'])
INSIDE = 'nsenter --net=/run/netns/server'
NQN = 'nqn.2026-01.example:disk'
NVMET = '/sys/kernel/config/nvmet'
PORT = f'{NVMET}/ports/1'
SUBSYSTEM = f'{NVMET}/subsystems/{NQN}'


def interface(vm, name):
    folder = f'/sys/bus/pci/devices/{vm.address(name)}/net'
    vm.wait(f'test -n "$(ls {folder})"', what=f'the interface of {name}')
    return vm.out(f'ls {folder}')


@pytest.fixture
def server(vm):
    """The other card's interface, in a network namespace of its own."""
    peer = interface(vm, 'peer')
    vm.run(f'set -e; ip netns add server; ip link set {peer} netns server; '
           f'ip -n server link set lo up; ip -n server link set {peer} up; '
           f'ip -n server address add 192.0.2.2/24 dev {peer}; '
           f'ip -n server link add link {peer} name vlan5 type vlan id 5; '
           'ip -n server link set vlan5 up; '
           'ip -n server address add 198.51.100.2/24 dev vlan5')
    yield peer
    vm.run('ip netns delete server')


@pytest.fixture
def card(vm, server):
    card = interface(vm, 'nic')
    vm.run(f'ip link set {card} up')
    yield card
    vm.run('ip link delete vlan5 2>/dev/null; '
           f'ip address flush {card}; ip link set {card} down')
    inuse.put_back(vm, 'nic')


def link_local(vm, words, name):
    """The address that IPv6 gives by itself, once it may be used."""
    def look():
        line = vm.out(f'{words} ip -6 -o address show dev {name} scope link')
        assert 'tentative' not in line, line
        return line.split()[3].split('/')[0]
    return vm.wait(look, what=f'an address of {name}')


# To where, and what there is to be set up for it.
WAYS = {
    # Nothing but the session tells of the use.
    'link-local': (None, 'true'),
    'address': ('192.0.2.2', 'ip address add 192.0.2.1/24 dev {card}'),
    'VLAN': ('198.51.100.2',
             'ip link add link {card} name vlan5 type vlan id 5; '
             'ip link set vlan5 up; ip address add 198.51.100.1/24 dev vlan5'),
}


@pytest.fixture
def nvme_server(vm, server):
    """A file as a disk, for whoever asks the server's namespace."""
    vm.run('set -e; modprobe nvmet-tcp; modprobe nvme-tcp; '
           'mountpoint -q /sys/kernel/config || '
           'mount -t configfs none /sys/kernel/config; '
           'truncate -s 16M /var/tmp/disk; '
           f'mkdir {SUBSYSTEM} {SUBSYSTEM}/namespaces/1 {PORT}; '
           f'echo 1 >{SUBSYSTEM}/attr_allow_any_host; '
           f'cd {SUBSYSTEM}/namespaces/1; echo /var/tmp/disk >device_path; '
           'echo 1 >buffered_io; echo 1 >enable; '
           f'cd {PORT}; echo tcp >addr_trtype; echo ipv6 >addr_adrfam; '
           'echo :: >addr_traddr; echo 4420 >addr_trsvcid; '
           f'{INSIDE} ln -s {SUBSYSTEM} {PORT}/subsystems/{NQN}')
    yield
    vm.run(f'rm {PORT}/subsystems/{NQN}; rmdir {PORT} '
           f'{SUBSYSTEM}/namespaces/1 {SUBSYSTEM}; rm /var/tmp/disk')


@contextlib.contextmanager
def nvme(vm, card, to, why):
    vm.run(f'echo -n nqn={NQN},transport=tcp,traddr={to},trsvcid=4420,'
           'keep_alive_tmo=120 >/dev/nvme-fabrics', timeout=120)
    found = vm.out('grep -lx tcp /sys/class/nvme/*/transport')
    name = found.split('/')[4]
    try:
        yield why.format(name=name)
    finally:
        # With what there was set up for it, which is a use of its own.
        vm.run(f'echo 1 >/sys/class/nvme/{name}/delete_controller; '
               f'while test -e /sys/class/nvme/{name}; do sleep 0.1; done; '
               f'ip link delete vlan5 2>/dev/null; ip address flush {card}')


@pytest.mark.parametrize('way', WAYS)
def test_nvme_over_tcp(vm, card, server, nvme_server, way):
    to, setup = WAYS[way]
    vm.run(f'set -e; {setup.format(card=card)}')
    link_local(vm, '', card)
    at = to or link_local(vm, INSIDE, server)
    why = f'{card} carries the NVMe over TCP session {{name}} to {at}' + \
        (', and 1 more$' if to else '$')
    folder = f'/sys/bus/pci/devices/{vm.address("nic")}/net'
    inuse.check(vm, 'nic', nvme(vm, card, at if to else f'{at}%{card}', why),
                lambda: vm.out(f'stat -c %i {folder}'))


@contextlib.contextmanager
def mounted(vm):
    vm.run('mkdir -p /mnt/share && mount -t 9p -o trans=virtio,ro '
           '"a share" /mnt/share && test -f /mnt/share/conftest.py')
    try:
        yield 'the 9p share a share is mounted on /mnt/share$'
    finally:
        vm.run('umount /mnt/share')


def test_folder_of_the_host(vm):
    device = f'/sys/bus/pci/devices/{vm.address("share")}'
    try:
        vm.wait(f'cat {device}/virtio*/mount_tag')
        inuse.check(vm, 'share', mounted(vm),
                    lambda: vm.out(f'cd {device} && stat -c "%n %i" virtio*'))
    finally:
        inuse.put_back(vm, 'share')
