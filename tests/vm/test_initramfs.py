# SPDX-License-Identifier: GPL-2.0-or-later
"""The root disk gets its type in the initramfs, before its first driver.

A real root file system on nvme, booted by what update-initramfs and dracut
have made in it. The service of the real system finds done what was done, knows
what was there before, and does nothing twice.
"""

import re

import pytest

from vmtest import Topology, e1000e, nvme, policyd, realroot

pytestmark = pytest.mark.brief('6.12')

LAZY = {'50-root.conf': '[storage]\nmatch-class = 0108\ndomain = DMA-FQ\n'}
BROKEN = {'50-root.conf': '[storage]\nmatch-class = 0108\ndomian = DMA\n'}


def topology(tool='initramfs-tools', policy=realroot.POLICY, **options):
    return Topology(
        ports=['rp1', 'rp2'], root=tool, policy=policy,
        cold=[nvme('root', 'rp1', size_mb=0, drive='root'),
              e1000e('nic', 'rp2')], boot_timeout=300, **options)


def when(vm, pattern, name='iommu-policyd'):
    """When it was first said, in seconds since boot.

    In an initramfs with systemd the daemon speaks to the journal, and to the
    kernel's log in another, which the journal has too.
    """
    entry = next(row for row in vm.journal(f'SYSLOG_IDENTIFIER={name}')
                 if re.search(pattern, row['MESSAGE']))
    if '_SOURCE_MONOTONIC_TIMESTAMP' in entry:
        return int(entry['_SOURCE_MONOTONIC_TIMESTAMP']) / 1e6
    late = int(entry['__REALTIME_TIMESTAMP']) \
        - int(entry['_SOURCE_REALTIME_TIMESTAMP'])
    return (int(entry['__MONOTONIC_TIMESTAMP']) - late) / 1e6


def healthy(vm):
    """The system is up on its disk, which works and is clean."""
    vm.wait('systemctl is-active multi-user.target', timeout=180,
            what='the boot to end')
    assert vm.out('findmnt -no SOURCE /') == '/dev/nvme0n1'
    assert vm.driver_of('root') == 'nvme'
    vm.run('dd if=/dev/urandom of=/data bs=1M count=8 2>/dev/null && sync && '
           'sum=$(sha256sum </data) && echo 3 >/proc/sys/vm/drop_caches && '
           'test "$sum" = "$(sha256sum </data)"', timeout=180)
    # Nothing may be open for writing: the kernel's own way.
    vm.run('echo u >/proc/sysrq-trigger')
    vm.wait("findmnt -no OPTIONS / | grep -q '^ro'", what='read-only')
    vm.run('e2fsck -fn /dev/nvme0n1', timeout=180)


def changed_first(vm, tool, type):
    """In the initramfs, and by nobody else and never again."""
    policyd.wait_state(vm, 'root', 'compliant', type)
    number = vm.group_of('root')
    rule = policyd.group(vm, 'root')
    assert rule['BootType'] == 'DMA'
    assert policyd.entries(vm, 'applied', IOMMU_GROUP=number) == []
    assert policyd.entries(vm, 'decided', IOMMU_GROUP=number) == []
    changed = when(vm, rf'^Group {number} .* changed from DMA to {type} ')
    bound = when(vm, 'nvme nvme0: pci function', 'kernel')
    print(f'{tool}: changed at {changed:.3f} s, driver at {bound:.3f} s')
    assert changed < bound


@pytest.mark.parametrize('tool', [
    'initramfs-tools', pytest.param('dracut', marks=pytest.mark.brief())])
def test_identity_from_the_first_driver_on(boot, tool):
    vm = boot(topology(tool))
    changed_first(vm, tool, 'identity')
    # What is not in the initramfs' hands is as at any boot.
    policyd.wait_state(vm, 'nic', 'unmanaged', 'DMA')
    healthy(vm)


@pytest.mark.brief()
def test_another_policy(boot):
    vm = boot(topology(policy=LAZY))
    changed_first(vm, 'initramfs-tools', 'DMA-FQ')
    healthy(vm)


def test_a_broken_policy(boot):
    """Nothing is applied, both say so, and the boot goes on."""
    vm = boot(topology(policy=BROKEN))
    assert vm.type_of('root') == 'DMA'
    path = '/etc/iommu-policyd/policy.d/50-root.conf:3'
    assert when(vm, f'^{path}: ') < when(vm, 'nvme nvme0', 'kernel')
    assert when(vm, '^ended with status 1; the service will try again')
    assert 'NOTHING IS APPLIED' in policyd.status(vm)
    healthy(vm)


@pytest.mark.brief()
def test_no_iommu(boot):
    vm = boot(topology(iommu=''))
    assert when(vm, '^No IOMMU is in use')
    healthy(vm)


@pytest.mark.brief()
def test_off(boot):
    vm = boot(topology(kernel_args='iommu_policyd=off'))
    assert vm.type_of('root') == 'DMA'
    assert when(vm, '^iommu_policyd=off is on the kernel')
    assert not vm.exists('/run/iommu-policyd/group')
    healthy(vm)
