# SPDX-License-Identifier: GPL-2.0-or-later
"""A group that a program has by VFIO, as a virtual machine does, is not
touched, whatever is asked for, and changed when it lets go: with the kernel
module, and without."""

import pytest

from vmtest import Topology, bus, e1000e, policyd
from vmtest.client import wait_driver
from vmtest.uevents import Uevents
from vmtest.vfio import User
from vmtest.writes import Writes

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], module=True,
    cold=[e1000e('nic', 'rp1'), e1000e('other', 'rp2')],
    load=['e1000e', 'vfio-pci', 'vfio_iommu_type1'])

ERROR = f'{policyd.SERVICE}.Error.UserOwned'
FORCED = {'rebind': ['b', True], 'force': ['b', True]}

pytestmark = pytest.mark.usefixtures('backend')


def rule(vm, text, device='nic'):
    policyd.policies(vm, **{device: f'[{device}]\nrebind = always\n'
                            f'match-address = {vm.address(device)}\n{text}'})


@pytest.fixture
def given(vm, backend):
    """The card has vfio-pci, by its rule; afterwards it is as at boot."""
    rule(vm, 'domain = DMA\ndriver = vfio-pci\n')
    policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
    assert vm.driver_of('nic') == 'vfio-pci'
    yield
    policyd.policies(vm, nic=None)
    assert policyd.call(vm, 'Restore', 'u', vm.group_of('nic')) == ('', '')
    wait_driver(vm, vm.address('nic'), driver='e1000e')
    assert vm.type_of('nic') == 'DMA'
    assert override(vm) == '(null)'
    assert vm.out('ls /run/iommu-policyd/transaction') == ''


def override(vm):
    return vm.read(f'/sys/bus/pci/devices/{vm.address("nic")}/driver_override')


def wait_owned(vm, reason):
    group = policyd.wait_state(vm, 'nic', 'user-owned', 'DMA')
    assert group['Reason'].startswith(reason), group['Reason']
    assert group['LastError'] == [ERROR, group['Reason']]
    return group


def applied(vm):
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert vm.driver_of('nic') == 'vfio-pci'


WISHES = [
    'domain = identity\ndriver = vfio-pci\n',
    'domain = identity\n',
    'domain = blocked\n',
    # Live, which kernels since 6.4 would let through.
    'domain = DMA-FQ\ndriver = vfio-pci\n',
    # Only the driver.
    'domain = DMA\ndriver = e1000e\n',
    'domain = identity\ndriver = vfio-pci\nforce = yes\n',
]


def test_nothing_is_touched(vm, given):
    """Not a write, not an event, while it is asked for in every way."""
    number, address = vm.group_of('nic'), vm.address('nic')
    with User(vm, 'nic') as user, Uevents(vm) as events, \
            Writes(vm) as writes:
        before = vm.run(f'cat /sys/bus/pci/devices/{address}/config').raw
        for text in WISHES:
            rule(vm, text)
            group = wait_owned(vm, user.reason)
            assert group['Owner'] == 'user'
            name, message = policyd.call(vm, 'ApplyGroup', 'ua{sv}', number,
                                         FORCED)
            assert (name, message) == (ERROR, group['Reason'])
        for word in ('identity', 'blocked', 'DMA-FQ'):
            assert policyd.call(vm, 'SetGroupType', 'usa{sv}', number, word,
                                FORCED)[0] == ERROR
        assert policyd.call(vm, 'Restore', 'u', number)[0] in (ERROR, '')
        # Nor by a daemon that finds it so.
        vm.run(f'systemctl restart {policyd.UNIT}')
        vm.wait('busctl status org.iommupolicy1 >/dev/null')
        rule(vm, WISHES[0] + 'description = again\n')
        wait_owned(vm, user.reason)

        assert user.job.poll() is None
        assert vm.driver_of('nic') == 'vfio-pci'
        events.expect(address)
        assert writes.all() == []
        assert vm.run(f'cat /sys/bus/pci/devices/{address}/config').raw \
            == before
        # Another group's change goes on meanwhile, and is seen.
        rule(vm, 'domain = identity\n', 'other')
        policyd.wait_state(vm, 'other', 'compliant', 'identity')
        events.expect(vm.address('other'), 'unbind', 'bind e1000e')
        assert writes.all()
    applied(vm)
    policyd.policies(vm, other=None)
    assert policyd.call(vm, 'Restore', 'u', vm.group_of('other')) == ('', '')


def test_told(vm, given):
    mark = policyd.mark(vm)
    path = bus.group_path(vm.group_of('nic'))
    with bus.Monitor(vm) as monitor:
        with User(vm, 'nic') as user:
            rule(vm, WISHES[0])
            reason = wait_owned(vm, user.reason)['Reason']
            entry = policyd.entry(vm, 'user-owned', mark,
                                  IOMMU_GROUP=vm.group_of('nic'))
            assert entry['REASON'] == reason
            assert 'user-owned' in policyd.status(vm)
            vm.wait(lambda: monitor.changes(path, 'Owner')[-1:] == ['user'],
                    what='the owner to be told')
        applied(vm)
        vm.wait(lambda: monitor.changes(path, 'Owner')[-1:] == ['none'],
                what='the owner to be told')


def test_it_lets_go_and_goes_on(vm, given):
    with User(vm, 'nic') as user:
        rule(vm, WISHES[0])
        wait_owned(vm, user.reason)
        user.tell('close', 'closed')
        applied(vm)
        assert user.job.poll() is None


def test_killed(vm, given):
    user = User(vm, 'nic')
    rule(vm, WISHES[0])
    wait_owned(vm, user.reason)
    user.job.stop(9)
    applied(vm)


def test_only_the_node_is_open(vm, given):
    with User(vm, 'nic', '-') as user, Writes(vm) as writes:
        rule(vm, WISHES[0])
        wait_owned(vm, user.reason)
        # It stays so when it is asked again, and again.
        for _ in range(3):
            assert policyd.call(vm, 'ApplyGroup', 'ua{sv}',
                                vm.group_of('nic'), FORCED)[0] == ERROR
        assert writes.all() == []
        user.tell('close', 'closed')
        applied(vm)


def test_only_the_device_is_open(vm, given):
    """The group's node is closed, so that nothing has its name."""
    with User(vm, 'nic') as user, Writes(vm) as writes:
        user.tell('group', 'group')
        rule(vm, WISHES[0])
        wait_owned(vm, user.reason.split(' has ')[0]
                   + ' has a VFIO device open')
        assert writes.all() == []
    applied(vm)


def test_another_users_in_another_namespace(vm, given):
    """As libvirt runs them: a /dev of its own, and not root."""
    number = vm.group_of('nic')
    node = vm.out(f'stat -c "0x%t 0x%T" /dev/vfio/{number}')
    vm.write('/run/contained', f'''#!/bin/sh -e
mount -t tmpfs none /mnt
mkdir /mnt/vfio
mknod -m 666 /mnt/vfio/vfio c 10 196
mknod /mnt/vfio/{number} c {node}
chown nobody /mnt/vfio/{number}
mount --move /mnt /dev
exec setpriv --reuid=nobody --regid=nogroup --clear-groups -- "$@"
''', 0o755)
    prefix = 'unshare -m --propagation private /run/contained'
    with User(vm, 'nic', prefix=prefix) as user, Writes(vm) as writes:
        rule(vm, WISHES[0])
        wait_owned(vm, user.reason)
        assert writes.all() == []
        user.tell('close', 'closed')
        applied(vm)


def test_nobody_has_it(vm, given):
    """The driver is there and its node, and another group's program."""
    rule(vm, 'domain = DMA\ndriver = vfio-pci\n', 'other')
    policyd.wait_state(vm, 'other', 'compliant', 'DMA')
    with User(vm, 'other') as user:
        rule(vm, WISHES[0])
        applied(vm)
        rule(vm, 'domain = identity\n', 'other')
        group = policyd.wait_state(vm, 'other', 'user-owned', 'DMA')
        assert group['Reason'].startswith(user.reason)
    policyd.wait_state(vm, 'other', 'compliant', 'identity')
    policyd.policies(vm, other=None)
    assert policyd.call(vm, 'Restore', 'u', vm.group_of('other')) == ('', '')
    wait_driver(vm, vm.address('other'), driver='e1000e')


def test_it_cannot_be_told(vm, given, backend):
    """Without the module a process that cannot be looked at counts as one."""
    drop_in = f'/run/systemd/system/{policyd.UNIT}.d/test.conf'
    vm.write(drop_in, '[Service]\nCapabilityBoundingSet=\n'
             'CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYS_RAWIO\n')
    with Writes(vm) as writes:
        try:
            vm.run('systemctl daemon-reload && '
                   f'systemctl restart {policyd.UNIT}')
            vm.wait('busctl status org.iommupolicy1 >/dev/null')
            if backend == 'module':
                rule(vm, WISHES[-1])
                applied(vm)
            else:
                rule(vm, WISHES[-1])
                group = policyd.wait_state(vm, 'nic', 'user-owned', 'DMA')
                assert 'cannot tell whether a program has the group' \
                    in group['Reason']
                assert writes.all() == []
        finally:
            vm.run(f'rm {drop_in}; systemctl daemon-reload && '
                   f'systemctl restart {policyd.UNIT}')
            vm.wait('busctl status org.iommupolicy1 >/dev/null')
    applied(vm)
