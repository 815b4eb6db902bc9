# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk goes through all types by policy changes, and its data is the same
under each of them.
"""

import hashlib

from vmtest import Topology, nvme, policyd

TOPOLOGY = Topology(ports=['rp1'], cold=[nvme('n0', 'rp1', size_mb=256)])

DISK = '/dev/nvme0n1'
PIECE = 32      # MiB
# Each type, and whether the driver has to let go for it.
WAY = [('identity', True), ('DMA', True), ('DMA-FQ', False),
       ('identity', True)]


def write(vm, place):
    """Fills a piece of the disk with noise; returns what it is."""
    vm.run(f'dd if=/dev/urandom of=/run/noise bs=1M count={PIECE} && '
           f'dd if=/run/noise of={DISK} bs=1M seek={place * PIECE} '
           'oflag=direct conv=fsync', timeout=300)
    return vm.out('sha256sum < /run/noise', timeout=300).split()[0]


def read(vm, place):
    """By the disk's own DMA: past the page cache."""
    return vm.out(f'dd if={DISK} bs=1M skip={place * PIECE} count={PIECE} '
                  'iflag=direct | sha256sum', timeout=300).split()[0]


def sequence(vm):
    """The kernel counts disks: another number is another probe."""
    return vm.read('/sys/block/nvme0n1/diskseq')


def rule(vm, domain):
    vm.policy('50-disk.conf', f'[storage]\nmatch-class = 0108\n'
                              f'domain = {domain}\nrebind = always\n')


def test_data_survives_every_type(vm):
    vm.wait(f'test -b {DISK}')
    address, number = vm.address('n0'), vm.group_of('n0')
    rule(vm, 'DMA')
    policyd.wait_state(vm, 'n0', 'compliant', 'DMA')
    sums = [write(vm, 0)]
    assert sums[0] != hashlib.sha256(bytes(PIECE << 20)).hexdigest()
    before = 'DMA'

    for place, (domain, rebinds) in enumerate(WAY, 1):
        mark, probe = policyd.mark(vm), sequence(vm)
        rule(vm, domain)
        group = policyd.wait_state(vm, 'n0', 'compliant', domain)
        assert group['Rules'] == [[policyd.path('disk'), 1, 'storage']]
        assert vm.type_of('n0') == domain
        assert vm.driver_of('n0') == 'nvme'
        vm.wait(f'test -b {DISK}')
        assert (sequence(vm) != probe) == rebinds

        entry = policyd.entry(vm, 'applied', mark, IOMMU_GROUP=number)
        assert (entry['TYPE_FROM'], entry['TYPE_TO']) == (before, domain)
        assert entry['DEVICE'] == address
        assert entry['STATE'] == 'compliant'
        assert entry['CONFIG_FILE'] == policyd.path('disk')
        assert entry['CONFIG_LINE'] == '1'
        assert policyd.entries(vm, 'failed', mark) == []

        for earlier, expected in enumerate(sums):
            assert read(vm, earlier) == expected, (earlier, domain)
        sums.append(write(vm, place))
        before = domain

    assert len(set(sums)) == len(WAY) + 1
    for place, expected in enumerate(sums):
        assert read(vm, place) == expected
    assert vm.read(f'/sys/bus/pci/devices/{address}/driver_override') \
        == '(null)'
    assert vm.out('ls /run/iommu-policyd/transaction') == ''


def test_the_same_policy_again_touches_nothing(vm):
    rule(vm, 'identity')
    before = policyd.wait_state(vm, 'n0', 'compliant', 'identity')
    vm.wait(f'test -b {DISK}')
    mark, probe = policyd.mark(vm), sequence(vm)
    vm.run(f'systemctl reload {policyd.UNIT}')
    vm.run(f'systemctl restart {policyd.UNIT}')
    after = policyd.wait_state(vm, 'n0', 'compliant', 'identity')
    assert after['Rules'] == before['Rules']
    assert sequence(vm) == probe
    assert policyd.entries(vm, 'decided', mark) == []
    assert policyd.entries(vm, 'applied', mark) == []
