# SPDX-License-Identifier: GPL-2.0-or-later
"""A device whose node a program has open keeps its driver."""

import contextlib
import re

import pytest

from vmtest import Device, Topology, inuse, nvme, policyd

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'],
    cold=[nvme('n0', 'rp1'), Device('qemu-xhci', 'xhci', 'rp2'),
          Device('VGA', 'vga', 'pcie.0', 3),
          Device('bochs-display', 'second', 'pcie.0', 4)],
    # QEMU makes devices that are given as JSON after all others.
    qemu_args=['-device', '{"driver": "usb-kbd", "bus": "xhci.0"}'])
DROP_IN = f'/run/systemd/system/{policyd.UNIT}.d/test.conf'


def below(vm, name, pattern):
    """A node's path: the only one below a device whose name is like that."""
    address = vm.address(name)
    found = vm.wait(
        lambda: vm.out(f'cd $(readlink -f /sys/bus/pci/devices/{address}) && '
                       f'find . -name dev -path "*/{pattern}/dev"'),
        what=f'{pattern} below {name}').split()
    assert len(found) == 1, found
    folder = found[0].removeprefix('./').removesuffix('/dev')
    text = vm.read(f'/sys/bus/pci/devices/{address}/{folder}/uevent')
    fields = dict(line.split('=', 1) for line in text.splitlines())
    return f'/dev/{fields["DEVNAME"]}'


def probe(vm, name):
    """What every binding of a driver makes anew."""
    address = vm.address(name)
    return lambda: vm.out(f'cd /sys/bus/pci/devices/{address} && '
                          'find -L driver -maxdepth 0 -printf "%f "; '
                          f'stat -c %i driver/{address}; '
                          'find . -name dev -printf "%p %i\\n" | sort')


@contextlib.contextmanager
def opened(vm, node, command='exec sleep infinity 3< {node}',
           program='sleep'):
    job = vm.start(command.format(node=node))
    try:
        vm.wait(lambda: vm.run(
            f'ls -l /proc/*/fd 2>/dev/null | grep -q -- "-> {node}$"',
            check=False).status == 0, what=f'{node} to be opened')
        base = node.rsplit('/', 1)[-1]
        yield f'{base} is open in {program} \\(pid [0-9]+\\)$'
    finally:
        job.stop()


@pytest.fixture
def back(vm):
    names = []
    yield names.append
    for name in names:
        inuse.put_back(vm, name)


@pytest.mark.parametrize('pattern', ['nvme[0-9]', 'nvme[0-9]n[0-9]'])
def test_disk(vm, back, pattern):
    """Its controller's node, and its own, which nobody has exclusively."""
    back('n0')
    node = below(vm, 'n0', pattern)
    inuse.check(vm, 'n0', opened(vm, node), probe(vm, 'n0'))


def test_keyboard_behind_usb(vm, back):
    back('xhci')
    vm.run('modprobe usbhid')
    node = below(vm, 'xhci', 'hidraw[0-9]')
    inuse.check(vm, 'xhci', opened(vm, node), probe(vm, 'xhci'))


def test_graphics(vm, back):
    back('second')
    node = below(vm, 'second', 'card*')
    inuse.check(vm, 'second', opened(vm, node), probe(vm, 'second'))


def test_of_another_user(vm, back):
    back('n0')
    node = below(vm, 'n0', 'nvme[0-9]')
    command = ('exec setpriv --reuid=nobody --regid=nogroup --clear-groups '
               'sleep infinity 3< {node}')
    inuse.check(vm, 'n0', opened(vm, node, command), probe(vm, 'n0'))


def test_node_of_another_name(vm, back):
    """As in a container that has its own /dev, in its own namespaces."""
    back('n0')
    node = below(vm, 'n0', 'nvme[0-9]')
    number = vm.out(f'stat -c "%Hr %Lr" {node}')
    command = (f'exec unshare -m --propagation private sh -c "'
               f'mount -t tmpfs none /dev && mknod /dev/other c {number} && '
               'exec sleep infinity 3< /dev/other"')
    with opened(vm, '/dev/other', command):
        base = node.rsplit('/', 1)[-1]
        inuse.rule(vm, 'n0')
        group = policyd.wait_state(vm, 'n0', 'refused', 'DMA')
        assert f'{base} is open in sleep (pid ' in group['Reason']
    inuse.applies(vm, 'n0')


# A mount that needs no server, and a descriptor that asks for none.
FUSE = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
server = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={server},rootmode=40000,user_id=0,group_id=0'
os.makedirs(sys.argv[1])
if libc.mount(b'x', sys.argv[1].encode(), b'fuse', 0, options.encode()):
    sys.exit(os.strerror(ctypes.get_errno()))
os.open(sys.argv[1], os.O_PATH)
time.sleep(1000)
"""


def test_a_users_own_file_system_keeps_nobody_from_telling(vm, back):
    """Root may not look at it, and it need not ever answer."""
    back('n0')
    base = below(vm, 'n0', 'nvme[0-9]').rsplit('/', 1)[-1]
    vm.write('/var/tmp/fuse.py', FUSE)
    vm.run('modprobe fuse; chmod 666 /dev/fuse; rm -rf /var/tmp/theirs; '
           'install -d -o nobody /var/tmp/theirs')
    path = f'/var/tmp/theirs/{base}'
    job = vm.start('exec setpriv --reuid=nobody --regid=nogroup '
                   '--clear-groups unshare -Urm '
                   f'python3 /var/tmp/fuse.py {path}')
    try:
        link = vm.wait(lambda: vm.out(
            f'find /proc/[1-9]*/fd -lname {path} 2>/dev/null; true'),
            what=f'{path} to be opened')
        assert 'Permission denied' in vm.run(f'stat -L {link} 2>&1',
                                             check=False).stdout
        inuse.applies(vm, 'n0')
    finally:
        job.stop()


def test_boot_display(vm, back):
    back('vga')
    below(vm, 'vga', 'card*')
    vm.wait('grep -l "frame buffer" /sys/class/vtconsole/*/name')
    before = probe(vm, 'vga')()
    inuse.rule(vm, 'vga')
    group = policyd.wait_state(vm, 'vga', 'refused', 'DMA')
    # The other thing is the text console.
    assert group['Reason'].endswith(
        f'{vm.address("vga")} is in use: it is the boot display, and 1 more')
    assert probe(vm, 'vga')() == before


@pytest.mark.parametrize('lacking,user', [
    # What root's processes have open is seen in a list of links to nowhere.
    ('CAP_SYS_PTRACE', 'root'), ('CAP_DAC_READ_SEARCH', 'nobody')])
def test_what_cannot_be_told_counts_as_a_yes(vm, back, lacking, user):
    back('n0')
    kept = {'CAP_SYS_ADMIN', 'CAP_SYS_RAWIO', 'CAP_SYS_PTRACE',
            'CAP_DAC_READ_SEARCH'} - {lacking}
    job = vm.start(f'exec setpriv --reuid={user} --clear-groups '
                   'sleep infinity')
    vm.write(DROP_IN, '[Service]\nCapabilityBoundingSet=\n'
                      f'CapabilityBoundingSet={" ".join(kept)}\n')
    try:
        vm.run(f'systemctl daemon-reload && systemctl restart {policyd.UNIT}')
        mark = policyd.mark(vm)
        before = probe(vm, 'n0')()
        inuse.rule(vm, 'n0')
        group = policyd.wait_state(vm, 'n0', 'refused', 'DMA')
        assert f'cannot tell whether {vm.address("n0")} is in use: ' \
            'cannot look at what ' in group['Reason']
        assert group['Reason'].endswith(': Permission denied')
        assert probe(vm, 'n0')() == before
        policyd.entry(vm, 'refused', mark, IOMMU_GROUP=vm.group_of('n0'))
    finally:
        job.stop()
        vm.run(f'rm {DROP_IN}; systemctl daemon-reload && '
               f'systemctl restart {policyd.UNIT}')
    inuse.applies(vm, 'n0')


def held_by_udev(vm, node):
    """By what is taken for udev, which nobody waits for before the unbind."""
    return opened(vm, node, 'cp /usr/bin/sleep /var/tmp/systemd-udevd && '
                  'exec /var/tmp/systemd-udevd infinity 3< {node}',
                  'systemd-udevd')


def test_the_type_waits_for_the_last_close(vm, back):
    """nvme of 6.1 gives back memory then, by the type of that moment."""
    back('n0')
    mark = policyd.mark(vm)
    with held_by_udev(vm, below(vm, 'n0', 'nvme[0-9]n[0-9]')):
        inuse.rule(vm, 'n0')
        vm.wait(lambda: vm.driver_of('n0') is None, what='the unbind',
                interval=0.05)
        assert vm.type_of('n0') == 'DMA'
    policyd.wait_state(vm, 'n0', 'compliant', 'identity')
    assert vm.driver_of('n0') == 'nvme'
    assert policyd.entries(vm, 'failed', mark) == []


def test_a_last_close_that_does_not_come(vm, back):
    back('n0')
    with held_by_udev(vm, below(vm, 'n0', 'nvme[0-9]n[0-9]')) as why:
        inuse.rule(vm, 'n0')
        group = policyd.wait_state(vm, 'n0', 'failed', 'DMA')
        assert re.search(why.replace('$', ', also without the driver; rolled back$'),
                         group['Reason']), group['Reason']
        assert vm.driver_of('n0') == 'nvme'
    inuse.applies(vm, 'n0')
