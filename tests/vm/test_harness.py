# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness itself: if one of these fails, no other scenario counts."""

import os
import signal
import time

import pytest

from vmtest import (CommandFailed, EmulatorFailed, Topology, e1000, e1000e,
                    kernel, nvme, pair, pci_bridge)
from vmtest.kernellog import complaints, leaks, lost_timer

TOPOLOGY = Topology(
    ports=['rp1', 'rp2', 'rp3'],
    cold=[nvme('n0', 'rp1'), pci_bridge('br', 'pcie.0', slot=3),
          e1000('old1', 'br', slot=1), e1000('old2', 'br', slot=2)],
    policy={'50-nothing.conf': ''},
    files={'/etc/scenario/note': b'laid down before boot\n'},
    expect_kernel=[r'vm-harness'])


def test_boots_the_kernel_asked_for(vm, kernel_release):
    assert vm.out('uname -r').startswith(f'{kernel.series(kernel_release)}.')
    assert vm.out('systemctl is-system-running') == 'running'


def test_status_and_both_outputs_are_exact(vm):
    result = vm.run("printf 'a\\377\\0b\\n'; printf 'x\\n\\n' >&2; exit 42",
                    check=False)
    assert (result.status, result.raw) == (42, b'a\xff\0b\n')
    assert result.stderr == 'x\n\n'
    assert vm.run('cat', input='in\n').stdout == 'in\n'
    with pytest.raises(CommandFailed, match='exit status 3'):
        vm.run('exit 3')


@pytest.mark.brief()
def test_much_output_comes_back_whole(vm):
    # Hex of noise: shrinks to half, as a journal would shrink more.
    result = vm.run('head -c 1000000 /dev/urandom > /tmp/noise; '
                    'od -An -v -tx1 /tmp/noise | tr -d " \\n"; '
                    'sha256sum < /tmp/noise >&2')
    import hashlib
    data = bytes.fromhex(result.stdout)
    assert len(data) == 1000000
    assert hashlib.sha256(data).hexdigest() in result.stderr


def test_files_go_both_ways(vm):
    data = bytes(range(256)) * 200
    vm.write('/tmp/new/folder/file', data, 0o640)
    assert vm.read_bytes('/tmp/new/folder/file') == data
    assert vm.out('stat -c %a /tmp/new/folder/file') == '640'
    assert vm.read('/etc/scenario/note') == 'laid down before boot'
    assert vm.exists('/etc/iommu-policyd/policy.d/50-nothing.conf')
    with pytest.raises(FileNotFoundError):
        vm.read('/tmp/none')


def test_commands_run_side_by_side(vm):
    job = vm.start('echo begun; exec sleep 1000')
    vm.wait(lambda: job.peek().stdout == 'begun\n', what='the first line')
    assert vm.out('echo meanwhile') == 'meanwhile'
    assert job.poll() is None
    assert job.stop().status == -signal.SIGTERM
    assert vm.start('echo done; exit 5').wait(check=False).status == 5


def test_a_command_that_hangs_is_killed(vm):
    with pytest.raises(TimeoutError, match='partial'):
        vm.run('echo partial; sleep 1000', timeout=2)
    # A child that stays behind with the output open delays nobody.
    started = time.monotonic()
    vm.run('sleep 1000 & true')
    assert time.monotonic() - started < 30
    vm.run('pkill -x sleep')


def test_groups_and_addresses(vm):
    groups = vm.groups()
    assert vm.group_of('n0') in groups
    assert groups[vm.group_of('n0')] == [vm.address('n0')]
    assert vm.type_of('n0') == 'DMA'
    assert vm.driver_of('rp1') == 'pcieport'
    # A conventional bus cannot tell its devices apart.
    assert vm.group_of('old1') == vm.group_of('old2')
    assert {vm.address('old1'), vm.address('old2')} \
        <= set(groups[vm.group_of('old1')])


def test_plug_and_unplug(vm):
    vm.plug(e1000e('hot', 'rp2'))
    vm.wait(lambda: vm.driver_of('hot') == 'e1000e', what='the driver')
    address = vm.address('hot')
    assert vm.group_of('hot') is not None
    vm.unplug('hot')
    vm.wait(lambda: not vm.present(address), what='the device to go')


def test_a_disk_keeps_its_data(vm):
    disk = nvme('disk', 'rp3', size_mb=16)
    vm.plug(disk)
    device = '/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_disk'
    vm.wait(f'test -b {device}')
    vm.run(f'echo kept | dd of={device} conv=fsync,sync bs=4096 2>&1')
    vm.unplug('disk')
    vm.wait(lambda: not vm.exists(device), what='the disk to go')
    vm.plug(disk)
    vm.wait(f'test -b {device}')
    assert vm.out(f'head -c 4 {device}') == 'kept'
    vm.unplug('disk')


def test_two_functions_in_one_group(vm):
    vm.plug(*pair('f0', 'f1', 'rp2'))
    vm.wait(lambda: vm.driver_of('f0') and vm.driver_of('f1'),
            what='both drivers')
    assert vm.group_of('f0') == vm.group_of('f1')
    vm.unplug('f0', 'f1')


def test_wait_tells_the_last_state(vm):
    with pytest.raises(AssertionError, match='(?s)the moon.*so far'):
        vm.wait('echo so far; false', timeout=1, what='the moon')


def test_the_journal_comes_back(vm):
    vm.run('logger -t scenario "one line"')
    entry, = vm.wait(lambda: vm.journal('SYSLOG_IDENTIFIER=scenario'))
    assert entry['MESSAGE'] == 'one line'


def test_the_bus_answers(vm):
    state = vm.busctl_get('/org/freedesktop/systemd1',
                          'org.freedesktop.systemd1.Manager', 'SystemState',
                          service='org.freedesktop.systemd1')
    assert state == 'running'


def test_kernel_complaints_are_seen(vm):
    text = 'BUG: made up by vm-harness'
    vm.run(f'echo "<3>{text}" > /dev/kmsg')
    vm.wait(lambda: text in vm.machine.console_text(), what='the console')
    assert complaints(vm.machine.console_text()) != []
    assert vm.new_complaints() == []        # TOPOLOGY expects it
    for line in ('Oops: 0002 [#1] PREEMPT SMP',
                 'WARNING: CPU: 1 PID: 7 at drivers/iommu/iommu.c:1',
                 'INFO: task modprobe:7 blocked for more than 120 seconds.',
                 'WARNING: inconsistent lock state',
                 'WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected',
                 'kmemleak: Cannot insert 0x1 into the object search tree',
                 'DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault'):
        assert complaints(line) == [line]
        assert complaints(line, ['vm-harness']) == [line]
    for line in ('usb 1-1: debug: all is well',
                 'kmemleak: 3 new suspected memory leaks (see /sys/kernel)',
                 'rcu: RCU callback double-/use-after-free debug is enabled.'):
        assert complaints(line) == []


def test_leaks_of_the_module_are_told_from_others():
    of = 'unreferenced object 0x1 (size 8):\n  backtrace (crc 0):\n    {}\n'
    ours = [of.format('group_get+0x1/0x2 [iommu_policy]'),
            of.format('0xffffffffc0123456')]    # it has been unloaded
    others = [of.format('acpi_init+0x1/0x2'), of.format('f+0x1/0x2 [e1000e]')]
    assert leaks(''.join([others[0], *ours, others[1]])) \
        == [entry.rstrip() for entry in ours]


@pytest.mark.brief()
def test_a_crash_of_qemu_is_retried(vm, request):
    """QEMU ends by a signal: another machine, and this test once more."""
    if not getattr(request.config, 'qemu_was_killed', False):
        request.config.qemu_was_killed = True
        os.kill(vm.machine.process.pid, signal.SIGKILL)
        vm.run('true')
    assert vm.out('echo alive') == 'alive'


def test_a_failure_is_tried_once_more(vm, request):
    """On another machine; and what it said is kept for the summary."""
    config = request.config
    if not hasattr(config, 'asked_to_retry'):
        config.asked_to_retry = config.option.retry_once
        config.option.retry_once = True
        vm.run('touch /run/failed')
        pytest.fail('on purpose')
    config.option.retry_once = config.asked_to_retry
    # It is this one, so nobody has to read of it.
    name, text = config.unsteady.pop()
    assert name == request.node.nodeid
    assert 'on purpose' in text
    assert not vm.exists('/run/failed')


@pytest.mark.brief()
def test_a_panic_of_the_bare_kernel_is_no_verdict(boot):
    """Nothing of what is tested has run then."""
    with pytest.raises(EmulatorFailed, match='Kernel panic'):
        boot(Topology(kernel_args='rdinit=/none'))


@pytest.mark.brief()
def test_a_lost_timer_is_told_from_a_busy_cpu(vm):
    text = (
        'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n'
        'NMI backtrace for cpu 0\n'
        'CPU: 0 UID: 0 PID: {} Tainted: G           OE      6.12 #1  Debian\n'
        'Tainted: [O]=OOT_MODULE, [E]=UNSIGNED_MODULE\n'
        'Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16\n'
        'RIP: 0010:{}+0xf/0x20\n'
        'rcu: rcu_preempt kthread timer wakeup didn\'t happen for 5251 jiffies!\n')
    assert lost_timer(text.format('0 Comm: swapper/0', 'pv_native_safe_halt'))
    assert not lost_timer(text.format('77 Comm: iommu', '_raw_spin_lock'))
    assert not lost_timer(text.format('0 Comm: swapper/0', '_raw_spin_lock'))
    # Where the kernel knows by itself that the CPU is idle; or that another is.
    text = (
        'NMI backtrace for cpu 1 skipped: idling at native_safe_halt+0xb/0x10\n'
        'rcu: rcu_preempt kthread timer wakeup didn\'t happen for 5255 jiffies!\n'
        'rcu: \tPossible timer handling issue on cpu={} timer-softirq=2552\n')
    assert lost_timer(text.format(1))
    assert not lost_timer(text.format(0))
    assert not lost_timer(vm.machine.console_text())
