# SPDX-License-Identifier: GPL-2.0-or-later
"""Strict to lazy and back on a disk that is busy all the time: the one way is
live, the other waits for the driver to let go.
"""

import pytest

from vmtest import Topology, nvme, policyd

# caching-mode makes the boot default strict; it takes a lazy type all the same.
TOPOLOGY = Topology(ports=['rp1'], cold=[nvme('n0', 'rp1', size_mb=96)])

DISK = '/dev/nvme0n1'
RULE = '[storage]\nmatch-class = 0108\n'
LAZY = '# The rule is in line 2.\n' + RULE + 'domain = DMA-FQ\n'
STRICT = RULE + 'domain = DMA\n'

# Writes noise past the cache, reads it back and compares, round by round,
# until a file is there; the first error ends it.
BUSY = f'''
set -eo pipefail
dd if=/dev/urandom of=/run/noise bs=1M count=4 status=none
wanted=$(sha256sum < /run/noise)
for ((i = 0; ; i++)); do
    test ! -e /run/enough || exit 0
    at=$((i % 8 * 4))
    dd if=/run/noise of={DISK} bs=64k seek=$((at * 16)) oflag=direct \
        conv=fsync status=none
    got=$(dd if={DISK} bs=64k skip=$((at * 16)) count=64 iflag=direct \
        status=none | sha256sum)
    test "$got" = "$wanted" || {{ echo "round $i: $got"; exit 1; }}
    echo "round $i"
done
'''


class Load:
    """The I/O that runs throughout."""

    def __init__(self, vm):
        self._vm = vm
        vm.run('rm -f /run/enough')
        self.job = vm.start(BUSY)
        self.more()

    def rounds(self):
        result = self.job.peek()
        assert result.status is None, result
        return result.stdout.count('\n')

    def more(self):
        """It is well and goes on."""
        now = self.rounds()
        self._vm.wait(lambda: self.rounds() >= now + 3, timeout=120,
                      what='three more rounds of I/O')

    def stop(self):
        self._vm.run('touch /run/enough')
        result = self.job.wait(timeout=120)
        assert result.stderr == '', result


def disk_errors(vm):
    return vm.out("dmesg | grep -E 'I/O error, dev nvme|"
                  "nvme.*(timeout|abort|reset)' || true")


def sequence(vm):
    return vm.read('/sys/block/nvme0n1/diskseq')


@pytest.fixture
def load(vm):
    vm.wait(f'test -b {DISK}')
    found = Load(vm)
    yield found
    vm.run('touch /run/enough')
    vm.policy('50-disk.conf', None)


def test_lazy_live_and_strict_when_the_driver_lets_go(vm, load):
    address, number = vm.address('n0'), vm.group_of('n0')
    assert vm.type_of('n0') == 'DMA'
    assert 'live-flush-queue' in policyd.manager(vm, 'KernelFeatures')
    probe, mark = sequence(vm), policyd.mark(vm)

    # rebind is not said, and this device was there from the start.
    vm.policy('50-disk.conf', LAZY)
    group = policyd.wait_state(vm, 'n0', 'compliant', 'DMA-FQ')
    assert vm.type_of('n0') == 'DMA-FQ'
    assert group['Owner'] == 'kernel'
    load.more()
    assert sequence(vm) == probe        # the driver never let go
    entry = policyd.entry(vm, 'applied', mark, IOMMU_GROUP=number)
    assert (entry['TYPE_FROM'], entry['TYPE_TO']) == ('DMA', 'DMA-FQ')
    assert entry['DEVICE'] == address
    assert entry['STATE'] == 'compliant'
    assert entry['CONFIG_FILE'] == policyd.path('disk')
    assert entry['CONFIG_LINE'] == '2'

    mark = policyd.mark(vm)
    vm.policy('50-disk.conf', STRICT)
    group = policyd.wait_state(vm, 'n0', 'pending', 'DMA-FQ')
    assert group['Target'] == 'DMA'
    assert f'waits for driver nvme to let go of {address}' in group['Reason']
    load.more()
    assert vm.type_of('n0') == 'DMA-FQ'
    assert sequence(vm) == probe
    entry = policyd.entry(vm, 'pending', mark, IOMMU_GROUP=number)
    assert (entry['TYPE_FROM'], entry['TYPE_TO']) == ('DMA-FQ', 'DMA')
    assert entry['STATE'] == 'pending'
    assert entry['CONFIG_LINE'] == '1'
    assert policyd.entries(vm, 'applied', mark) == []
    # A restart of the daemon does not lose what waits.
    vm.run(f'systemctl restart {policyd.UNIT}')
    policyd.wait_state(vm, 'n0', 'pending', 'DMA-FQ')
    load.more()
    load.stop()
    assert disk_errors(vm) == ''

    # The driver lets go, by whomever's hand: that is the moment.
    mark = policyd.mark(vm)
    vm.run(f'echo {address} > /sys/bus/pci/drivers/nvme/unbind')
    policyd.wait_state(vm, 'n0', 'compliant', 'DMA')
    assert vm.type_of('n0') == 'DMA'
    assert vm.driver_of('n0') is None       # whoever unbound it wants it so
    entry = policyd.entry(vm, 'applied', mark, IOMMU_GROUP=number)
    assert (entry['TYPE_FROM'], entry['TYPE_TO']) == ('DMA-FQ', 'DMA')

    vm.run(f'echo {address} > /sys/bus/pci/drivers/nvme/bind')
    vm.wait(f'test -b {DISK}')
    again = Load(vm)
    policyd.wait_state(vm, 'n0', 'compliant', 'DMA')
    again.more()
    again.stop()
    assert vm.type_of('n0') == 'DMA'
    assert vm.driver_of('n0') == 'nvme'
    assert disk_errors(vm) == ''


def test_a_file_system_does_not_notice(vm):
    """What is mounted is in use, and the live way may be taken all the same."""
    vm.wait(f'test -b {DISK}')
    vm.run(f'mkfs.ext4 -q {DISK} && mkdir -p /mnt/disk && '
           f'mount {DISK} /mnt/disk', timeout=120)
    vm.run('rm -f /run/enough')
    job = vm.start('set -e; for ((i = 0; ; i++)); do '
                   'test ! -e /run/enough || exit 0; '
                   'dd if=/dev/urandom of=/mnt/disk/file bs=256k count=8 '
                   'conv=fsync status=none; echo $i; done')
    try:
        vm.policy('50-disk.conf', LAZY)
        policyd.wait_state(vm, 'n0', 'compliant', 'DMA-FQ')
        vm.policy('50-disk.conf', STRICT + 'rebind = always\n')
        group = policyd.wait_state(vm, 'n0', 'refused', 'DMA-FQ')
        assert 'nvme0n1 is mounted on /mnt/disk' in group['Reason']
        seen = job.peek().stdout
        vm.wait(lambda: job.peek().stdout.count('\n') > seen.count('\n') + 2,
                what='more files')
    finally:
        vm.run('touch /run/enough')
        job.wait(timeout=120)
        vm.run('umount /mnt/disk')
        vm.policy('50-disk.conf', None)
    assert vm.out(f'e2fsck -fn {DISK} > /run/fsck 2>&1; echo $?',
                  timeout=120) == '0'
    assert disk_errors(vm) == ''
