# SPDX-License-Identifier: GPL-2.0-or-later
"""The root disk gets its type in the initramfs, before its first driver.

A real root file system on nvme, booted by what update-initramfs and dracut
have made in it. The service of the real system finds done what was done, knows
what was there before, and does nothing twice.
"""

import re

import pytest

from vmtest import Topology, e1000e, nvme, policyd

pytestmark = pytest.mark.brief('6.12')

STORAGE = '[storage]\nmatch-class = 0108\ndomain = {}\n'
NETWORK = '[network]\nmatch-id = 8086:10d3\nrebind = always\ndomain = {}\n'
# More lines than the kernel's log takes from one who has opened it.
N_ERRORS = 15
BROKEN = STORAGE.format('DMA') + 'domian = DMA\n' * N_ERRORS
# Says that it has begun, and no more.
HUNG = """\
#!/bin/sh
test ! -e /bin/busybox || exit
echo '<6>iommu-policyd: hangs' >&2
kill -STOP $$
"""
DAEMON = '/usr/sbin/iommu-policyd'
# Shell and commands are those of klibc then, of which it has few.
FEW_COMMANDS = {'/etc/initramfs-tools/conf.d/busybox': 'BUSYBOX=n\n'}
# Not among the drivers that initramfs-tools takes of itself.
VIRTIO = {'/etc/initramfs-tools/modules': 'virtio_iommu\n'}
AUDIT = {'/etc/iommu-policyd/iommu-policyd.conf.d/50-audit.conf':
         '[Daemon]\nMode=audit\n'}


def topology(tool='initramfs-tools', policy=STORAGE.format('identity'),
             **options):
    return Topology(
        ports=['rp1', 'rp2'], root=tool, policy={'50-root.conf': policy},
        cold=[nvme('root', 'rp1', size_mb=0, drive='root'),
              e1000e('nic', 'rp2')], boot_timeout=300, **options)


def said(vm, pattern, name='iommu-policyd'):
    return [row for row in vm.journal(f'SYSLOG_IDENTIFIER={name}')
            if re.search(pattern, row['MESSAGE'])]


def when(vm, pattern, name='iommu-policyd'):
    """When it was first said, in seconds since boot.

    In an initramfs with systemd the daemon speaks to the journal, and to the
    kernel's log in another, which the journal has too.
    """
    return policyd.sent(said(vm, pattern, name)[0])


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


def changed_first(vm, type, device='root', driver='^nvme nvme0: '):
    """In the initramfs, and by nobody else and never again."""
    found = policyd.wait_state(vm, device, 'compliant', type)
    assert found['BootType'] == 'DMA'
    number = vm.group_of(device)
    for kind in ('applied', 'decided'):
        assert policyd.entries(vm, kind, IOMMU_GROUP=number) == []
    changed = when(vm, rf'^Group {number} .* changed from DMA to {type} ')
    vm.wait(lambda: said(vm, driver, 'kernel'), what='the driver')
    bound = when(vm, driver, 'kernel')
    print(f'{device}: changed at {changed:.3f} s, driver at {bound:.3f} s')
    assert changed < bound


@pytest.mark.parametrize('tool', [
    pytest.param('initramfs-tools', marks=pytest.mark.brief()), 'dracut'])
def test_identity_from_the_first_driver_on(boot, tool):
    vm = boot(topology(tool))
    changed_first(vm, 'identity')
    # Nothing is said of it.
    policyd.wait_state(vm, 'nic', 'unmanaged', 'DMA')
    healthy(vm)


@pytest.mark.parametrize('tool', ['initramfs-tools', 'dracut'])
@pytest.mark.brief()
def test_another_policy(boot, tool):
    vm = boot(topology(tool, STORAGE.format('DMA-FQ')))
    changed_first(vm, 'DMA-FQ')
    healthy(vm)


def test_what_was_there_before(boot):
    """What the initramfs has changed can be taken back: a network card, and
    the root disk but for its being in use."""
    def policy(domain):
        return STORAGE.format('identity') + 'rebind = always\n' \
            + NETWORK.format(domain)
    vm = boot(topology(policy=policy('identity')))
    changed_first(vm, 'identity')
    changed_first(vm, 'identity', 'nic', '^e1000e 0000:')

    root, nic = vm.group_of('root'), vm.group_of('nic')
    error, message = policyd.call(vm, 'Restore', 'u', root)
    assert error == f'{policyd.SERVICE}.Error.InUse', message
    assert 'nvme0n1 is mounted on /' in message
    assert vm.type_of('root') == 'identity'
    assert policyd.call(vm, 'Restore', 'u', nic) == ('', '')
    assert (vm.type_of('nic'), vm.driver_of('nic')) == ('DMA', 'e1000e')

    policyd.policies(vm, root=policy('DMA-FQ'))
    policyd.wait_state(vm, 'nic', 'compliant', 'DMA-FQ')
    policyd.policies(vm, root=policy('auto').replace('identity', 'auto'))
    policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
    assert vm.driver_of('nic') == 'e1000e'
    found = policyd.wait_state(vm, 'root', 'refused', 'identity')
    assert found['Target'] == 'DMA'
    healthy(vm)


def test_a_broken_policy(boot):
    """Nothing is applied, both say so, and the boot goes on."""
    vm = boot(topology(policy=BROKEN))
    assert vm.type_of('root') == 'DMA'
    path = '/etc/iommu-policyd/policy.d/50-root.conf'
    early = [row['MESSAGE'] for row in said(vm, f'^{path}:')
             if row['_TRANSPORT'] == 'kernel']
    assert len(early) == N_ERRORS, early
    assert when(vm, f'^{path}:') < when(vm, 'nvme nvme0', 'kernel')
    assert when(vm, '^ended with status 1; the service will try again')
    assert 'NOTHING IS APPLIED' in policyd.status(vm)
    healthy(vm)


@pytest.mark.parametrize('tool, files', [
    ('initramfs-tools', FEW_COMMANDS), ('dracut', {})],
    ids=['initramfs-tools', 'dracut'])
@pytest.mark.brief()
def test_a_daemon_that_hangs(boot, tool, files):
    """It is killed after ten seconds, and the service finds what is left."""
    vm = boot(topology(tool, files=files, initramfs={DAEMON: HUNG}))
    delay = when(vm, '^not done in 10 s; the boot goes on') \
        - when(vm, '^hangs')
    print(f'held up for {delay:.1f} s')
    # Whole seconds are counted, from before what is said here.
    assert 9 <= delay < 20 * vm.slowness
    found = policyd.wait_state(vm, 'root', 'pending', 'DMA')
    assert found['BootType'] == 'DMA' and found['Target'] == 'identity'
    assert vm.run("pgrep -f '[i]ommu-policyd --once'", check=False).status == 1
    healthy(vm)


def test_a_rule_that_would_take_the_root_disk(boot):
    """In the initramfs it is there for the taking; later it is in use."""
    vm = boot(topology(policy=STORAGE.format('blocked')
                       + 'rebind = always\n'))
    reason = policyd.wait_state(vm, 'root', 'refused')['Reason']
    assert 'is mounted on /' in reason
    assert when(vm, 'left to the service, which knows what is in use') \
        < when(vm, 'nvme nvme0: pci function', 'kernel')
    healthy(vm)


@pytest.mark.brief()
def test_audit_mode(boot):
    """Settings go along as policy does."""
    vm = boot(topology(files=AUDIT))
    number = vm.group_of('root')
    pattern = rf'^Group {number} .*audit mode: would change DMA to identity'
    assert when(vm, pattern) < when(vm, 'nvme nvme0: pci function', 'kernel')
    found = policyd.wait_state(vm, 'root', 'pending', 'DMA')
    assert found['BootType'] == 'DMA' and found['Target'] == 'identity'
    assert policyd.manager(vm, 'Mode') == 'audit'
    healthy(vm)


@pytest.mark.kernels('6.12', '7.2')
@pytest.mark.brief()
def test_a_group_that_comes_too_late(boot):
    """Where the IOMMU's own driver comes by udev, as drivers do, the root disk
    has the kernel's type, and both say why."""
    vm = boot(topology(iommu='virtio', files=VIRTIO))
    early = 'No IOMMU is in use yet, though there is a virtio-iommu'
    assert when(vm, early) < when(vm, 'nvme nvme0: pci function', 'kernel')
    found = policyd.wait_state(vm, 'root', 'pending', vm.type_of('nic'))
    assert found['BootType'] == found['Type'] != found['Target']
    assert 'waits for driver nvme to let go of' in found['Reason']
    assert policyd.entries(vm, 'pending', IOMMU_GROUP=found['Id'])
    assert said(vm, ' changed from ') == []
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
    assert not vm.exists('/run/iommu-policyd')
    healthy(vm)
