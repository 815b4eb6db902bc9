# SPDX-License-Identifier: GPL-2.0-or-later
"""A network card whose interface somebody works with keeps its driver."""

import contextlib

import pytest

from vmtest import Topology, e1000e, inuse, policyd

TOPOLOGY = Topology(ports=['rp1', 'rp2'], cold=[e1000e('nic', 'rp1')])
ADDRESS = '192.0.2.1/24'


@pytest.fixture
def card(vm):
    """The card's interface: down, and nothing on it."""
    address = vm.address('nic')
    vm.wait(f'ls /sys/bus/pci/devices/{address}/net')
    yield vm.out(f'ls /sys/bus/pci/devices/{address}/net')
    # A failed test may have left it anywhere.
    vm.run('ip -all netns delete; for i in eth0.5 bond0 br0 mv0 tap9; do '
           'ip link delete $i 2>/dev/null; done; '
           f'while ! ip link show eth0; do sleep 0.2; done >/dev/null 2>&1; '
           'ip address flush eth0; ip link set eth0 nomaster down')
    inuse.put_back(vm, 'nic')


@contextlib.contextmanager
def configured(vm, up, down, why):
    vm.run(f'set -e; {up}')
    try:
        yield why
    finally:
        vm.run(f'set -e; {down}')


UP = 'ip link set eth0 up'
FLUSH = 'ip address flush dev eth0; ip link set eth0 down'
USES = {
    'address': (f'{UP}; ip address add {ADDRESS} dev eth0', FLUSH,
                'eth0 is up with 192.0.2.1/24$'),
    'address of IPv6': (f'{UP}; ip address add 2001:db8::1/64 dev eth0 nodad',
                        FLUSH, 'eth0 is up with 2001:db8::1/64$'),
    'default route': (f'{UP}; ip address add {ADDRESS} dev eth0; '
                      'ip route add default via 192.0.2.254', FLUSH,
                      'eth0 carries the default route$'),
    'route': (f'{UP}; ip route add 198.51.100.0/24 dev eth0',
              f'ip route flush dev eth0; {FLUSH}',
              'eth0 carries a route to 198.51.100.0/24$'),
    'bond': ('modprobe bonding max_bonds=0; ip link add bond0 type bond; '
             'ip link set eth0 master bond0; ip link set bond0 up; '
             f'ip address add {ADDRESS} dev bond0',
             'ip link delete bond0; ip link set eth0 down',
             'eth0 is part of bond0, which is up with 192.0.2.1/24$'),
    'bridge': (f'{UP}; ip link add br0 type bridge; ip link set br0 up; '
               'ip link set eth0 master br0; '
               f'ip address add {ADDRESS} dev br0',
               'ip link delete br0; ip link set eth0 down',
               'eth0 is part of br0, which is up with 192.0.2.1/24$'),
    'bridge without an address': (
        f'{UP}; ip link add br0 type bridge; ip link set br0 up; '
        'ip link set eth0 master br0',
        'ip link delete br0; ip link set eth0 down',
        'eth0 is part of br0, which is up$'),
    'VLAN': (f'{UP}; ip link add link eth0 name eth0.5 type vlan id 5; '
             f'ip link set eth0.5 up; ip address add {ADDRESS} dev eth0.5',
             'ip link delete eth0.5; ip link set eth0 down',
             'eth0 carries eth0.5, which is up with 192.0.2.1/24$'),
    'VLAN in a bridge': (
        f'{UP}; ip link add link eth0 name eth0.5 type vlan id 5; '
        'ip link add br0 type bridge; ip link set br0 up; '
        'ip link set eth0.5 master br0 up; '
        f'ip address add {ADDRESS} dev br0',
        'ip link delete br0; ip link delete eth0.5; ip link set eth0 down',
        'eth0 carries eth0.5, which is part of br0, which is up with '
        '192.0.2.1/24$'),
    'macvlan': (f'{UP}; ip link add link eth0 name mv0 type macvlan; '
                f'ip link set mv0 up; ip address add {ADDRESS} dev mv0',
                'ip link delete mv0; ip link set eth0 down',
                'eth0 carries mv0, which is up with 192.0.2.1/24$'),
    'macvtap': (f'{UP}; ip link add link eth0 name tap9 type macvtap; '
                'ip link set tap9 up',
                'ip link delete tap9; ip link set eth0 down',
                'eth0 carries tap9, which is up$'),
    'another namespace': (
        'ip netns add elsewhere; ip link set eth0 netns elsewhere',
        'ip -n elsewhere link set eth0 netns 1; ip netns delete elsewhere',
        'its network interface is in another network namespace$'),
}


@pytest.mark.parametrize('name', USES)
def test_what_is_used_keeps_its_driver(vm, card, name):
    # A new binding makes a new folder for interfaces, whosever they are.
    folder = f'/sys/bus/pci/devices/{vm.address("nic")}/net'
    inuse.check(vm, 'nic', configured(vm, *USES[name]),
                lambda: vm.out(f'stat -c %i {folder}'))


# struct sockaddr_pppox, packed: AF_PPPOX, PX_PROTO_OE, the session's number,
# and whom it is with; Python's own sockets do not know the family.
PPPOE = """
import ctypes, os, signal, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
socket = libc.socket(24, 2, 0)
place = struct.pack('=HI2s6s16s', 24, 0, b'\\0\\x07', bytes(range(2, 14, 2)),
                    sys.argv[1].encode())
if libc.connect(socket, place, len(place)):
    sys.exit(os.strerror(ctypes.get_errno()))
signal.pause()
"""


@contextlib.contextmanager
def in_session(vm):
    vm.write('/var/tmp/pppoe.py', PPPOE)
    vm.run(f'modprobe pppoe; {UP}')
    job = vm.start('exec python3 /var/tmp/pppoe.py eth0')
    try:
        vm.wait('grep -q eth0 /proc/1/net/pppoe')
        yield 'eth0 carries a PPPoE session$'
    finally:
        job.stop()


def test_pppoe(vm, card):
    folder = f'/sys/bus/pci/devices/{vm.address("nic")}/net'
    inuse.check(vm, 'nic', in_session(vm),
                lambda: vm.out(f'stat -c %i {folder}'))


# What Open vSwitch's daemon asks of the kernel for its first port
# (include/uapi/linux/openvswitch.h), by generic netlink.
OPEN_VSWITCH = """
import socket, struct, sys
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)

def attribute(kind, data):
    size = 4 + len(data)
    return struct.pack('=HH', size, kind) + data + bytes(-size % 4)

def ask(family, command, version, body):
    body = struct.pack('=BBH', command, version, 0) + body
    kernel.send(struct.pack('=IHHII', 16 + len(body), family, 5, 1, 0) + body)
    answer = b''
    while True:
        data = kernel.recv(65536)
        while data:
            size, kind = struct.unpack_from('=IH', data)
            if kind == 2:
                error = -struct.unpack_from('=i', data, 16)[0]
                if error:
                    sys.exit(f'{command} of {family}: error {error}')
                return answer
            answer, data = data[20:size], data[size + 3 & ~3:]

def family(name):
    data = ask(16, 3, 1, attribute(2, name + bytes(1)))
    while data:
        size, kind = struct.unpack_from('=HH', data)
        if kind == 1:
            return struct.unpack_from('=H', data, 4)[0]
        data = data[size + 3 & ~3:]

number = lambda n: struct.pack('=I', n)
name = attribute(1, b'ovs-system' + bytes(1))
if sys.argv[1] == 'delete':
    ask(family(b'ovs_datapath'), 2, 2, number(0) + name)
else:
    ask(family(b'ovs_datapath'), 1, 2,
        number(0) + name + attribute(2, number(0)))
    ask(family(b'ovs_vport'), 1, 1,
        number(socket.if_nametoindex('ovs-system')) + attribute(2, number(1)) +
        attribute(3, sys.argv[2].encode() + bytes(1)) +
        attribute(5, number(0)))
"""


def test_open_vswitch(vm, card):
    """The switch is down, as it always is, and switches."""
    vm.write('/var/tmp/ovs.py', OPEN_VSWITCH)
    folder = f'/sys/bus/pci/devices/{vm.address("nic")}/net'
    port = configured(
        vm, f'modprobe openvswitch; {UP}; python3 /var/tmp/ovs.py add eth0; '
            'ip link show dev ovs-system | grep -q "state DOWN"',
        'python3 /var/tmp/ovs.py delete; ip link set eth0 down',
        r'eth0 is part of ovs-system \(Open vSwitch\)$')
    inuse.check(vm, 'nic', port, lambda: vm.out(f'stat -c %i {folder}'))


UNUSED = {
    'down': ('true', 'true'),
    # IPv6 gives it an address by itself.
    'up': (f'{UP}; for i in $(seq 50); do ip -6 -o address show dev eth0 | '
           'grep -q fe80 && break; sleep 0.1; done; '
           'ip -6 -o address show dev eth0 | grep -q fe80', 'true'),
    'down with an address': (f'ip address add {ADDRESS} dev eth0', 'true'),
    'in a bond that is down': (
        'modprobe bonding max_bonds=0; ip link add bond0 type bond; '
        f'ip link set eth0 master bond0; ip address add {ADDRESS} dev bond0',
        'ip link delete bond0'),
    'under a VLAN without an address': (
        f'{UP}; ip link add link eth0 name eth0.5 type vlan id 5; '
        'ip link set eth0.5 up', 'true'),
    'beside one with an address': (
        f'modprobe dummy; ip link add dummy0 type dummy; '
        f'ip link set dummy0 up; ip address add {ADDRESS} dev dummy0',
        'ip link delete dummy0'),
}


@pytest.mark.parametrize('name', UNUSED)
def test_what_is_idle_does_not(vm, card, name):
    mark = policyd.mark(vm)
    before, after = UNUSED[name]
    with configured(vm, before, after, ''):
        inuse.applies(vm, 'nic')
    assert policyd.entries(vm, 'refused', mark) == []


def test_force_takes_it_all_the_same(vm, card):
    with configured(vm, *USES['address'][:2], ''):
        inuse.rule(vm, 'nic')
        policyd.wait_state(vm, 'nic', 'refused', 'DMA')
        mark = policyd.mark(vm)
        inuse.rule(vm, 'nic', inuse.IDENTITY + 'force = yes\n')
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        assert vm.driver_of('nic') == 'e1000e'
        entry = policyd.entry(vm, 'decided', mark, TYPE_TO='identity',
                              PRIORITY=4)
        assert 'FORCE' in entry['MESSAGE']
