# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel that does not come back: a driver that stays in its remove or probe
function, a program that has the device. The group says so, everything else
goes on, and what comes of it in the end is picked up, by whichever daemon."""

import contextlib
import statistics
from pathlib import Path

import pytest

from vmtest import Device, Topology, e1000e, kernel, module, policyd
from vmtest.client import traces, wait_driver
from vmtest.vfio import User
from vmtest.writes import Writes

CONFIG = '/etc/iommu-policyd/iommu-policyd.conf'
SETTINGS = '[Daemon]\nTransactionTimeoutSec={}\n'
TIMEOUT = 4     # seconds, as the daemon has them

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], module=True,
    cold=[Device('edu', 'edu', 'pcie.0', 3), e1000e('nic', 'rp1'),
          e1000e('guest', 'rp2')],
    files={CONFIG: SETTINGS.format(TIMEOUT)},
    load=['e1000e', 'vfio-pci', 'vfio_iommu_type1'])

SOURCE = Path(__file__).with_name('slow')
NAME = 'iommu_policy_slow'
PIN = 'iommu-policyd-hold'
ERROR = f'{policyd.SERVICE}.Error.'
IDENTITY = 'rebind = always\ndomain = identity\n'

pytestmark = pytest.mark.usefixtures('backend')


def stay(vm, where, how):
    vm.run(f'echo {"Y" if how else "N"} > '
           f'/sys/module/{NAME}/parameters/in_{where}')


@pytest.fixture
def slow(vm, backend):
    """The edu device with the slow driver, that lets go at the end."""
    if not vm.exists(f'/sys/module/{NAME}'):
        vm.write(f'/run/{NAME}.ko',
                 module.other(kernel.get(vm.release), SOURCE))
        vm.run(f'insmod /run/{NAME}.ko')
    wait_driver(vm, vm.address('edu'), driver='slow')
    yield
    for where in ('remove', 'probe'):
        stay(vm, where, False)
    vm.run(f'systemctl start {policyd.UNIT}')
    put_back(vm, 'edu', 'slow')


def rule(vm, device, text=IDENTITY):
    policyd.policies(vm, **{device: f'[{device}]\n'
                            f'match-address = {vm.address(device)}\n{text}'})


def put_back(vm, device, driver):
    on_the_bus(vm)
    policyd.policies(vm, **{device: None})

    def restored():
        error = policyd.call(vm, 'Restore', 'u', vm.group_of(device))
        assert error == ('', ''), error
        return True
    vm.wait(restored, what='the change to have ended')
    wait_driver(vm, vm.address(device), driver=driver)
    assert vm.type_of(device) == 'DMA'
    nothing_left(vm)


def nothing_left(vm):
    assert vm.out('ls /run/iommu-policyd/transaction') == ''
    assert PIN not in vm.out('cat /sys/bus/pci/devices/*/driver_override')
    if policyd.manager(vm, 'Backend') == 'module':
        assert [item for item in traces(vm) if 'gate' not in item] == []


def on_the_bus(vm):
    vm.wait('busctl status org.iommupolicy1 >/dev/null')


def daemon(vm):
    return int(vm.out(['systemctl', 'show', '-P', 'MainPID', policyd.UNIT]))


def stuck(vm):
    """Our processes that wait in the kernel where no signal reaches them.

    The driver looks at its parameter now and then: for that it is awake.
    """
    found = vm.out('for i in 1 2 3 4 5; do ps -C iommu-policyd -o pid=,stat=;'
                   ' sleep 0.02; done').splitlines()
    return sorted({int(line.split()[0]) for line in found
                   if line.split()[1].startswith('D')})


def hang(vm, where='remove', text=IDENTITY):
    """Begins a change that does not come back; its worker."""
    stay(vm, where, True)
    rule(vm, 'edu', text)
    vm.wait(lambda: stuck(vm), what='the worker to hang')
    worker, = stuck(vm)
    return worker


def timed_out(vm, device='edu', **options):
    group = policyd.wait_state(vm, device, 'failed', **options)
    assert group['LastError'] == [ERROR + 'Timeout', group['Reason']]
    return group['Reason']


def median_of_calls(vm):
    """Seconds that a call takes that asks for all there is."""
    text = vm.run(['python3', '-'], timeout=300, input=f'''
import subprocess, time
for _ in range(15):
    began = time.monotonic()
    subprocess.run(['busctl', 'call', '{policyd.SERVICE}', '{policyd.ROOT}',
                    'org.freedesktop.DBus.ObjectManager',
                    'GetManagedObjects'], check=True,
                   stdout=subprocess.DEVNULL, timeout=20)
    print(time.monotonic() - began)
''').stdout
    return statistics.median(map(float, text.split()))


def test_everything_else_goes_on(vm, slow):
    idle = median_of_calls(vm)
    mark = policyd.mark(vm)
    worker = hang(vm)
    busy = median_of_calls(vm)
    print(f'idle {idle:.3f} s, busy {busy:.3f} s')
    # Neither by a whole deadline, nor by much, whatever this machine is at.
    assert busy < 5 * idle + 0.1
    rule(vm, 'nic')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert vm.driver_of('nic') == 'e1000e'

    reason = timed_out(vm)
    assert f'step unbind, driver slow of {vm.address("edu")}' in reason
    policyd.entry(vm, 'failed', mark, IOMMU_GROUP=vm.group_of('edu'))
    # Now too; and nobody who asks is made to wait for it.
    number = vm.group_of('edu')
    for member, signature, arguments in (
            ('ApplyGroup', 'ua{sv}', (number, {})),
            ('SetGroupType', 'usa{sv}', (number, 'DMA', {})),
            ('Restore', 'u', (number,))):
        assert policyd.call(vm, member, signature, *arguments) == (
            ERROR + 'Timeout', reason)
    assert policyd.call(vm, 'Apply', 'a{sv}', {}) == ('', '')
    assert median_of_calls(vm) < 5 * idle + 0.1
    # One, all the while.
    assert stuck(vm) == [worker]

    stay(vm, 'remove', False)
    policyd.wait_state(vm, 'edu', 'compliant', 'identity')
    assert vm.driver_of('edu') == 'slow'
    nothing_left(vm)
    put_back(vm, 'nic', 'e1000e')


@pytest.mark.brief('6.12')
def test_in_probe(vm, slow):
    """It has been unbound and changed, and does not come back."""
    hang(vm, 'probe')
    assert 'step probe' in timed_out(vm)
    assert vm.type_of('edu') == 'identity'
    stay(vm, 'probe', False)
    policyd.wait_state(vm, 'edu', 'compliant', 'identity')
    assert vm.driver_of('edu') == 'slow'


@pytest.mark.brief('6.12')
def test_the_policy_changes_meanwhile(vm, slow):
    """What is decided in the end is done, after what was begun."""
    hang(vm)
    timed_out(vm)
    rule(vm, 'edu', 'rebind = always\ndomain = DMA-FQ\n')
    stay(vm, 'remove', False)
    policyd.wait_state(vm, 'edu', 'compliant', 'DMA-FQ')
    assert vm.driver_of('edu') == 'slow'


@pytest.mark.parametrize('late', [
    False, pytest.param(True, marks=pytest.mark.brief('6.12'))])
def test_stop(vm, slow, late):
    """It ends, and is no failure; the device is not forgotten."""
    worker = hang(vm)
    if late:
        timed_out(vm)
    vm.run(f'systemctl stop {policyd.UNIT}', timeout=60)
    for name, value in (('ActiveState', 'inactive'), ('Result', 'success')):
        assert vm.out(['systemctl', 'show', '-P', name, policyd.UNIT]) == value
    assert stuck(vm) == [worker]
    # There is no daemon now.
    stay(vm, 'remove', False)
    wait_driver(vm, vm.address('edu'), driver='slow')
    vm.wait(f'! test -e /proc/{worker}')
    assert vm.type_of('edu') == 'identity'
    vm.run(f'systemctl start {policyd.UNIT}')
    on_the_bus(vm)
    policyd.wait_state(vm, 'edu', 'compliant', 'identity')
    nothing_left(vm)


@pytest.mark.parametrize('how', [
    'restart', pytest.param('kill -s KILL',
                            marks=pytest.mark.brief('6.12'))])
def test_another_daemon(vm, slow, how):
    """It waits for the process that hangs, and takes up what comes of it."""
    worker, before = hang(vm), daemon(vm)
    vm.run(f'systemctl {how} --kill-whom=main {policyd.UNIT}'
           if 'kill' in how else f'systemctl {how} {policyd.UNIT}')
    vm.wait(lambda: daemon(vm) not in (0, before), what='another daemon')
    on_the_bus(vm)
    with Writes(vm) as writes:
        assert 'step unbind, driver slow' in timed_out(vm)
        rule(vm, 'edu', IDENTITY + 'description = again\n')
        assert policyd.call(vm, 'Apply', 'a{sv}', {}) == ('', '')
        rule(vm, 'nic')
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        edu = f'/{vm.address("edu")}/', f'/{vm.group_of("edu")}/type', \
            '/slow/'
        assert [path for path in writes.all()
                if any(part in path for part in edu)] == []
    assert stuck(vm) == [worker]
    stay(vm, 'remove', False)
    policyd.wait_state(vm, 'edu', 'compliant', 'identity')
    assert vm.driver_of('edu') == 'slow'
    nothing_left(vm)
    put_back(vm, 'nic', 'e1000e')


@pytest.mark.brief('6.12')
def test_into_quarantine(vm, slow):
    """Nobody undoes what has come about in the end."""
    hang(vm, text='rebind = always\ndomain = blocked\n')
    before = daemon(vm)
    vm.run(f'kill -9 {before}')
    vm.wait(lambda: daemon(vm) not in (0, before), what='another daemon')
    on_the_bus(vm)
    timed_out(vm)
    stay(vm, 'remove', False)
    policyd.wait_state(vm, 'edu', 'compliant', 'blocked')
    assert vm.driver_of('edu') is None


@pytest.mark.brief('6.12')
def test_the_process_is_killed_as_well(vm, slow):
    """It ends when the kernel lets it, and leaves all of it undone."""
    worker, before = hang(vm), daemon(vm)
    vm.run(f'kill -9 {before} {worker}')
    vm.wait(lambda: daemon(vm) not in (0, before), what='another daemon')
    on_the_bus(vm)
    timed_out(vm)
    assert stuck(vm) == [worker]
    stay(vm, 'remove', False)
    policyd.wait_state(vm, 'edu', 'compliant', 'identity')
    assert vm.driver_of('edu') == 'slow'
    nothing_left(vm)


# -- a program that has the device ----------------------------------------------

@contextlib.contextmanager
def timeout(vm, seconds):
    vm.write(CONFIG, SETTINGS.format(seconds))
    vm.run(f'systemctl reload {policyd.UNIT}')
    yield
    vm.write(CONFIG, SETTINGS.format(TIMEOUT))
    vm.run(f'systemctl reload {policyd.UNIT}')


DELAY = ('exec strace -f -p {pid} -P /sys/bus/pci/drivers/vfio-pci/unbind '
         '-e trace=write -e inject=write:delay_enter=600s -o /dev/null')


@pytest.mark.parametrize('again', [False, True])
def test_a_program_has_it(vm, again):
    """It came in the moment between the last look and the unbinding, which
    the kernel then does not come back from before the program lets go.
    """
    rule(vm, 'guest', 'rebind = always\ndomain = DMA\ndriver = vfio-pci\n')
    policyd.wait_state(vm, 'guest', 'compliant', 'DMA')
    with timeout(vm, 20):
        tracer = vm.start(DELAY.format(pid=daemon(vm)))
        vm.wait(f'grep -q "TracerPid:.[1-9]" /proc/{daemon(vm)}/status')
        rule(vm, 'guest', IDENTITY + 'driver = vfio-pci\n')
        vm.wait(f'cat /proc/{daemon(vm)}/task/*/children | grep -q .')
        vm.wait('grep -q unbound=yes /run/iommu-policyd/transaction/'
                f'{vm.group_of("guest")}')
        with User(vm, 'guest') as user:
            tracer.stop(9)
            vm.wait('dmesg | grep "blocked until released by user"')
            group = policyd.wait_state(vm, 'guest', 'user-owned')
            assert group['Reason'].startswith(user.reason)
            assert group['Owner'] == 'user'
            assert policyd.call(vm, 'ApplyGroup', 'ua{sv}',
                                vm.group_of('guest'), {})[0] \
                == ERROR + 'UserOwned'
            if again:
                vm.run(f'systemctl restart {policyd.UNIT}')
                on_the_bus(vm)
                policyd.wait_state(vm, 'guest', 'user-owned')
            assert user.job.poll() is None
        policyd.wait_state(vm, 'guest', 'compliant', 'identity')
        assert vm.driver_of('guest') == 'vfio-pci'
    put_back(vm, 'guest', 'e1000e')
