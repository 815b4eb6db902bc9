# SPDX-License-Identifier: GPL-2.0-or-later
"""The unit's sandbox is as tight as it is said to be, the daemon and its
workers are in it, and what others call themselves does not reach the bus.
"""

import json
import re
from pathlib import Path

import pytest

from vmtest import Topology, bus, nvme, policyd

TOPOLOGY = Topology(ports=['rp1'], cold=[nvme('disk', 'rp1')], load=['nvme'])

# What systemd-analyze calls an exposure, and so do we. The unit says why.
EXPOSURE = 2.7
UNSAFE = {
    'User=/DynamicUser=',
    'PrivateDevices=', 'DeviceAllow=',
    'PrivateNetwork=', 'PrivateUsers=',
    'ProtectKernelTunables=', 'ProtectProc=', 'ProcSubset=',
    'CapabilityBoundingSet=~CAP_(DAC_*|FOWNER|IPC_OWNER)',
    'CapabilityBoundingSet=~CAP_SYS_ADMIN',
    'CapabilityBoundingSet=~CAP_SYS_PTRACE',
    'CapabilityBoundingSet=~CAP_SYS_RAWIO',
    'RestrictAddressFamilies=~AF_NETLINK',
    'RestrictAddressFamilies=~AF_UNIX',
}
# include/uapi/linux/capability.h
CAP_DAC_READ_SEARCH, CAP_SYS_RAWIO, CAP_SYS_PTRACE, CAP_SYS_ADMIN = \
    2, 17, 19, 21
CAPABILITIES = sum(1 << n for n in (CAP_DAC_READ_SEARCH, CAP_SYS_RAWIO,
                                    CAP_SYS_PTRACE, CAP_SYS_ADMIN))
# Not UTF-8, and clears a terminal; as printf(1) has it.
STRANGE = r'\377\033[2J\342\202'


def pid(vm):
    return int(vm.out(['systemctl', 'show', '-P', 'MainPID', policyd.UNIT]))


def analyzed(vm):
    """What is not at its safest, with its share of the exposure."""
    rows = json.loads(vm.out('systemd-analyze security --no-pager '
                             f'--json=short {policyd.UNIT}'))
    return {row['name']: float(row['exposure']) for row in rows
            if row['exposure'] is not None and float(row['exposure']) > 0}


def test_exposure_is_pinned(vm):
    assert analyzed(vm).keys() == UNSAFE
    said = vm.run(f'systemd-analyze security --no-pager {policyd.UNIT}')
    overall = re.search(r'Overall exposure level for \S+: ([0-9.]+)',
                        said.stdout)
    assert float(overall[1]) <= EXPOSURE, overall[0]


def test_each_exposure_has_its_reason(vm):
    """Beside the directives, in the unit itself."""
    unit = vm.out(['systemctl', 'cat', policyd.UNIT])
    reasons = '\n'.join(line for line in unit.splitlines()
                        if line.startswith('#'))
    for name in UNSAFE:
        directive = name.split('/')[0].split('=')[0]
        assert re.search(rf'\b{directive}=', reasons), directive
        if '~' in name and '(' not in name:
            assert name.split('~')[1] in reasons, name


def sandbox(vm, process):
    """What the kernel says of a process: not what a unit says it should."""
    lines = vm.read(f'/proc/{process}/status').splitlines()
    fields = dict(line.split(':', 1) for line in lines)
    return {
        'no new privileges': fields['NoNewPrivs'].strip() == '1',
        'filter': fields['Seccomp'].strip() == '2',
        'bounding set': int(fields['CapBnd'], 16) == CAPABILITIES,
        'effective': int(fields['CapEff'], 16) == CAPABILITIES,
        'umask': fields['Umask'].strip() == '0077',
        'mounts': vm.out(['readlink', f'/proc/{process}/ns/mnt'])
                  != vm.out(['readlink', '/proc/1/ns/mnt']),
    }


def test_daemon_and_worker_are_in_it(vm):
    """And nothing that systemd-analyze looks at is taken back in secret."""
    assert all(sandbox(vm, pid(vm)).values()), sandbox(vm, pid(vm))
    assert vm.out(['systemctl', 'show', '-P', 'DropInPaths',
                   policyd.UNIT]) in (
        '', '/etc/systemd/system/service.d/slow.conf')
    # Workers live for a moment: one after the other, until some were seen.
    address = vm.address('disk')
    trace = vm.start('while :; do for p in $(pgrep -P '
                     f'{pid(vm)}); do grep -E "CapBnd|Seccomp:" '
                     '/proc/$p/status; done; done 2>/dev/null')

    def flip():
        for type_ in ('identity', 'DMA'):
            policyd.policies(
                vm, disk=f'[disk]\nmatch-address = {address}\n'
                         f'domain = {type_}\nrebind = always\n')
            policyd.wait_state(vm, 'disk', 'compliant', type_)
        return len(trace.peek().stdout.splitlines()) >= 6
    try:
        vm.wait(flip, timeout=120, what='workers to be seen')
    finally:
        seen = trace.stop(9).stdout
        policyd.policies(vm, disk=None)
        policyd.wait_state(vm, 'disk', 'unmanaged', 'DMA')
    caps = set(re.findall(r'^CapBnd:\s*(\w+)$', seen, re.M))
    assert {int(mask, 16) for mask in caps} == {CAPABILITIES}, seen
    assert set(re.findall(r'^Seccomp:\s*(\d)$', seen, re.M)) == {'2'}, seen


def test_what_the_daemon_cannot_do(vm):
    """From within its own namespaces, with its own rights: the files that are
    its own can be written, others cannot, and disks are for reading.
    """
    enter = f'nsenter -m -t {pid(vm)} --'
    for path in ('/usr/x', '/etc/x', '/var/x', '/var/lib/x', '/boot/x'):
        result = vm.run(f'{enter} touch {path}', check=False)
        assert 'Read-only file system' in result.stderr, (path, result)
    for path in ('/root', '/home', '/tmp', '/var/tmp'):
        assert vm.out(f'{enter} ls -A {path} 2>&1 || true') in (
            '', f"ls: cannot open directory '{path}': Permission denied"), path
    vm.run(f'{enter} touch /run/iommu-policyd/x /var/lib/iommu-policyd/x '
           '&& rm /run/iommu-policyd/x /var/lib/iommu-policyd/x')
    # The device list of the control group holds for whoever is in it.
    group = f'/sys/fs/cgroup{vm.out(["systemctl", "show", "-P", "ControlGroup", policyd.UNIT])}'
    script = f'echo $$ > {group}/cgroup.procs && exec 3{{}} {{}}'
    assert vm.run(script.format('<', '/dev/nvme0n1'), check=False).status == 0
    for how, node in (('<>', '/dev/nvme0n1'), ('<', '/dev/mem'),
                      ('<', '/dev/nvme0')):
        result = vm.run(script.format(how, node), check=False)
        assert 'Operation not permitted' in result.stderr, (node, result)


def test_nothing_else_starts_the_daemon():
    """So that each scenario is one of the sandbox too; --once, which an
    initramfs runs, is the only other way in."""
    words = set()
    for path in Path(__file__).parent.glob('test_*.py'):
        words |= set(re.findall(r"""['" ](?:/usr/sbin/)?iommu-policyd"""
                                r"""( --\w+)?['" ]""", path.read_text()))
    assert words - {''} == {' --once', ' --version'}


@pytest.mark.kernels('6.12')
def test_a_strange_name_does_not_reach_the_bus(vm):
    """dbus-daemon hangs up on what is not UTF-8: so might any user do it."""
    owner = vm.busctl('call', 'org.freedesktop.DBus', '/org/freedesktop/DBus',
                      'org.freedesktop.DBus', 'GetNameOwner', 's',
                      bus.SERVICE)
    process = pid(vm)
    address = vm.address('disk')
    # A process alone names itself, so that this is the shell's own printf.
    job = vm.start(f"printf '{STRANGE}' > /proc/$$/comm; "
                   'exec 3< /dev/nvme0; sleep infinity 3<&-; :')
    try:
        vm.wait(lambda: b'\xff' in vm.run(
            'for p in /proc/[0-9]*; do [ $p/fd/3 -ef /dev/nvme0 ] && '
            'cat $p/comm; done', check=False).raw, what='the strange one')
        policyd.policies(vm, disk=f'[disk]\nmatch-address = {address}\n'
                                  'domain = identity\nrebind = always\n')
        found = policyd.wait_state(vm, 'disk', 'refused', 'DMA')
        assert 'nvme0 is open in ??[2J?? (pid ' in found['Reason'], found
        assert bus.managed_objects(vm)
        assert vm.busctl('call', 'org.freedesktop.DBus',
                         '/org/freedesktop/DBus', 'org.freedesktop.DBus',
                         'GetNameOwner', 's', bus.SERVICE) == owner
        assert pid(vm) == process
        assert '\x1b' not in vm.out('iommu-policyctl status')
    finally:
        job.stop(9)
        policyd.policies(vm, disk=None)
    policyd.wait_state(vm, 'disk', 'unmanaged', 'DMA')


def test_nobody_can_hold_up_a_change(vm):
    """A lock is taken where only root can open its file."""
    address, type_ = vm.address('disk'), vm.type_of('disk')
    wish = 'DMA' if type_ == 'identity' else 'identity'
    job = vm.start(
        'exec setpriv --reuid=nobody --regid=nogroup --clear-groups sh -c "'
        'for g in /sys/kernel/iommu_groups/*; do flock -n \\$g sleep 600 & '
        'done; flock -n /run/iommu-policyd/lock.d sleep 600 & echo locked; '
        'wait"')
    vm.wait(lambda: 'locked' in job.peek().stdout, what='the locks')
    vm.wait('[ $(pgrep -c -u nobody sleep) -gt 1 ]', what='the locks to be')
    policyd.policies(vm, lock=f'[lock]\nmatch-address = {address}\n'
                     f'domain = {wish}\nrebind = always\n')
    policyd.wait_state(vm, 'disk', 'compliant', wish)
    assert vm.run('ls -A /run/iommu-policyd/lock.d').stdout == ''
    job.stop()
    vm.run('pkill -u nobody || true')
    policyd.policies(vm, lock=None)
