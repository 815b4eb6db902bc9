# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may speak to the module, and what it says to nonsense: nothing of this
holds anything, and afterwards all is as before.
"""

import random
import struct

import pytest

from vmtest import Topology, e1000e
from vmtest.client import once, reload, unbind, wait_driver

pytestmark = [pytest.mark.kernels('6.12', '6.1'), pytest.mark.brief('6.1'),
              pytest.mark.usefixtures('nothing_left')]

TOPOLOGY = Topology(
    ports=['rp1'], module=True, enable=(), cold=[e1000e('nic', 'rp1')],
    load=['e1000e'])

# As in <linux/iommu_policy.h>: these tests make messages that no library would.
COMMANDS = ['info-get', 'group-get', 'hold', 'release', 'bracket-begin',
            'bracket-end', 'gate-arm', 'gate-disarm', 'gate-release',
            'claim', 'unclaim']
NUMBER = {name: number for number, name in enumerate(COMMANDS, 1)}
A_GROUP, A_DEVICE, A_FLAGS, A_COOKIE = 3, 4, 5, 6
A_GATE, A_MAX = 18, 20
GATE_A_FLAGS, GATE_A_TIMEOUT_MS = 1, 2
NESTED = 0x8000
HEADER = 16             # of netlink; raw's payload comes behind it

NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
          '--']


def attr(kind, data, length=None):
    """An attribute; `length` is what it says of itself."""
    if isinstance(data, int):
        data = struct.pack('=I', data)
    head = struct.pack('=HH', 4 + len(data) if length is None else length,
                       kind)
    return head + data + bytes(-len(data) % 4)


def raw(command, *attributes, **options):
    """A line of the client for a message of any form."""
    data = struct.pack('=BBH', NUMBER.get(command, command), 1, 0)
    data += b''.join(attributes)
    return ' '.join(['raw', data.hex(), *(f'{name}={value}' for name, value
                                          in options.items())])


@pytest.fixture
def one(clients):
    return clients()


@pytest.fixture(scope='module')
def lines():
    """One request of each command that would do something."""
    return [line.format(device='0000:01:00.0') for line in (
        'info-get', 'group-get device={device}', 'dump',
        'hold device={device}', 'release device={device}',
        'bracket-begin device={device}', 'bracket-end device={device}',
        'gate-arm sticky timeout=60000', 'gate-disarm',
        'gate-release device={device}', 'claim persistent device={device}',
        'unclaim device={device}')]


def errors(answers):
    """What came back for each line; replies and DONE messages are none."""
    assert not [answer for answer in answers
                if answer['kind'] in ('reply', 'done', 'usage')], answers
    return [answer['error'] for answer in answers if answer['kind'] == 'ack']


def test_the_family_loads_the_module(vm):
    """Asking for it by name is enough."""
    vm.run('modprobe -r iommu_policy')
    reply = once(vm, 'info-get')[1]
    assert reply['version'] == 1 and 'gate' not in reply
    assert vm.exists('/sys/module/iommu_policy')


@pytest.mark.parametrize('who', [
    NOBODY,
    ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'],
    ['setpriv', '--bounding-set=-sys_rawio', '--inh-caps=-sys_rawio'],
    ['unshare', '-Ur'],
    [*NOBODY, 'unshare', '-Ur'],
], ids=['nobody', 'without-sys-admin', 'without-sys-rawio', 'user-namespace',
        'user-namespace-of-nobody'])
def test_not_allowed(vm, lines, who):
    """Every command, queries too, is refused, and says what it wants."""
    answers = once(vm, *lines, prefix=who)
    assert answers[0]['error'] is None      # the family itself is no secret
    assert errors(answers) == ['EPERM'] * len(lines), answers


def test_both_the_opener_and_the_sender(vm, clients, lines):
    """A socket handed from one to the other is as weak as the weaker."""
    one = clients()
    assert one.ask('info-get')['error'] is None
    one.send('euid 65534')
    for line in lines:
        seq = one.send(line)
        assert one.wait(kind='ack', seq=seq)['error'] == 'EPERM'
    one.send('open', 'euid 0')
    for line in lines:
        seq = one.send(line)
        assert one.wait(kind='ack', seq=seq)['error'] == 'EPERM', line
    one.send('open')
    assert one.ask('info-get')['error'] is None


@pytest.mark.parametrize('who', [['unshare', '-n'], ['unshare', '-Urn']])
def test_another_network_namespace(vm, one, lines, who):
    """There is no such family there, whether by name or by number."""
    answer, = once(vm, *lines, prefix=who)
    assert (answer['kind'], answer['error']) == ('hello', 'ENOENT')
    family = one.hello['family']
    answers = once(vm, *lines, prefix=who, options=[f'--family={family}'])
    assert set(errors(answers)) == {'ENOENT'}, answers


def test_attributes_missing(one):
    for line in ('group-get', 'hold', 'release', 'bracket-begin',
                 'bracket-end', 'gate-arm', 'gate-release', 'claim',
                 'unclaim', 'hold cookie=1', 'release probe'):
        answer = one.ask(line)
        assert answer['error'] == 'EINVAL', line
        assert answer['message'], line


def test_attributes_too_many(vm, one):
    """What a command does not name, and two names for one thing."""
    nic = vm.address('nic')
    for line in ('info-get group=1', f'hold device={nic} group=1',
                 f'group-get device={nic} group=1', 'gate-disarm group=1',
                 f'group-get device={nic} probe',
                 f'bracket-end device={nic} live', 'gate-arm timeout=1000 group=1',
                 'gate-release group=1', f'hold device={nic} timeout=1000',
                 f'bracket-begin device={nic} cookie=1'):
        answer = one.ask(line)
        assert answer['error'] == 'EINVAL', line
        assert answer['message'], line


def test_flags(vm, one):
    """Those of another command, and those that nobody has."""
    nic = vm.address('nic')
    for line in (f'release persistent device={nic}',
                 f'claim live device={nic}', f'unclaim live device={nic}',
                 f'bracket-begin probe device={nic}',
                 f'claim flags=0x80000000 device={nic}',
                 f'release flags=8 device={nic}',
                 'gate-arm timeout=1000 gate-flags=4',
                 'gate-arm timeout=1000 gate-flags=0x80000000'):
        assert one.ask(line)['error'] in ('EINVAL', 'ERANGE'), line


def test_times(one):
    """The bounds of the gate's are 100 ms and an hour."""
    for time in (0, 99, 3600001, 0xffffffff):
        answer = one.ask('gate-arm', timeout=time)
        assert answer['error'] in ('ERANGE', 'EINVAL'), time
    for time in (100, 3600000):
        assert one.ask('gate-arm', timeout=time)['error'] is None
    assert one.ask('gate-disarm')['error'] is None


def test_attributes_of_a_wrong_form(vm, one):
    nic = vm.address('nic')
    text = nic.encode()
    for attributes in (
            [attr(A_GROUP, b'')], [attr(A_GROUP, b'\1')],
            [attr(A_GROUP, b'\1\0')], [attr(A_GROUP, bytes(8))],
            [attr(A_DEVICE, b'')], [attr(A_DEVICE, text)],
            [attr(A_DEVICE, b'0' * 19 + b'1\0')],
            [attr(A_DEVICE, b'x' * 3000 + b'\0')],
            [attr(A_GROUP, 1), attr(A_COOKIE, b'\1\0\0\0')],
            [attr(A_GROUP, 1), attr(A_COOKIE, bytes(16))]):
        seq = one.send(raw('hold', *attributes))
        answer = one.wait(kind='ack', seq=seq)
        assert answer['error'] in ('EINVAL', 'ERANGE'), attributes
    gate = attr(GATE_A_TIMEOUT_MS, 1000)
    for nest in (attr(A_GATE, gate),            # not said to be a nest
                 attr(A_GATE | NESTED, b''),
                 attr(A_GATE | NESTED, b'\1\2\3'),
                 attr(A_GATE | NESTED, gate + attr(3, 1)),
                 attr(A_GATE | NESTED, gate + attr(77, 1)),
                 attr(A_GATE | NESTED, attr(GATE_A_TIMEOUT_MS, b'\1\0')),
                 attr(A_GATE | NESTED, gate + attr(GATE_A_FLAGS, b'')),
                 attr(A_GATE | NESTED, attr(GATE_A_TIMEOUT_MS, 1000, 400))):
        seq = one.send(raw('gate-arm', nest))
        assert one.wait(kind='ack', seq=seq)['error'] in (
            'EINVAL', 'ERANGE'), nest
    assert 'gate' not in one.info()


def test_unknown_attributes(vm, one):
    """Refused, and named: a newer client learns that it is newer."""
    nic = vm.address('nic').encode() + b'\0'
    for kind in (A_MAX + 1, 77, 0x3fff, 1, 2, 7):
        for command in ('hold', 'claim', 'group-get', 'release'):
            seq = one.send(raw(command, attr(A_DEVICE, nic), attr(kind, 1)))
            answer = one.wait(kind='ack', seq=seq)
            assert answer['error'] == 'EINVAL', (command, kind)
            assert answer['message'] and answer['attribute'] == kind


def test_unknown_commands(one):
    """Also those that only the module sends."""
    for command in (0, 12, 13, 14, 77, 255):
        seq = one.send(raw(command, attr(A_GROUP, 1)))
        assert one.wait(kind='ack', seq=seq)['error'] == 'EOPNOTSUPP', command
    # All that is no query cannot be dumped.
    for command in ('info-get', 'hold', 'claim', 'gate-arm'):
        seq = one.send(raw(command, attr(A_GROUP, 1), flags=0x305))
        assert one.wait(kind='ack', seq=seq)['error'] in (
            'EOPNOTSUPP', 'EINVAL'), command


def test_truncated(vm, one):
    """Cut at each byte, and lengths that are not true."""
    message = struct.pack('=BBH', NUMBER['hold'], 1, 0) + attr(
        A_DEVICE, vm.address('nic').encode() + b'\0') + attr(A_COOKIE,
                                                             bytes(8))
    cut = [f'raw {message[:length].hex()}' for length in
           range(0, len(message))]
    lying = [f'raw {message.hex()} length={HEADER + length}' for length in
             (0, 1, 3, 5, 8, 12, 27)]
    # Less than its own header, or more than was sent: not even answered.
    mute = [f'raw {message.hex()} length={length}' for length in
            (0, 15, HEADER + len(message) + 1, 4000, 0x7fffffff)]
    bad = [raw('hold', attr(A_GROUP, 1, length=length)) for length in
           (0, 1, 3, 9, 400, 0xffff)]
    last = one.send(*cut, *lying, *bad, *mute)
    assert one.ask('info-get')['error'] is None
    count = len(cut) + len(lying) + len(bad)
    first = last - count - len(mute) + 1
    answers = {answer['seq']: answer['error'] for answer in
               one.lines(kind='ack') if first <= answer['seq'] <= last}
    # The kernel answers nothing that has no whole header of its family.
    assert len(answers) >= count - 8
    # What is cut behind a whole attribute is a whole message.
    assert set(answers.values()) <= {None, 'EINVAL', 'ERANGE', 'ENODEV',
                                     'EBADMSG'}
    one.error('release', device=vm.address('nic'))
    assert 'holder' not in one.group(vm.address('nic'))


def test_noise(vm, clients):
    """Hundreds of messages with some bytes wrong: each one has its answer."""
    one, chance, nic = clients(), random.Random(7), vm.address('nic')
    unbind(vm, nic)
    device = attr(A_DEVICE, nic.encode() + b'\0')
    later = device + attr(A_FLAGS, 1) + attr(A_COOKIE, bytes(8))
    bodies = {'info-get': b'', 'gate-disarm': b'', 'group-get': device,
              'hold': device + attr(A_COOKIE, bytes(8)), 'release': later,
              'bracket-begin': device + attr(A_FLAGS, 2),
              'bracket-end': device, 'gate-release': later, 'claim': device,
              'unclaim': later,
              'gate-arm': attr(A_GATE | NESTED, attr(GATE_A_TIMEOUT_MS, 1000)
                               + attr(GATE_A_FLAGS, 1))}
    lines = []
    for _ in range(600):
        command = chance.choice(COMMANDS)
        message = bytearray(struct.pack('=BBH', NUMBER[command], 1, 0)
                            + bodies[command])
        for _ in range(chance.randrange(3)):
            message[chance.randrange(len(message))] = chance.choice(
                (0, 1, 4, 5, 8, 0x80, 0xff, chance.randrange(256)))
        if chance.random() < 0.1:
            del message[chance.randrange(4, len(message) + 1):]
        lines.append(f'raw {message.hex()}')
    for start in range(0, len(lines), 150):
        last = one.send(*lines[start:start + 150])
        one.wait(kind='ack', seq=last)
    answers = one.lines(kind='ack')
    assert len({answer['seq'] for answer in answers}) >= len(lines)
    # Some of them were right, and most of the wrong ones were seen to be.
    found = [answer['error'] for answer in answers]
    assert found.count(None) > 50 and found.count('EINVAL') > 100
    one.stop()
    # Of what was claimed or armed to stay, there may be anything by now.
    reload(vm)
    if vm.driver_of(nic) is None:
        vm.run(f'echo {nic} > /sys/bus/pci/drivers/e1000e/bind', check=False)
    wait_driver(vm, nic, driver='e1000e')


@pytest.mark.parametrize('what', ['group-get', 'hold', 'claim', 'gate-arm'])
def test_flood(vm, clients, one, what):
    """Ten thousand requests: each is answered, and so are others'."""
    nic, flooder = vm.address('nic'), clients(events=False)
    line = 'gate-arm timeout=1000' if what == 'gate-arm' \
        else f'{what} device={nic}'
    flooder.send(f'flood count=10000 {line}')
    # Another's is answered in between.
    assert one.ask('info-get')['error'] is None
    one.group(nic)
    flood = flooder.wait(kind='flood', timeout=120)
    assert flood['sent'] == {'0': 10000}
    assert (flood['missing_acks'], flood['missing_dones']) == (0, 0)
    assert sum(flood['acks'].values()) == 10000
    # Nothing worse than "too many at a time".
    assert set(flood['acks']) <= {'0', 'ENOBUFS'}
    assert sum(flood['dones'].values()) == (
        flood['acks']['0'] if what in ('hold', 'claim') else 0)
    assert set(flood['dones']) <= {'0', 'EBUSY'}


def test_flood_and_nobody_listens(vm, clients, one):
    """A client that does not read loses answers, and that is all."""
    nic, flooder = vm.address('nic'), clients(events=False)
    flooder.send(f'flood count=20000 hoard hold device={nic}')
    flood = flooder.wait(kind='flood', timeout=120)
    assert flood['missing_acks'] > 0    # else this was no flood
    assert flooder.ask('info-get')['error'] is None
    assert one.group(nic)['holder']['pid'] == flooder.pid
    since = one.mark()
    flooder.kill()
    one.event('released', since)
    assert 'holder' not in one.group(nic)
