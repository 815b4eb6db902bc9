# SPDX-License-Identifier: GPL-2.0-or-later
"""A device that somebody uses keeps its driver, and the reason names who."""

import contextlib
import re

import pytest

from vmtest import Topology, nvme, policyd

# The second disk shows that force is one rule's, and not contagious.
TOPOLOGY = Topology(ports=['rp1', 'rp2'],
                    cold=[nvme('n0', 'rp1', size_mb=160),
                          nvme('n1', 'rp2', size_mb=160)])

IN_USE = f'{policyd.SERVICE}.Error.InUse'
IDENTITY = 'domain = identity\nrebind = always\n'


def disk(vm, name):
    """The node of a disk; its number may change from probe to probe."""
    link = f'/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_{name}'
    vm.wait(f'test -b {link} && udevadm settle', what=link)
    return vm.out(['readlink', '-f', link])


def rule(vm, text=IDENTITY, name='n0'):
    bus = vm.address(name).split(':')[1]
    policyd.policies(vm, disk=f'[storage]\nmatch-class = 0108\n'
                              f'match-address = *:{bus}:*\n' + text)


def sequence(vm, node):
    return vm.read(f'/sys/block/{node.removeprefix("/dev/")}/diskseq')


@contextlib.contextmanager
def mounted(vm, node):
    vm.run(f'mkfs.ext4 -q -F {node} && mkdir -p "/mnt/a disk" && '
           f'mount {node} "/mnt/a disk" && echo kept > "/mnt/a disk/file"',
           timeout=120)
    try:
        yield f'{node.removeprefix("/dev/")} is mounted on /mnt/a disk'
    finally:
        vm.run('umount "/mnt/a disk"')


@contextlib.contextmanager
def partitioned(vm, node):
    """The first of two partitions."""
    vm.run(f"printf ',32M\\n,\\n' | sfdisk -q --label dos {node} && "
           'udevadm settle', timeout=120)
    first = f'{node}p1'
    vm.wait(f'test -b {first}')
    try:
        yield first
    finally:
        vm.run(f'sfdisk -q --delete {node} && udevadm settle')


@contextlib.contextmanager
def partition_mounted(vm, node):
    with partitioned(vm, node) as first, mounted(vm, first) as reason:
        yield reason


@contextlib.contextmanager
def swapped(vm, node):
    vm.run(f'mkswap -q {node} && swapon {node}')
    try:
        yield f'{node.removeprefix("/dev/")} is used for swap'
    finally:
        vm.run(f'swapoff {node} && wipefs -qa {node}')


@contextlib.contextmanager
def partition_swapped(vm, node):
    with partitioned(vm, node) as first, swapped(vm, first) as reason:
        yield reason


@contextlib.contextmanager
def mapped(vm, node):
    """device-mapper has it, and nobody has what was made of it."""
    vm.run(f'dmsetup create scenario --table "0 32768 linear {node} 0"')
    try:
        yield f'{node.removeprefix("/dev/")} is used by scenario'
    finally:
        vm.run('udevadm settle; dmsetup remove --retry scenario')


@contextlib.contextmanager
def mapped_and_mounted(vm, node):
    """The name that a person knows is two floors up."""
    with partitioned(vm, node) as first, mapped(vm, first) as why:
        with mounted(vm, '/dev/mapper/scenario'):
            yield f'{why}, which is mounted on /mnt/a disk'


@contextlib.contextmanager
def raid(vm, node):
    vm.run(f'mdadm --create /dev/md7 --run --quiet --level=1 --force '
           f'--metadata=1.2 --raid-devices=1 {node}')
    try:
        yield f'{node.removeprefix("/dev/")} is used by md7'
    finally:
        vm.run(f'udevadm settle; mdadm --stop --quiet /dev/md7; '
               f'mdadm --zero-superblock {node}')


@contextlib.contextmanager
def raid_and_mapped_and_swapped(vm, node):
    with raid(vm, node) as why, mapped(vm, '/dev/md7'):
        with swapped(vm, '/dev/mapper/scenario'):
            yield f'{why}, that by scenario, which is used for swap'


@contextlib.contextmanager
def looped(vm, node):
    """The file system's own mount says it, for all files on it."""
    with mounted(vm, node) as why:
        vm.run('cd "/mnt/a disk" && truncate -s 8M image && '
               'mkfs.ext4 -q -F image && mkdir -p /mnt/inner && '
               'mount -o loop image /mnt/inner')
        try:
            yield why
        finally:
            vm.run('umount /mnt/inner')


@contextlib.contextmanager
def looped_and_hidden(vm, node):
    """Mounted nowhere any more, and alive through the loop device."""
    with looped(vm, node):
        vm.run('mkdir -p /mnt/other; mount --move "/mnt/a disk" /mnt/other || '
               'mount --bind "/mnt/a disk" /mnt/other; umount -l /mnt/other; '
               'mountpoint -q "/mnt/a disk" && umount -l "/mnt/a disk"')
        try:
            yield f'{node.removeprefix("/dev/")} is held by'
        finally:
            vm.run(f'umount /mnt/inner; mount {node} "/mnt/a disk"; '
                   'mount -t tmpfs none /mnt/inner')


@contextlib.contextmanager
def loop_of_the_disk(vm, node):
    """A loop device claims nothing, and no program has it open."""
    loop = vm.out(f'losetup --find --show {node}').removeprefix('/dev/')
    try:
        yield f'{node.removeprefix("/dev/")} is used by {loop}'
    finally:
        vm.run(f'losetup -d /dev/{loop}; udevadm settle')


@contextlib.contextmanager
def mounted_elsewhere(vm, node):
    """In a mount namespace that nobody else sees."""
    vm.run(f'mkfs.ext4 -q -F {node}', timeout=120)
    job = vm.start(f'exec unshare -m --propagation private sh -ec "'
                   f'mount {node} /mnt; echo mounted; exec sleep infinity"')
    try:
        vm.wait(lambda: job.peek().stdout == 'mounted\n', what='the mount')
        yield f'{node.removeprefix("/dev/")} is held by'
    finally:
        job.stop()


@contextlib.contextmanager
def exclusive(vm, node):
    """A program holds the node with O_EXCL."""
    job = vm.start('exec python3 -c "import os, time; '
                   f"os.open('{node}', os.O_RDONLY | os.O_EXCL); "
                   'print(1, flush=True); time.sleep(10000)"')
    try:
        vm.wait(lambda: job.peek().stdout == '1\n', what='the program')
        yield f'{node.removeprefix("/dev/")} is open in python3 (pid '
    finally:
        job.stop()


@pytest.fixture
def idle(vm):
    """The disk in its first type, with nothing on it and no rule for it."""
    policyd.policies(vm, disk=None)
    node = disk(vm, 'n0')
    vm.run(f'wipefs -qa {node}')
    yield node
    policyd.policies(vm, disk=None)
    number = vm.group_of('n0')
    if vm.type_of('n0') != 'DMA':
        vm.busctl('call', policyd.SERVICE, policyd.ROOT,
                  f'{policyd.SERVICE}.Manager', 'Restore', 'u', str(number))
    policyd.wait_state(vm, 'n0', 'unmanaged', 'DMA')


@pytest.mark.parametrize('use', [
    mounted, partition_mounted, swapped, partition_swapped, mapped,
    mapped_and_mounted, raid, raid_and_mapped_and_swapped, looped,
    looped_and_hidden, loop_of_the_disk, mounted_elsewhere, exclusive])
def test_what_is_used_keeps_its_driver(vm, idle, use):
    address, number, mark = vm.address('n0'), vm.group_of('n0'), \
        policyd.mark(vm)
    with use(vm, idle) as why:
        probe = sequence(vm, idle)
        rule(vm)
        group = policyd.wait_state(vm, 'n0', 'refused', 'DMA')
        assert why in group['Reason']
        assert address in group['Reason']
        assert group['LastError'] == [IN_USE, group['Reason']]
        assert group['Target'] == 'identity'
        entry = policyd.entry(vm, 'refused', mark, IOMMU_GROUP=number)
        assert entry['DEVICE'] == address
        assert (entry['TYPE_FROM'], entry['TYPE_TO']) == ('DMA', 'identity')
        assert entry['STATE'] == 'refused'
        assert entry['REASON'] == group['Reason']
        assert entry['CONFIG_FILE'] == policyd.path('disk')
        assert entry['CONFIG_LINE'] == '1'

        # Asking for it by name does not help either.
        error, message = policyd.call(vm, 'ApplyGroup', 'ua{sv}', number, {})
        assert (error, why in message) == (IN_USE, True), message
        error, message = policyd.call(vm, 'ApplyGroup', 'ua{sv}', number,
                                      {'rebind': ['b', True]})
        assert (error, why in message) == (IN_USE, True), message

        assert sequence(vm, idle) == probe      # the driver never let go
        assert vm.driver_of('n0') == 'nvme'
        assert vm.type_of('n0') == 'DMA'
        assert vm.read(f'/sys/bus/pci/devices/{address}/driver_override') \
            == '(null)'
    # Nobody has it any more: whoever asks now gets it.
    assert vm.busctl('call', policyd.SERVICE, policyd.ROOT,
                     f'{policyd.SERVICE}.Manager', 'ApplyGroup', 'ua{sv}',
                     str(number), '0')[0] == 'compliant'
    assert vm.type_of('n0') == 'identity'
    assert vm.driver_of('n0') == 'nvme'
    assert sequence(vm, disk(vm, 'n0')) != probe
    policyd.entry(vm, 'applied', mark, IOMMU_GROUP=number)


def test_a_file_system_is_whole_after_all_that(vm, idle):
    number = vm.group_of('n0')
    with mounted(vm, idle):
        rule(vm)
        policyd.wait_state(vm, 'n0', 'refused', 'DMA')
    policyd.call(vm, 'ApplyGroup', 'ua{sv}', number, {})
    policyd.wait_state(vm, 'n0', 'compliant', 'identity')
    node = disk(vm, 'n0')
    vm.run(f'e2fsck -fn {node}', timeout=120)
    assert vm.out(f'mount {node} /mnt && cat /mnt/file; umount /mnt') == 'kept'


def test_set_group_type_asks_too(vm, idle):
    number = vm.group_of('n0')
    with mounted(vm, idle) as why:
        probe = sequence(vm, idle)
        options = {'rebind': ['b', True]}
        for domain in ('identity', 'blocked'):
            error, message = policyd.call(vm, 'SetGroupType', 'usa{sv}',
                                          number, domain, options)
            assert (error, why in message) == (IN_USE, True), message
            assert vm.type_of('n0') == 'DMA'
            assert sequence(vm, idle) == probe
        # Without rebind it waits, which is no error.
        assert policyd.call(vm, 'SetGroupType', 'usa{sv}', number,
                            'identity', {}) == ('', '')
        policyd.wait_state(vm, 'n0', 'pending', 'DMA')
        assert sequence(vm, idle) == probe
    assert policyd.call(vm, 'Restore', 'u', number) == ('', '')


def test_file_system_of_two_disks(vm, idle):
    """Each of them is known, whichever of them the mount was named by."""
    nodes = {'n0': idle, 'n1': disk(vm, 'n1')}
    vm.run(f'mkfs.btrfs -q -f --mixed -d single -m single {nodes["n0"]} '
           f'{nodes["n1"]} && udevadm settle && '
           f'(btrfs device scan || true) && mount {nodes["n1"]} /mnt',
           timeout=120)
    try:
        told = set()
        for name, node in nodes.items():
            before = sequence(vm, node)
            rule(vm, name=name)
            group = policyd.wait_state(vm, name, 'refused', 'DMA')
            base = node.removeprefix('/dev/')
            told.add(group['Reason'].rpartition(f'in use: {base} ')[2])
            assert sequence(vm, node) == before
        assert told == {'is mounted on /mnt', 'is part of the btrfs file '
                        'system mounted on /mnt'}
    finally:
        vm.run(f'umount /mnt; wipefs -qa {nodes["n0"]} {nodes["n1"]}')
    policyd.call(vm, 'ApplyGroup', 'ua{sv}', vm.group_of('n1'), {})
    policyd.wait_state(vm, 'n1', 'compliant', 'identity')
    assert policyd.call(vm, 'Restore', 'u', vm.group_of('n1')) == ('', '')


@pytest.mark.kernels('6.12')
def test_force_is_the_rules_own(vm, idle):
    """Not on 6.1, which oopses when a mounted nvme disk is unbound."""
    mark = policyd.mark(vm)
    vm.run(f'mkfs.ext4 -q -F {idle} && mount -o ro {idle} /mnt', timeout=120)
    other = disk(vm, 'n1')
    vm.run(f'mkfs.ext4 -q -F {other} && mkdir -p /mnt2 && '
           f'mount -o ro {other} /mnt2', timeout=120)
    untouched = sequence(vm, other)
    try:
        rule(vm)
        policyd.wait_state(vm, 'n0', 'refused', 'DMA')
        rule(vm, IDENTITY + 'force = yes\n')
        policyd.policies(vm, other=f'[other]\nmatch-address = '
                         f'{vm.address("n1")}\n{IDENTITY}')
        policyd.wait_state(vm, 'n0', 'compliant', 'identity')
        assert vm.driver_of('n0') == 'nvme'
        entry = policyd.entry(vm, 'decided', mark, TYPE_TO='identity',
                              IOMMU_GROUP=vm.group_of('n0'), PRIORITY=4)
        assert 'FORCE' in entry['MESSAGE']
        policyd.wait_state(vm, 'n1', 'refused', 'DMA')
        assert sequence(vm, other) == untouched
        # The option is the same for one call.
        assert policyd.call(vm, 'ApplyGroup', 'ua{sv}', vm.group_of('n1'),
                            {'force': ['b', True]}) == ('', '')
        assert vm.type_of('n1') == 'identity'
        assert vm.driver_of('n1') == 'nvme'
    finally:
        vm.run('umount -l /mnt; umount -l /mnt2')
        policyd.policies(vm, other=None)


def test_the_root_disk_is_never_touched(vm):
    """Its controller shares a group with the rest of the chipset."""
    controller = vm.out('lspci -Dn -d ::0106').split()[0]
    number = vm.group_of(controller)
    before = {device: vm.driver_of(device)
              for device in vm.groups()[number]}
    assert before[controller] == 'ahci'
    mark = policyd.mark(vm)
    policyd.policies(vm, disk='[chipset]\nmatch-address = 0000:00:1f.*\n'
                              + IDENTITY)
    group = policyd.wait_state(vm, number, 'refused', 'DMA')
    # The initrd has mounted both disks before there was anybody to see it.
    assert re.search(r'\bsd[ab] is held by', group['Reason'])
    assert controller in group['Reason']
    assert policyd.entry(vm, 'refused', mark,
                         IOMMU_GROUP=number)['CONFIG_LINE'] == '1'
    for options in ({}, {'rebind': ['b', True]}):
        error, _ = policyd.call(vm, 'ApplyGroup', 'ua{sv}', number, options)
        assert error == IN_USE
    after = {device: vm.driver_of(device) for device in vm.groups()[number]}
    assert after == before
    assert vm.type_of(number) == 'DMA'
    for device in before:
        assert vm.read(f'/sys/bus/pci/devices/{device}/driver_override') \
            == '(null)'
    policyd.policies(vm, disk=None)
    vm.run('dd if=/dev/sda of=/dev/null bs=1M count=4 iflag=direct')
