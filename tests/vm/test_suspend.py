# SPDX-License-Identifier: GPL-2.0-or-later
"""After the machine has slept, everything is looked at again.

The sleep is a real one to memory, from which QEMU wakes the guest: once in a
machine's life, since from the next sleep that returns at once. A write of the
type by hand has no event, so the daemon hears of it only by looking.
"""

import time

import pytest

from vmtest import Topology, e1000e, nvme, policyd

pytestmark = pytest.mark.brief('6.12')

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], cold=[e1000e('nic', 'rp1'), nvme('disk', 'rp2')],
    policy={'50-all.conf': '[8086:10d3]\ndomain = identity\n\n'
            '[1b36:0010]\ndomain = DMA\n'})


def resumed(vm, mark):
    """What the daemon said of resumes since."""
    vm.run('journalctl --sync')
    return [entry['MESSAGE'] for entry in
            vm.journal(f'_SYSTEMD_UNIT={policyd.UNIT}')
            if policyd.number(entry) > mark
            and entry['MESSAGE'].startswith('Resumed')]


AWAKE = 'guest-awake'
SLEEPS = '/sys/power/suspend_stats/success'


def sleep(vm, command='echo mem >/sys/power/state'):
    """Sends the guest to sleep, and wakes it some seconds later.

    Seconds, since the clock that goes on meanwhile has whole ones. What goes
    over the serial line on the way in or out is lost: the answer to this very
    request is away before it begins, and nothing is sent before the guest has
    said that it is awake.
    """
    before = vm.machine.console_text().count(AWAKE)
    vm.start('sleep 1; ! grep -q deep /sys/power/mem_sleep || '
             f'echo deep >/sys/power/mem_sleep; n=$(cat {SLEEPS}); {command}; '
             f'until test $(cat {SLEEPS}) -gt $n; do sleep 0.1; done; '
             f'echo {AWAKE} >/dev/console')

    def until(condition, what):
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < 180 * vm.slowness, what
            time.sleep(0.2)
    until(lambda: vm.qmp('query-status')['status'] == 'suspended',
          'the guest does not go to sleep')
    time.sleep(3)
    vm.qmp('system_wakeup')
    until(lambda: vm.machine.console_text().count(AWAKE) > before,
          'the guest does not wake up')


def preparing(vm):
    """Whether logind has yet to say that the sleep is over."""
    return vm.out('busctl get-property org.freedesktop.login1 '
                  '/org/freedesktop/login1 org.freedesktop.login1.Manager '
                  'PreparingForSleep') != 'b false'


def intact(vm):
    """Both devices work as they did."""
    policyd.wait_state(vm, 'disk', 'compliant', 'DMA')
    for name, driver in (('nic', 'e1000e'), ('disk', 'nvme')):
        vm.wait(lambda: vm.driver_of(name) == driver, what=driver)
    vm.run('dd if=/dev/nvme0n1 of=/dev/null bs=64k count=16 iflag=direct '
           '2>/dev/null')


def by_hand(vm, device, type, driver):
    """As somebody at a shell does it who knows how."""
    address = vm.address(device)
    vm.run(f'cd /sys/bus/pci/drivers/{driver} && echo {address} >unbind && '
           f'echo {type} >/sys/bus/pci/devices/{address}/iommu_group/type && '
           f'echo {address} >bind')


def unheard(vm, device, type, driver):
    """The same of an unbound group that is as the policy wants it."""
    vm.run(f'echo {vm.address(device)} >/sys/bus/pci/drivers/{driver}/unbind')
    vm.wait(lambda: vm.driver_of(device) is None, what='no driver')
    policyd.call(vm, 'Reload')
    policyd.wait_state(vm, device, 'compliant', 'identity')
    vm.run(f'echo {type} >/sys/kernel/iommu_groups/'
           f'{vm.group_of(device)}/type')


def test_nothing_to_do(vm):
    """Without logind; nothing is written, and one line is said."""
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    mark = policyd.mark(vm)
    sleep(vm)
    line, = vm.wait(lambda: resumed(vm, mark), what='the resume')
    groups = len(vm.groups())
    assert line == (f'Resumed (as the clock tells): {groups} groups verified, '
                    '0 with another type than before')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    intact(vm)
    assert policyd.entries(vm, 'decided', mark) == []


@pytest.mark.fresh_vm
def test_what_differs_is_told_and_applied_when_asked_for(vm):
    """The daemon is stopped meanwhile, so it cannot see it happen."""
    intact(vm)
    number = vm.group_of('nic')
    vm.run(f'systemctl kill -s STOP {policyd.UNIT}')
    by_hand(vm, 'nic', 'DMA', 'e1000e')
    # It reads the type when it hears of the driver, before any sleep.
    vm.run(f'systemctl kill -s CONT {policyd.UNIT}')
    vm.wait(lambda: policyd.group(vm, 'nic')['Type'] == 'DMA', what='DMA')
    assert policyd.group(vm, 'nic')['Reason'].startswith('drifted')

    unheard(vm, 'nic', 'DMA', 'e1000e')
    mark = policyd.mark(vm)
    sleep(vm)
    found = policyd.wait_state(vm, 'nic', 'pending', 'DMA')
    assert found['Reason'].startswith('drifted')
    policyd.entry(vm, 'drifted', mark, IOMMU_GROUP=number)
    vm.busctl('call', policyd.SERVICE, policyd.ROOT,
              f'{policyd.SERVICE}.Manager', 'Reload')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    vm.run(f'echo {vm.address("nic")} >/sys/bus/pci/drivers_probe')
    vm.wait(lambda: vm.driver_of('nic') == 'e1000e', what='the driver')
    intact(vm)


def test_somebody_else_is_not_logind(vm):
    """Neither who tells everybody nor who tells the daemon alone."""
    mark = policyd.mark(vm)
    for where in ('', f'--destination={policyd.SERVICE} '):
        vm.run(f'busctl emit {where}/org/freedesktop/login1 '
               'org.freedesktop.login1.Manager PrepareForSleep b false')
    # After them on the same bus.
    policyd.policies(vm)
    assert resumed(vm, mark) == []


def test_a_clock_that_is_set_is_no_sleep(vm):
    mark = policyd.mark(vm)
    vm.run('date -s "+1 hour" && date -s "-1 hour"')
    # After it in the event loop.
    policyd.policies(vm)
    assert resumed(vm, mark) == []


@pytest.mark.fresh_vm
def test_logind(vm):
    """Its word is enough, and is not taken for a second sleep."""
    # The guest has it masked.
    vm.run('rm /etc/systemd/system/systemd-logind.service && '
           'systemctl daemon-reload && systemctl start systemd-logind')
    unheard(vm, 'nic', 'DMA', 'e1000e')
    assert policyd.group(vm, 'nic')['Type'] == 'identity'
    mark = policyd.mark(vm)
    # As far as the kernel goes without its clocks noticing.
    vm.run('echo 1 >/sys/module/suspend/parameters/pm_test_delay; '
           'echo freezer >/sys/power/pm_test')
    vm.run('systemctl suspend')
    line, = vm.wait(lambda: resumed(vm, mark), what='the resume')
    assert line.startswith('Resumed (as logind tells): ')
    assert line.endswith(' 1 with another type than before')
    policyd.wait_state(vm, 'nic', 'pending', 'DMA')
    policyd.call(vm, 'Reload')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    vm.run(f'echo {vm.address("nic")} >/sys/bus/pci/drivers_probe')
    vm.wait(lambda: not preparing(vm), what='the end of it')
    vm.run('echo none >/sys/power/pm_test')

    mark = policyd.mark(vm)
    # logind answers before the machine sleeps.
    sleep(vm, 'systemctl suspend')
    vm.wait(lambda: resumed(vm, mark), what='the resume')
    vm.wait(lambda: not preparing(vm), what='its last word')
    policyd.call(vm, 'Reload')
    assert len(resumed(vm, mark)) == 1
    intact(vm)
