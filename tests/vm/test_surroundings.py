# SPDX-License-Identifier: GPL-2.0-or-later
"""Where there is nothing to do, or nothing can be done.

No IOMMU, one that is switched off, iommu=pt, a container, a kernel without
the type file, lockdown: the daemon runs, says in one line of the journal and
in its status what it has found and what helps, and touches nothing. (With
iommu=pt, and locked down, there is something to do: a line is all.)
"""

from contextlib import contextmanager

import pytest

from vmtest import Topology, e1000e, policyd

pytestmark = pytest.mark.brief('6.12')

DROP_IN = '/run/systemd/system/iommu-policyd.service.d/test.conf'
RULE = {'50-nic.conf': '[8086:10d3]\ndomain = DMA\nrebind = always\n'}

TOPOLOGY = Topology(ports=['rp1', 'rp2'], cold=[e1000e('nic', 'rp1')],
                    policy=RULE, kernel_args='iommu=pt')


def running(vm):
    """It is up, at its first start, and on the bus."""
    vm.wait(f'busctl status {policyd.SERVICE} >/dev/null', what='the bus')
    assert vm.out('systemctl show -p ActiveState -p NRestarts '
                  f'{policyd.UNIT}').split() \
        == ['NRestarts=0', 'ActiveState=active']


def idles(vm):
    """For five seconds, nothing wakes it but a ping of the watchdog."""
    pid = vm.out(f'systemctl show -P MainPID {policyd.UNIT}')
    count = f"awk '/_switches/ {{ n += $2 }} END {{ print n }}' " \
        f'/proc/{pid}/status'

    def look():
        before, after = vm.out(f'{count}; sleep 5; {count}').split()
        assert int(after) - int(before) <= 2, (before, after)
        return True
    vm.wait(look, what='the daemon to idle')


def said(vm, kind, mark=0):
    """The one line, and that the status has the same in it."""
    message = policyd.entry(vm, kind, mark)['MESSAGE']
    found, remedy = message.rstrip(')').split(', so ')[0], \
        message.rstrip(')').split(' (')[-1]
    assert f'; {found} ({remedy})' in policyd.status(vm)
    return message


def warnings(vm, mark=0):
    """What the daemon said at notice or above."""
    return [entry['MESSAGE'] for entry in vm.journal(
        f'_SYSTEMD_UNIT={policyd.UNIT}') if policyd.number(entry) > mark
        and int(entry['PRIORITY']) <= 5 and 'CODE_FILE' not in entry]


@contextmanager
def started_with(vm, text):
    """The daemon, started again with more in its unit; gives a mark."""
    vm.write(DROP_IN, f'[Service]\n{text}\n')
    mark = policyd.mark(vm)
    # So many starts in so short a time are a limit of systemd's.
    vm.run('systemctl daemon-reload && '
           f'systemctl reset-failed {policyd.UNIT} && '
           f'systemctl restart {policyd.UNIT}')
    try:
        running(vm)
        yield mark
    finally:
        vm.run(f'rm {DROP_IN}; systemctl daemon-reload; '
               f'systemctl reset-failed {policyd.UNIT}; '
               f'systemctl restart {policyd.UNIT}')


def refused(vm, reason):
    found = policyd.group(vm, 'nic')
    assert (found['State'], found['Type']) == ('refused', 'identity')
    assert found['Reason'].startswith(reason)


# -- machines without one -----------------------------------------------------

def test_no_iommu(boot):
    vm = boot(Topology(ports=['rp1'], iommu='', policy=RULE))
    running(vm)
    assert said(vm, 'no-iommu') == (
        "No IOMMU is in use, so there is nothing to do (enable VT-d, AMD-Vi "
        "or the SMMU in the firmware's set-up, or give the virtual machine "
        "an IOMMU)")
    assert warnings(vm) == [policyd.entry(vm, 'no-iommu')['MESSAGE']]
    assert vm.run('iommu-policyctl status', check=False).status == 0
    idles(vm)
    # What is plugged in is taken note of, and left to its driver.
    vm.plug(e1000e('hot', 'rp1'))
    vm.wait(lambda: vm.driver_of('hot') == 'e1000e', what='the driver')


@pytest.mark.kernels('6.1')
@pytest.mark.brief('6.1')
def test_iommu_without_a_driver(boot):
    """Debian's 6.1 has none for virtio-iommu."""
    vm = boot(Topology(ports=['rp1'], iommu='virtio', policy=RULE))
    running(vm)
    assert said(vm, 'no-iommu') == (
        'No IOMMU is in use yet, though there is a virtio-iommu, so there is '
        'nothing to do (its groups are decided when the driver virtio_iommu '
        'has been loaded; if "modprobe virtio_iommu" finds none, boot a '
        'kernel with CONFIG_VIRTIO_IOMMU)')
    assert vm.run('modprobe virtio_iommu', check=False).status != 0


def test_iommu_is_off(boot):
    vm = boot(Topology(ports=['rp1'], policy=RULE,
                       kernel_args='intel_iommu=off'))
    running(vm)
    assert said(vm, 'no-iommu') == (
        'The IOMMU is switched off by intel_iommu=off on the kernel command '
        'line, so there is nothing to do (take that away and boot with '
        'intel_iommu=on)')
    # In a container it is not the container's matter.
    vm.write('/run/systemd/container', 'lxc\n')
    mark = policyd.mark(vm)
    vm.run(f'systemctl restart {policyd.UNIT}')
    assert said(vm, 'no-iommu', mark) == (
        'No IOMMU group is to be seen in this container, so there is nothing '
        'to do (run iommu-policyd on the host)')


# -- one machine --------------------------------------------------------------

def test_passthrough(vm):
    running(vm)
    line, = [text for text in warnings(vm) if 'iommu=pt' in text]
    assert line.startswith('iommu=pt on the kernel command line gives all '
                           'devices the type identity')
    # A rule says otherwise, and it is the boot type that is kept in mind.
    found = policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
    assert found['BootType'] == 'identity'
    vm.wait(lambda: vm.driver_of('nic') == 'e1000e', what='the driver')
    vm.busctl('call', policyd.SERVICE, policyd.ROOT,
              f'{policyd.SERVICE}.Manager', 'Restore', 'u',
              str(vm.group_of('nic')))
    assert vm.type_of('nic') == 'identity'


def test_crash_kernel(vm):
    """Only /proc/vmcore tells one from others; the unit looks there, too."""
    vm.run('mkdir -p /run/proc && touch /run/proc/vmcore')
    mark = policyd.mark(vm)
    vm.run("unshare -m sh -c 'mount --bind /run/proc /proc && "
           "exec iommu-policyd --once'")
    line, = [entry['MESSAGE']
             for entry in vm.journal('SYSLOG_IDENTIFIER=iommu-policyd')
             if policyd.number(entry) > mark]
    assert line.endswith('(/proc/vmcore): nothing is done')
    vm.run('grep -qx ConditionPathExists=!/proc/vmcore '
           f'/lib/systemd/system/{policyd.UNIT}')


@pytest.fixture
def undone(vm):
    """The rule has yet to be obeyed, and somebody asks for it at the end."""
    policyd.policies(vm, nic='')
    vm.wait(lambda: vm.driver_of('nic') == 'e1000e', what='the driver')
    vm.run(['busctl', 'call', policyd.SERVICE, policyd.ROOT,
            f'{policyd.SERVICE}.Manager', 'Restore', 'u',
            str(vm.group_of('nic'))])
    assert vm.type_of('nic') == 'identity'
    # Nothing may be done before the daemon of the test looks at it.
    policyd.policies(vm, nic=RULE['50-nic.conf'].replace('always', 'never'))
    policyd.wait_state(vm, 'nic', 'pending', 'identity')
    yield
    policyd.policies(vm, nic=RULE['50-nic.conf'])
    policyd.wait_state(vm, 'nic', 'compliant', 'DMA')


def test_read_only_sysfs(vm, undone):
    with started_with(vm, 'BindReadOnlyPaths=/sys') as mark:
        assert said(vm, 'cannot-change', mark).startswith(
            '/sys is read-only, so groups are shown and none is changed (')
        refused(vm, '/sys is read-only (')
        # Also where somebody asks for it.
        policyd.call(vm, 'ApplyGroup', 'ua{sv}', vm.group_of('nic'), {})
        refused(vm, '/sys is read-only (')


def test_container(vm, undone):
    vm.write('/run/systemd/container', 'lxc\n')
    try:
        with started_with(vm, 'BindReadOnlyPaths=/sys') as mark:
            assert said(vm, 'cannot-change', mark) == (
                '/sys is read-only in this container, so groups are shown '
                'and none is changed (run iommu-policyd on the host)')
            refused(vm, '/sys is read-only in this container')
    finally:
        vm.run('rm /run/systemd/container')


def test_without_capabilities(vm, undone):
    with started_with(vm, 'CapabilityBoundingSet=\n'
                      'CapabilityBoundingSet=CAP_SYS_PTRACE') as mark:
        assert 'CAP_SYS_RAWIO' in said(vm, 'cannot-change', mark)
        refused(vm, 'The capabilities CAP_SYS_ADMIN and CAP_SYS_RAWIO')


def test_no_type_file(vm, undone):
    # As kernels before 5.11 have it: everything but that file.
    vm.run('cp -a /sys/kernel/iommu_groups /run/old && '
           'rm /run/old/*/type')
    with started_with(vm, 'BindPaths=/run/old:/sys/kernel/iommu_groups') \
            as mark:
        assert said(vm, 'cannot-change', mark) == (
            'This kernel has no file for the type of an IOMMU group, so '
            'groups are shown and none is changed (Linux 5.11 and later have '
            'it)')
        found = policyd.group(vm, 'nic')
        assert (found['State'], found['Type']) == ('refused', '')
    assert vm.type_of('nic') == 'identity'


def test_lockdown(vm, undone):
    """Comes last: the way back is a reboot."""
    vm.run('mountpoint -q /sys/kernel/security || '
           'mount -t securityfs securityfs /sys/kernel/security; '
           'echo integrity >/sys/kernel/security/lockdown')
    mark = policyd.mark(vm)
    vm.run(f'systemctl restart {policyd.UNIT} && journalctl --sync')
    line, = [text for text in warnings(vm, mark) if 'locked down' in text]
    assert '(integrity): types are changed all the same' in line
    policyd.policies(vm, nic=RULE['50-nic.conf'])
    policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
