# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings: audit mode, the off switch, the files and their drop-ins.

Each setting takes effect at a reload. What Gate=, GateTimeoutSec= and
GateOnTimeout= do is in test_module_daemon_plug.py, TransactionTimeoutSec= in
test_hung.py.
"""

import pytest

from vmtest import Topology, e1000e, policyd
from vmtest.writes import Writes

pytestmark = pytest.mark.brief('6.12')

NAME = 'iommu-policyd.conf'
AUDIT = f'/run/iommu-policyd/{NAME}.d/90-test.conf'
RULE = '[8086:10d3]\ndomain = identity\nrebind = always\n'
PORTS = ['rp1', 'rp2', 'rp3']

TOPOLOGY = Topology(
    ports=PORTS, cold=[e1000e(f'nic{port[2]}', port) for port in PORTS],
    policy={'50-nic.conf': RULE},
    files={f'/etc/iommu-policyd/{NAME}.d/10-audit.conf':
           '[Daemon]\nMode=audit\n'})
NICS = ['nic1', 'nic2', 'nic3']


def reload(vm):
    """Over the bus, which answers when it is done."""
    vm.busctl('call', policyd.SERVICE, policyd.ROOT,
              f'{policyd.SERVICE}.Manager', 'Reload')


def settings(vm, text, path=AUDIT):
    """Puts a file there, or takes it away, and has the daemon read it."""
    if text is None:
        vm.run(['rm', '-f', path])
    else:
        vm.write(path, f'[Daemon]\n{text}\n')
    reload(vm)


def log_level(vm):
    return vm.busctl('get-property', policyd.SERVICE,
                     '/org/freedesktop/LogControl1',
                     'org.freedesktop.LogControl1', 'LogLevel')


def test_audit_mode_from_the_boot_on(vm):
    """Everything is decided and told, and nothing is touched."""
    for name in NICS:
        found = policyd.wait_state(vm, name, 'pending', 'DMA')
        assert found['Target'] == 'identity'
        assert found['Reason'].startswith(
            'audit mode: would change DMA to identity, way: ')
        vm.wait(lambda: vm.driver_of(name) == 'e1000e', what='the driver')
        assert policyd.entries(vm, 'pending',
                               IOMMU_GROUP=vm.group_of(name))
    assert policyd.entries(vm, 'applied') == []
    assert policyd.manager(vm, 'Mode') == 'audit'
    assert '3 managed (audit: nothing is changed), 3 pending' \
        in policyd.status(vm)
    with Writes(vm) as writes:
        # Not for a request either.
        policyd.call(vm, 'Apply', 'a{sv}', {'rebind': ['b', True]})
        reload(vm)
        assert writes.all() == []


def test_workers(vm):
    """One at a time where that is said, and side by side where it is not."""
    def overlap():
        """The most changes that were under way at once, by the journal."""
        policyd.policies(vm, nic=RULE)
        for name in NICS:
            policyd.wait_state(vm, name, 'compliant', 'identity')
        order = sorted(
            [(policyd.number(row), 1) for row in
             policyd.entries(vm, 'decided', mark, TYPE_TO='identity')] +
            [(policyd.number(row), -1) for row in
             policyd.entries(vm, 'applied', mark, TYPE_TO='identity')])
        assert len(order) == 2 * len(NICS)
        level = most = 0
        for _, step in order:
            level += step
            most = max(most, level)
        return most

    settings(vm, None, f'/etc/iommu-policyd/{NAME}.d/10-audit.conf')
    for name in NICS:
        policyd.wait_state(vm, name, 'compliant', 'identity')
    for text, wanted in (('MaxWorkers=1', 1), ('MaxWorkers=8', 3)):
        policyd.policies(vm, nic=RULE.replace('identity', 'DMA'))
        for name in NICS:
            policyd.wait_state(vm, name, 'compliant', 'DMA')
        settings(vm, text)
        mark = policyd.mark(vm)
        assert overlap() == wanted
    settings(vm, None)


def test_enforce_to_audit_and_back(vm):
    """At the reload, and what was only told of is then done."""
    settings(vm, 'Mode=audit')
    policyd.policies(vm, nic=RULE.replace('identity', 'DMA'))
    for name in NICS:
        found = policyd.wait_state(vm, name, 'pending', 'identity')
        assert found['Reason'].startswith('audit mode: would change identity')
    settings(vm, None)
    for name in NICS:
        policyd.wait_state(vm, name, 'compliant', 'DMA')
    policyd.policies(vm, nic=RULE)
    for name in NICS:
        policyd.wait_state(vm, name, 'compliant', 'identity')


def test_folders_and_their_order(vm):
    """As systemd has it: by name, and an earlier folder hides later ones."""
    folders = [f'{folder}/iommu-policyd/{NAME}.d' for folder in
               ('/etc', '/run', '/usr/local/lib', '/usr/lib')]
    main = vm.read(f'/etc/iommu-policyd/{NAME}')
    steps = [
        # What is written where, and the level that comes of it.
        (f'/etc/iommu-policyd/{NAME}', 'LogLevel=notice', 'notice'),
        (f'{folders[3]}/50-a.conf', 'LogLevel=warning', 'warning'),
        (f'{folders[2]}/50-a.conf', 'LogLevel=err', 'err'),
        (f'{folders[1]}/50-a.conf', 'LogLevel=crit', 'crit'),
        (f'{folders[0]}/50-a.conf', 'LogLevel=debug', 'debug'),
        (f'{folders[3]}/60-b.conf', 'LogLevel=info', 'info'),
        (f'{folders[0]}/40-c.conf', 'LogLevel=alert', 'info'),
        (f'{folders[0]}/70-d.txt', 'LogLevel=alert', 'info')]
    try:
        for path, text, level in steps:
            settings(vm, text, path)
            assert log_level(vm) == level, path
        # Masked, the one before it counts.
        vm.run(f'ln -s /dev/null {folders[1]}/60-b.conf')
        reload(vm)
        assert log_level(vm) == 'debug'
    finally:
        vm.run(f'rm -rf {" ".join(folders)}')
        vm.write(f'/etc/iommu-policyd/{NAME}', main + '\n')
        reload(vm)
    assert log_level(vm) == 'info'


def test_what_is_wrong_is_told_with_its_place(vm):
    mark = policyd.mark(vm)
    settings(vm, 'MaxWorkers=none\nColour=red\nLogLevel=notice')
    said = [row['MESSAGE'] for row in
            vm.journal(f'_SYSTEMD_UNIT={policyd.UNIT}')
            if policyd.number(row) > mark and int(row['PRIORITY']) <= 4]
    assert said == [
        f'{AUDIT}:2: [Daemon] MaxWorkers: none is not understood (expected a '
        'number from 1 to 256)',
        f'{AUDIT}:3: [Daemon] Colour: red is not understood (expected Mode, '
        'MaxWorkers, TransactionTimeoutSec, Gate, GateTimeoutSec, '
        'GateOnTimeout or LogLevel)']
    # What is right beside it holds.
    assert log_level(vm) == 'notice'
    settings(vm, None)


def test_off(boot):
    """iommu_policyd=off: the service does not start, by whomever."""
    vm = boot(Topology(ports=['rp1'], cold=[e1000e('nic', 'rp1')],
                       policy={'50-nic.conf': RULE},
                       kernel_args='iommu_policyd=off'))
    vm.wait(lambda: vm.driver_of('nic') == 'e1000e', what='the driver')
    vm.run(f'systemctl start {policyd.UNIT}')
    assert vm.out('systemctl show -p ActiveState -p ConditionResult '
                  f'{policyd.UNIT}').split() \
        == ['ActiveState=inactive', 'ConditionResult=no']
    done = vm.run('iommu-policyd --once 2>&1')
    assert 'iommu_policyd=off is on the kernel command line: nothing is ' \
        'done' in done.stdout + vm.out('journalctl -t iommu-policyd')
    assert vm.type_of('nic') == 'DMA'
    # Who asks is told so, and not kept waiting for an answer.
    assert vm.run('iommu-policyctl status', check=False).status == 1
