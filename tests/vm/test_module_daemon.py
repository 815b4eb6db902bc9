# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon with the kernel module: it comes and goes, holds and claims are
the daemon's or somebody else's, and a user's group is left alone."""

import contextlib

import pytest

from vmtest import Topology, bus, cache, e1000e, policyd
from vmtest.client import Client, bind, once, traces, wait_driver
from vmtest.uevents import Uevents

pytestmark = pytest.mark.brief('6.1')

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], module=True,
    cold=[e1000e('nic', 'rp1')],
    load=['e1000e', 'vfio-pci'])

NIC = '[8086:10d3]\nrebind = always\n'
PIN = 'iommu-policyd-hold'
BY_MODULE = 'by the kernel module (DMA blocked)'
BY_SUBSTITUTE = 'by substitute (strict translation, no driver)'


@pytest.fixture
def rule(vm):
    """rule(text) is the card's rule; afterwards it is as it was at boot."""
    yield lambda text: policyd.policies(vm, nic=NIC + text)
    policyd.policies(vm, nic=None)
    assert policyd.call(vm, 'Restore', 'u', vm.group_of('nic')) == ('', '')
    assert vm.type_of('nic') == 'DMA'
    wait_driver(vm, vm.address('nic'), driver='e1000e')
    nothing_left(vm)


def nothing_left(vm):
    def look():
        found = [item for item in traces(vm) if 'gate' not in item]
        assert not found, found
        return True
    vm.wait(look, what='no fence to be left')
    assert vm.out('ls /run/iommu-policyd/transaction') == ''


def override(vm, device='nic'):
    return vm.read(f'/sys/bus/pci/devices/{vm.address(device)}/driver_override')


def pid(vm):
    return int(vm.out(['systemctl', 'show', '-P', 'MainPID', policyd.UNIT]))


def module_group(vm, device='nic'):
    found, = [line for line in once(
        vm, f'group-get device={vm.address(device)}')
        if line['kind'] == 'reply']
    return found


def owner(vm, device='nic'):
    return policyd.group(vm, device)['Owner']


# -- the module comes and goes --------------------------------------------------

def test_the_module_comes_and_goes(vm, rule):
    rule('domain = identity\n')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    before = pid(vm)
    for _ in range(2):
        mark = policyd.mark(vm)
        with bus.Monitor(vm) as monitor:
            vm.run('modprobe -r iommu_policy')
            vm.wait(lambda: monitor.changes(bus.ROOT, 'Backend') == ['sysfs'],
                    what='Backend to be told')
            policyd.entry(vm, 'module-went', mark)
            assert owner(vm) == 'kernel'
            rule('domain = DMA-FQ\n')
            policyd.wait_state(vm, 'nic', 'compliant', 'DMA-FQ')
            assert vm.driver_of('nic') == 'e1000e'
            # Nothing of ours loads it again.
            assert not vm.exists('/sys/module/iommu_policy')

            vm.run('modprobe iommu_policy')
            vm.wait(lambda: monitor.changes(bus.ROOT, 'Backend')
                    == ['sysfs', 'module'], what='Backend to be told')
            policyd.entry(vm, 'module-came', mark)
            assert policyd.manager(vm, 'Backend') == 'module'
            rule('domain = identity\n')
            policyd.wait_state(vm, 'nic', 'compliant', 'identity')
            assert vm.driver_of('nic') == 'e1000e'
            assert monitor.changes(bus.ROOT, 'KernelFeatures') == []
    assert pid(vm) == before


def test_plugged_in_while_it_comes_and_goes(vm, rule):
    rule('domain = identity\n')
    job = vm.start('while :; do modprobe -r iommu_policy; modprobe '
                   'iommu_policy; done')
    try:
        for _ in range(8):
            vm.plug(e1000e('hot', 'rp2'))
            address = vm.address('hot')
            policyd.wait_state(vm, 'hot', 'compliant', 'identity')
            wait_driver(vm, address, driver='e1000e')
            vm.unplug('hot')
            vm.wait(lambda: not vm.present(address), what='the end of it')
    finally:
        job.stop()
        vm.run('modprobe iommu_policy')
    vm.wait(lambda: policyd.manager(vm, 'Backend') == 'module',
            what='the module')


# -- what holds a group while it changes ----------------------------------------

DELAY = ('exec strace -f -p {pid} -P {path} -e trace=write '
         '-e inject=write:delay_enter=120s -o /dev/null')


@contextlib.contextmanager
def stuck_worker(vm, path):
    """A worker that hangs when it is about to write to PATH.

    Its process and, since what is traced does not end before that has looked,
    the one that holds it up.
    """
    job = vm.start(DELAY.format(pid=pid(vm), path=path))
    vm.wait(f'grep -q "TracerPid:.[1-9]" /proc/{pid(vm)}/status')

    def worker():
        found = vm.out(f'cat /proc/{pid(vm)}/task/*/children').split()
        return (int(found[0]) if found else None), job.pid
    try:
        yield worker
    finally:
        job.stop(9)


def stuck_at_type(vm):
    return stuck_worker(
        vm, f'/sys/kernel/iommu_groups/{vm.group_of("nic")}/type')


def is_held(vm):
    return 'holder' in module_group(vm)


@pytest.mark.parametrize('whom', ['worker', 'daemon'])
def test_a_kill_in_the_middle_of_a_change(vm, rule, whom):
    """The fence ends with the process, and what was unbound is bound again."""
    address, before = vm.address('nic'), pid(vm)
    with stuck_at_type(vm) as worker:
        rule('domain = identity\n')
        vm.wait(lambda: is_held(vm), what='the hold')
        vm.wait(lambda: vm.driver_of('nic') is None, what='the unbinding')
        victim, tracer = worker()
        assert module_group(vm)['holder']['pid'] == victim
        assert bind(vm, 'e1000e', address) == 'EAGAIN'
        assert override(vm) == '(null)'
        record = vm.read('/run/iommu-policyd/transaction/'
                         f'{vm.group_of("nic")}')
        assert 'fence=module' in record
        # With the daemon, systemd ends its workers the same way.
        also = f'{before} ' if whom == 'daemon' else ''
        took = float(vm.out(
            'began=$(cut -d" " -f1 /proc/uptime); kill -9 '
            f'{also}{victim} {tracer}; until [ -e /sys/bus/pci/devices/{address}/driver ]; '
            'do sleep 0.02; done; awk "{ print \\$1 - $began }" /proc/uptime'))
        print(f'bound again after {took:.2f} s')
    if whom == 'worker':
        group = policyd.wait_state(vm, 'nic', 'failed')
        assert 'cut off and has been undone' in group['Reason']
        assert pid(vm) == before
    else:
        vm.wait(lambda: pid(vm) not in (0, before), what='another daemon')
        # It decides afresh, and nothing hinders it.
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert vm.driver_of('nic') == 'e1000e'
    assert override(vm) == '(null)'
    nothing_left(vm)


def test_the_module_goes_in_the_middle_of_a_change(vm, rule):
    """Begun again without it, and done."""
    with stuck_worker(vm, '/sys/bus/pci/drivers/e1000e/unbind') as worker:
        rule('domain = identity\n')
        vm.wait(lambda: is_held(vm), what='the hold')
        vm.run('modprobe -r iommu_policy')
        assert worker()[0]
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert vm.driver_of('nic') == 'e1000e'
    assert override(vm) == '(null)'
    vm.run('modprobe iommu_policy')
    vm.wait(lambda: policyd.manager(vm, 'Backend') == 'module',
            what='the module')


def test_somebody_else_holds_the_group(vm, rule):
    address = vm.address('nic')
    other = Client(vm)
    assert other.do('hold', device=address)['error'] is None
    rule('domain = identity\n')
    group = policyd.wait_state(vm, 'nic', 'pending')
    assert f'process {other.pid} (policy-client)' in group['Reason']
    assert vm.driver_of('nic') == 'e1000e'
    other.stop()
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')


def test_the_rules_driver_is_taken_and_given_back(vm, rule):
    """The override is written before the fence is opened."""
    address = vm.address('nic')
    rule('domain = identity\ndriver = vfio-pci\n')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert vm.driver_of('nic') == 'vfio-pci'
    assert override(vm) == 'vfio-pci'
    with Uevents(vm) as events:
        assert policyd.call(vm, 'Restore', 'u', vm.group_of('nic')) == ('', '')
        assert vm.driver_of('nic') == 'e1000e'
        assert vm.type_of('nic') == 'DMA'
        assert override(vm) == '(null)'
        events.expect(address, 'unbind', 'bind e1000e')


# -- quarantine -----------------------------------------------------------------

def test_quarantine_is_a_claim(vm, rule):
    address, number = vm.address('nic'), vm.group_of('nic')
    mark = policyd.mark(vm)
    rule('domain = blocked\n')
    group = policyd.wait_state(vm, 'nic', 'compliant', 'blocked')
    assert BY_MODULE in group['Reason']
    assert group['Owner'] == 'policy'
    entry = policyd.entry(vm, 'applied', mark, IOMMU_GROUP=number)
    assert entry['TYPE_TO'] == 'blocked'
    found = module_group(vm)
    assert found['owner'] == 'policy' and found['claim']['portid'] == 0
    assert found['domain'] == ('unmanaged' if vm.release == '6.1'
                               else 'blocked')
    # Its override keeps drivers away, and the claim without that too.
    assert override(vm) == PIN
    vm.run(f'echo > /sys/bus/pci/devices/{address}/driver_override')
    assert bind(vm, 'e1000e', address) == 'EBUSY'
    vm.run(f'echo {PIN} > /sys/bus/pci/devices/{address}/driver_override')

    # A restart, and a kill, change nothing.
    for how in ('restart', 'kill -s KILL'):
        before = pid(vm)
        vm.run(f'systemctl {how} {policyd.UNIT}')
        vm.wait(lambda: pid(vm) not in (0, before), what='another daemon')
        vm.wait('busctl status org.iommupolicy1 >/dev/null')
        group = policyd.wait_state(vm, 'nic', 'compliant', 'blocked')
        vm.wait(lambda: BY_MODULE in policyd.group(vm, 'nic')['Reason'],
                what='the claim to be known')
        assert owner(vm) == 'policy'
        assert 'claim' in module_group(vm)
        assert override(vm) == PIN and vm.driver_of('nic') is None

    rule('domain = identity\n')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert vm.driver_of('nic') == 'e1000e'
    vm.wait(lambda: owner(vm) == 'kernel', what='the owner')
    assert 'claim' not in module_group(vm)
    assert override(vm) == '(null)'


def test_quarantine_outlives_the_module(vm, rule):
    rule('domain = blocked\n')
    policyd.wait_state(vm, 'nic', 'compliant', 'blocked')
    for _ in range(2):
        with bus.Monitor(vm) as monitor:
            vm.run('modprobe -r iommu_policy')
            vm.wait(lambda: BY_SUBSTITUTE in policyd.group(vm, 'nic')['Reason'],
                    what='the substitute')
            group = policyd.group(vm, 'nic')
            assert (group['State'], group['Type'], group['Owner']) == (
                'compliant', 'blocked', 'policy')
            assert override(vm) == PIN and vm.driver_of('nic') is None
            assert bind(vm, 'e1000e', vm.address('nic')) == 'ENODEV'

            vm.run('modprobe iommu_policy')
            vm.wait(lambda: BY_MODULE in policyd.group(vm, 'nic')['Reason'],
                    what='the claim')
            assert policyd.group(vm, 'nic')['State'] == 'compliant'
            assert 'claim' in module_group(vm)
            states = monitor.changes(bus.group_path(vm.group_of('nic')),
                                     'State')
            assert set(states) <= {'compliant'}
    # The way out without the module, from a quarantine with it.
    vm.run('modprobe -r iommu_policy')
    rule('domain = identity\n')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    assert vm.driver_of('nic') == 'e1000e'
    vm.run('modprobe iommu_policy')
    vm.wait(lambda: policyd.manager(vm, 'Backend') == 'module',
            what='the module')


def test_somebody_ends_the_claim(vm, rule):
    """It is drift: told, not fought, and mended when it is asked for."""
    rule('domain = blocked\n')
    policyd.wait_state(vm, 'nic', 'compliant', 'blocked')
    mark = policyd.mark(vm)
    once(vm, f'unclaim group={vm.group_of("nic")}')
    group = policyd.wait_state(vm, 'nic', 'pending', 'blocked')
    assert 'drifted' in group['Reason'] and BY_SUBSTITUTE in group['Reason']
    assert group['Drifted']
    assert group['Owner'] == 'policy'
    policyd.entry(vm, 'drifted', mark, IOMMU_GROUP=vm.group_of('nic'))
    assert vm.driver_of('nic') is None
    vm.run('sleep 1')
    assert 'claim' not in module_group(vm)
    vm.run(f'systemctl reload {policyd.UNIT}')
    group = policyd.wait_state(vm, 'nic', 'compliant', 'blocked')
    assert BY_MODULE in group['Reason']
    assert 'claim' in module_group(vm)


def test_a_claim_of_somebody_else(vm, rule):
    """Shown, and waited for."""
    address = vm.address('nic')
    vm.run(f'echo {address} > /sys/bus/pci/drivers/e1000e/unbind')
    other = Client(vm)
    assert other.do('claim', device=address)['error'] is None
    vm.wait(lambda: owner(vm) == 'policy', what='the owner')
    assert policyd.group(vm, 'nic')['Type'] == 'DMA'
    for text in ('identity', 'blocked'):
        rule(f'domain = {text}\n')
        group = policyd.wait_state(vm, 'nic', 'pending')
        assert f'process {other.pid} (policy-client)' in group['Reason']
        assert override(vm) == '(null)'
    rule('domain = identity\n')
    policyd.wait_state(vm, 'nic', 'pending')
    other.stop()
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')


# -- a user ---------------------------------------------------------------------

@pytest.fixture
def user(vm):
    """user() owns the card's group by VFIO."""
    script = (cache.GUEST_FILES / 'vfio-owner.py').read_bytes()
    vm.write('/run/vfio-owner.py', script, 0o755)
    jobs = []

    def start():
        vm.run('rm -f /run/owner; mkfifo /run/owner')
        jobs.append(vm.start('exec /run/vfio-owner.py '
                             f'{vm.group_of("nic")} 0<>/run/owner'))
        vm.wait(lambda: jobs[-1].peek().stdout == 'owner\n', what='the user')
        return jobs[-1]
    yield start
    for job in jobs:
        if job.poll() is None:
            job.stop()


def test_a_users_group_is_left_alone(vm, rule, user):
    rule('domain = DMA\ndriver = vfio-pci\n')
    policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
    vm.wait(lambda: owner(vm) == 'none', what='no owner')
    path = bus.group_path(vm.group_of('nic'))
    with bus.Monitor(vm) as monitor:
        job = user()
        vm.wait(lambda: monitor.changes(path, 'Owner')[-1:] == ['user'],
                what='the owner to be told')
        mark = policyd.mark(vm)
        with Uevents(vm) as events:
            for text in ('domain = identity\ndriver = vfio-pci\n',
                         'domain = identity\n', 'domain = blocked\n',
                         'domain = identity\ndriver = vfio-pci\nforce = yes\n'):
                rule(text)
                group = policyd.wait_state(vm, 'nic', 'user-owned', 'DMA')
                assert group['Owner'] == 'user'
                assert group['LastError'][0] == \
                    'org.iommupolicy1.Error.UserOwned'
            entry = policyd.entries(vm, 'user-owned', mark,
                                    IOMMU_GROUP=vm.group_of('nic'))[0]
            assert entry['STATE'] == 'user-owned'
            name, _ = policyd.call(
                vm, 'ApplyGroup', 'ua{sv}', vm.group_of('nic'),
                {'rebind': ['b', True], 'force': ['b', True]})
            assert name == 'org.iommupolicy1.Error.UserOwned'
            assert job.poll() is None
            assert vm.driver_of('nic') == 'vfio-pci'
            assert override(vm) == 'vfio-pci'
            events.expect(vm.address('nic'))

        job.stop()
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        assert vm.driver_of('nic') == 'vfio-pci'
        vm.wait(lambda: monitor.changes(path, 'Owner')[-1:] == ['none'],
                what='the owner to be told')
    # And as soon as a user takes it, there is nothing to be done: no news.
    user()
    vm.wait(lambda: owner(vm) == 'user', what='the owner')
    assert policyd.group(vm, 'nic')['State'] == 'compliant'


def test_a_user_that_waits_for_a_driver(vm, rule, user):
    """Where the driver would be waited for, the user is what is told."""
    rule('domain = DMA\ndriver = vfio-pci\n')
    policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
    policyd.policies(vm, nic='[8086:10d3]\nrebind = never\n'
                     'domain = identity\n')
    policyd.wait_state(vm, 'nic', 'pending', 'DMA')
    job = user()
    policyd.wait_state(vm, 'nic', 'user-owned', 'DMA')
    job.stop()
    group = policyd.wait_state(vm, 'nic', 'pending', 'DMA')
    assert 'vfio-pci to let go' in group['Reason']


def test_it_has_no_complaint(vm):
    told = [entry['MESSAGE'] for entry in
            vm.journal(f'_SYSTEMD_UNIT={policyd.UNIT}')
            if int(entry['PRIORITY']) <= 4]
    expected = ('was cut off', 'ended early', 'wait for', 'is pending', 'BY FORCE')
    assert [line for line in told
            if not any(text in line for text in expected)] == []
