# SPDX-License-Identifier: GPL-2.0-or-later
"""iommu-policyctl as people and programs meet it, on a machine of a dozen
groups: each verb as text and as JSON, terminals of all widths and none, a
pager, another machine, and a daemon that is not there or too old."""

import json
import subprocess

import pytest

from vmtest import Topology, cache, e1000, e1000e, nvme, pci_bridge, policyd
from vmtest.ctl import (DEVICE, ERROR, EXPLANATION, FLAG, GROUP, MANAGER,
                        MAYBE_TEXT, NUMBER, POLICY, RESULTS, TEXT, check, ctl,
                        document, terminal)
from vmtest.topology import pair

TOPOLOGY = Topology(
    ports=['rp1', 'rp2', 'rp3', 'rp4', 'rp5', 'rp6'],
    cold=[nvme('disk', 'rp1'), e1000e('nic', 'rp2'),
          *pair('one', 'two', 'rp3'), pci_bridge('bridge', 'rp4'),
          e1000('old', 'bridge', slot=1)],
    load=['e1000e', 'e1000', 'nvme'])

UNIT = 'iommu-policyd'


def rules(vm, **texts):
    """One file a name: match by the device of that name, then the text."""
    policyd.policies(vm, **{
        name: text and f'[{name}]\nmatch-address = {vm.address(name)}\n'
                       f'{text}' for name, text in texts.items()})


@pytest.fixture(autouse=True)
def as_found(vm):
    """The disk waits for its driver; one of two functions is overruled."""
    if not vm.exists('/etc/iommu-policyd/policy.d/50-one.conf'):
        rules(vm, disk='domain = identity\nrebind = never\n',
              one='domain = identity\nrebind = always\n',
              nic='domain = DMA-FQ\ndescription = fast\n')
        policyd.wait_state(vm, 'disk', 'pending', 'DMA')
        policyd.wait_state(vm, 'nic', 'compliant', 'DMA-FQ')
    yield


def test_a_dozen_groups(vm):
    assert len(vm.groups()) >= 12


def test_status(vm):
    text = ctl(vm, 'status').stdout
    assert text == ctl(vm).stdout
    lines = text.splitlines()
    assert lines[0].startswith('Mode: enforce   Backend: ')
    assert lines[2].split() == ['GROUP', 'TYPE', 'TARGET', 'STATE', 'DEVICES']
    at = next(i for i, line in enumerate(lines)
              if vm.address('disk') in line)
    assert lines[at].split()[:4] == [str(vm.group_of('disk')), 'DMA',
                                     'identity', 'pending']
    assert ' nvme ' in lines[at] and 'NVM' in lines[at]
    assert 'rebind = never' in lines[at + 1]
    assert lines[-1].startswith(f'{len(vm.groups())} groups: 1 pending, ')
    bare = ctl(vm, '--no-legend').stdout.splitlines()
    assert len(bare) == len(vm.groups()) + 1 and 'GROUP' not in bare[0]

    found = document(vm, 'status', {'manager': MANAGER, 'groups': [GROUP]})
    assert [group['id'] for group in found['groups']] == sorted(vm.groups())
    assert found['manager']['interface_version'] >= 1
    disk = next(group for group in found['groups']
                if group['id'] == vm.group_of('disk'))
    assert disk['devices'][0]['wish'] == 'identity'
    assert disk['devices'][0]['rule'] == {
        'name': 'disk', 'line': 1,
        'file': '/etc/iommu-policyd/policy.d/50-disk.conf'}
    assert disk['devices'][0]['vendor_name'], 'no hardware database?'


@pytest.mark.parametrize('columns', [40, 80, 120, 200])
def test_widths(vm, columns):
    """No line is wider than the terminal, and each group has its line."""
    disk = vm.group_of('disk')
    for words in ['status', 'list', 'list --tree', 'list devices', 'plan',
                  f'show {disk}', f'show {vm.address("disk")}', 'apply',
                  f'explain {vm.address("disk")}']:
        text = terminal(vm, f'{words} --no-pager', columns,
                        'SYSTEMD_COLORS=0', 3 if words == 'apply' else 0)
        lines = text.splitlines()
        # Where a rule is, explain does not cut.
        whole = words.startswith('explain')
        assert all(len(line) <= columns or whole and '.conf:' in line
                   for line in lines), text
        if words in ('status', 'list', 'list --tree'):
            for group in vm.groups():
                assert any(line.split()[:1] == [str(group)]
                           or line.startswith(f'Group {group}:')
                           for line in lines), (group, text)
        if words == 'list devices':
            assert [line.split()[0] for line in lines].count(
                vm.address('disk')[5:] if columns == 40
                else vm.address('disk')) == 1, text
    wide = ctl(vm, 'status').stdout
    assert max(map(len, wide.splitlines())) > 80, 'a pipe gets all'


def test_list(vm):
    lines = ctl(vm, 'list').stdout.splitlines()
    assert lines[0].split() == ['GROUP', 'TYPE', 'BOOT', 'TARGET', 'STATE',
                                'OWNER', 'DEVICES']
    assert len(lines) == len(vm.groups()) + 1
    lines = ctl(vm, 'list devices').stdout.splitlines()
    assert lines[0].split() == ['ADDRESS', 'GROUP', 'ID', 'CLASS', 'DRIVER',
                                'FLAGS', 'RULE', 'NAME']
    groups = document(vm, 'list', [GROUP])
    devices = document(vm, 'list devices', [DEVICE])
    assert len(groups) == len(vm.groups())
    assert len(devices) == len(lines) - 1
    # A group has its devices there in any case, which the man page says.
    assert document(vm, 'list groups --tree', [GROUP]) == groups
    assert sum(len(group['devices']) for group in groups) == sum(
        device['group'] is not None for device in devices)


def test_tree(vm):
    """Each device is a leaf of its group, the last one closes it."""
    utf8 = ctl(vm, 'list --tree', env='LC_ALL=C.UTF-8').stdout
    ascii_only = ctl(vm, 'list --tree', env='LC_ALL=C').stdout
    assert ascii_only.isascii() and not utf8.isascii()
    group = None
    members = {}
    for line in ascii_only.splitlines():
        if line.startswith('Group '):
            group = int(line.split()[1].rstrip(':'))
            members[group] = []
        else:
            assert line[:2] in ('|-', '`-')
            members[group].append(line)
    assert set(members) == set(vm.groups())
    for lines in members.values():
        assert [line[:2] for line in lines] == \
            ['|-'] * (len(lines) - 1) + ['`-']
    both = members[vm.group_of('one')]
    assert {line.split()[0][2:] for line in both} == \
        {vm.address('one'), vm.address('two')}
    ctl(vm, 'list devices --tree', status=2)


def test_show(vm):
    number, address = vm.group_of('disk'), vm.address('disk')
    text = ctl(vm, f'show {number}').stdout
    assert 'State: pending since ' in text
    assert '[disk] /etc/iommu-policyd/policy.d/50-disk.conf:1' in text
    text = ctl(vm, f'show {address}').stdout
    assert f'Device: {address}' in text and 'Name: ' in text
    shape = {'device': (DEVICE, None), 'group': GROUP}
    found = document(vm, f'show {number}', shape)
    assert found['device'] is None and found['group']['id'] == number
    found = document(vm, f'show {address[5:]}', shape)
    assert found['device']['address'] == address


def test_explain(vm):
    """Of two functions one wishes, and the other one keeps the group."""
    one, two = vm.address('one'), vm.address('two')
    text = ctl(vm, f'explain {one}').stdout
    assert '[one]  yes   /etc/iommu-policyd/policy.d/50-one.conf:1' in text
    assert '[disk] no    /etc/iommu-policyd/policy.d/50-disk.conf:1' in text
    assert "Device's vote: identity by [one] " in text
    assert ', overruled' in text
    assert f"Others' votes: {two} keeps DMA: no rule matches, wins" in text
    assert f'To change that: {two} must be for identity, too' in text

    found = document(vm, f'explain {one}', EXPLANATION)
    assert [step['name'] for step in found['rules'] if step['matched']] \
        == ['one']
    votes = {vote['device']: vote for vote in found['votes']}
    assert (votes[one]['kind'], votes[one]['wins']) == ('wish', False)
    assert (votes[two]['kind'], votes[two]['wins']) == ('no-rule', True)
    found = document(vm, f'explain {vm.address("disk")}', EXPLANATION)
    assert any('apply --rebind' in line for line in found['advice'])
    ctl(vm, f'explain {vm.group_of("disk")}', status=2)


def test_exit_statuses(vm):
    """0 done, 1 failed, 2 usage, 3 pending, 4 refused; also as documents."""
    disk, nic = vm.group_of('disk'), vm.group_of('nic')
    assert 'compliant' in ctl(vm, f'apply {nic}').stdout
    document(vm, f'apply {nic}', RESULTS)
    assert '--rebind does not wait' in ctl(vm, f'apply {disk}', 3).stdout
    found = document(vm, f'apply {disk}', RESULTS, 3)
    assert found['results'][0]['state'] == 'pending'
    found = document(vm, 'apply', RESULTS, 3)
    assert {result['group'] for result in found['results']} >= {disk, nic}

    assert 'no group 4711' in ctl(vm, 'show 4711', 1).stderr
    found = document(vm, 'show 4711', ERROR, 1)
    assert found['error']['name'] == f'{policyd.SERVICE}.Error.NoSuchGroup'
    found = document(vm, 'apply ff:1f.7', ERROR, 1)
    assert found['error']['name'] == f'{policyd.SERVICE}.Error.NoSuchDevice'


def test_in_use_is_refused(vm):
    interface = vm.out(f'ls /sys/bus/pci/devices/{vm.address("nic")}/net')
    vm.run(f'ip address add 192.0.2.1/24 dev {interface} && '
           f'ip link set {interface} up')
    try:
        words = f'set {vm.address("nic")} identity --rebind'
        result = vm.run(f'iommu-policyctl {words}', check=False)
        assert result.status == 4, str(result)
        assert '--force' in result.stdout + result.stderr
        result = vm.run(f'iommu-policyctl {words} --json=short', check=False)
        assert result.status == 4, str(result)
        json.loads(result.stdout)
    finally:
        vm.run(f'ip link set {interface} down; '
               f'ip address flush dev {interface}')
        ctl(vm, f'restore {vm.group_of("nic")}')
        rules(vm, nic=None)
        rules(vm, nic='domain = DMA-FQ\n')
        policyd.wait_state(vm, 'nic', 'compliant', 'DMA-FQ')


def test_set_and_restore(vm):
    number = vm.group_of('old')
    found = document(vm, f'set {number} dma-fq --rebind', RESULTS)
    assert found['results'] == [{'group': number, 'state': 'compliant',
                                 'reason': found['results'][0]['reason']}]
    assert vm.type_of(number) == 'DMA-FQ'
    found = document(vm, f'explain {vm.address("old")}', EXPLANATION)
    assert found['set_by_hand']
    assert f"'iommu-policyctl restore {number}'" in found['advice'][0]
    assert policyd.group(vm, number)['SetAtRunTime']
    document(vm, f'restore {number}', RESULTS)
    assert vm.type_of(number) == 'DMA'
    assert not policyd.group(vm, number)['SetAtRunTime']


def test_restore_beside_a_rule(vm):
    """It stands until the rule changes, and says so."""
    document(vm, f'restore {vm.group_of("nic")}', RESULTS)
    assert vm.type_of('nic') == 'DMA'
    try:
        found = document(vm, f'explain {vm.address("nic")}', EXPLANATION)
        assert found['set_by_hand'] and found['target'] == 'DMA'
        assert 'its rules do not count' in found['advice'][0]
        assert 'iommu-policyctl restore' not in found['advice'][0]
        ctl(vm, 'reload')
        group = policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
        assert group['SetAtRunTime'] and group['Rules'] == []
    finally:
        rules(vm, nic=None)
        rules(vm, nic='domain = DMA-FQ\ndescription = fast\n')
    group = policyd.wait_state(vm, 'nic', 'compliant', 'DMA-FQ')
    assert not group['SetAtRunTime']


def test_reload(vm):
    assert ctl(vm, 'reload').stdout.startswith('Policy ')
    shape = {'ok': FLAG, **POLICY}
    assert document(vm, 'reload', shape)['ok']
    vm.policy('99-bad.conf', '[1234:5678]\ndomain = sideways\n')
    try:
        assert '99-bad.conf:2: ' in ctl(vm, 'reload', 1).stderr
        found = document(vm, 'reload', shape, 1)
        assert not found['ok'] and len(found['policy_errors']) == 1
        assert 'The policy files have 1 error' in ctl(vm, 'status').stdout
    finally:
        vm.policy('99-bad.conf', None)
        ctl(vm, 'reload')


def test_log_level(vm):
    before = ctl(vm, 'log-level').stdout.strip()
    try:
        assert ctl(vm, 'log-level debug').stdout == ''
        assert document(vm, 'log-level', {'log_level': TEXT}) == \
            {'log_level': 'debug'}
        assert vm.out(f'systemctl service-log-level {UNIT}') == 'debug'
        ctl(vm, 'log-level loud', 2)
    finally:
        ctl(vm, f'log-level {before}')


def test_monitor(vm):
    """Follows across a restart of the daemon, as text and as lines."""
    text = vm.start('iommu-policyctl monitor')
    lines = vm.start('iommu-policyctl monitor --json')
    for job in (text, lines):
        vm.wait(lambda job=job: 'running' in job.peek().stdout,
                what='a monitor')
    vm.run(f'systemctl restart {UNIT}')
    vm.wait(lambda: 'started, following it' in text.peek().stdout)
    vm.wait(lambda: '"started"' in lines.peek().stdout)
    ctl(vm, f'set {vm.group_of("old")} DMA-FQ --rebind')
    ctl(vm, f'restore {vm.group_of("old")}')
    vm.wait(lambda: f'group {vm.group_of("old")}: ' in text.peek().stdout)
    vm.wait(lambda: '"decided"' in lines.peek().stdout)
    text.stop()
    events = [json.loads(line)
              for line in lines.stop().stdout.splitlines()]
    kinds = [event['event'] for event in events]
    assert kinds[0] == 'daemon' and events[0]['state'] == 'running'
    assert {'daemon', 'decided', 'changed'} <= set(kinds)
    assert all(isinstance(event['usec'], int) for event in events)
    check(next(e for e in events if e['event'] == 'decided'),
          {'event': TEXT, 'usec': NUMBER, 'group': NUMBER,
           'from': MAYBE_TEXT, 'to': MAYBE_TEXT, 'state': TEXT,
           'reason': MAYBE_TEXT})


def test_nobody(vm):
    """Looks at everything and changes nothing; is told what would help."""
    user = 'setpriv --reuid=nobody --regid=nogroup --clear-groups'
    number = vm.group_of('old')
    before = ctl(vm, 'list').stdout
    assert ctl(vm, 'list', env=user).stdout == before
    ctl(vm, f'explain {vm.address("one")}', env=user)
    for words in ['apply', f'apply {number}', f'set {number} DMA-FQ',
                  f'restore {number}', 'reload', 'log-level debug']:
        result = ctl(vm, f'{words} --no-ask-password', 1, user)
        assert 'use sudo' in result.stderr, str(result)
    result = ctl(vm, f'set {number} DMA-FQ --json=short', 1, user)
    check(json.loads(result.stdout), ERROR)
    # At a terminal there is nobody to ask either, without polkit.
    assert 'use sudo' in terminal(vm, 'apply', status=1, env=user)
    assert ctl(vm, 'list').stdout == before


# What polkit's agent does as far as the command can see: it closes the
# descriptor when it has registered, and stays until it is told to go.
AGENT = '''#!/bin/sh
echo "started $1" >> /run/agent.log
eval "exec $2>&-"
trap 'echo ended >> /run/agent.log; kill $!; exit' TERM
sleep 600 &
wait
'''


def test_password_agent(vm):
    """Runs for a change by somebody at a terminal who is not root."""
    vm.write('/run/bin/pkttyagent', AGENT, 0o755)
    user = 'setpriv --reuid=nobody --regid=nogroup --clear-groups'

    def agent(words, env=user, status=1):
        vm.run('rm -f /run/agent.log; install -m 666 /dev/null '
               '/run/agent.log')
        terminal(vm, words, env=f'env PATH=/run/bin:$PATH {env}',
                 status=status)
        return vm.read('/run/agent.log').splitlines()

    for words in ['reload', 'log-level info', 'apply']:
        assert agent(words) == ['started --notify-fd', 'ended'], words
    assert agent('apply --no-ask-password') == []
    assert agent('list', status=0) == []
    assert agent('reload', env='', status=0) == []
    vm.run('rm -f /run/agent.log')
    result = ctl(vm, 'reload', 1, f'PATH=/run/bin:$PATH {user}')
    assert 'use sudo' in result.stderr and not vm.exists('/run/agent.log')


WRONG = ['frobnicate', 'staus', 'show', 'show 1 2', 'status --rebind',
         '--frob', 'show x', 'set 1 sideways', 'status --json=yaml',
         'check -H localhost', 'log-level a b', 'monitor --tree', '-H']


def test_bad_arguments(vm):
    """Each is told, in one line, and nothing is printed for programs."""
    for words in WRONG:
        result = ctl(vm, words, status=2)
        assert result.stdout == '' and result.stderr.count('\n') == 1, words
    assert "did you mean 'status'" in ctl(vm, 'staus', 2).stderr
    for words in ['--help', 'set --help', '--version']:
        assert ctl(vm, words).stdout


def test_colour(vm):
    """By the terminal, and whom NO_COLOR and SYSTEMD_COLORS overrule."""
    def coloured(env='', columns=80):
        return '\x1b[' in terminal(vm, '--no-pager', columns, env)
    assert coloured()
    assert not coloured('NO_COLOR=1')
    assert not coloured('SYSTEMD_COLORS=0')
    assert coloured('NO_COLOR=1 SYSTEMD_COLORS=1')
    assert not coloured('TERM=dumb')
    assert '\x1b[' not in ctl(vm).stdout
    assert '\x1b[' in ctl(vm, env='SYSTEMD_COLORS=1').stdout


def test_pager(vm):
    """A pager of somebody's choice runs where SYSTEMD_PAGERSECURE is set."""
    paged = "SYSTEMD_PAGER='sed s/^/paged:/'"
    text = terminal(vm, 'list', env=f'{paged} SYSTEMD_PAGERSECURE=0')
    assert all(line.startswith('paged:') for line in text.splitlines())
    assert 'paged:' not in terminal(vm, 'list --no-pager',
                                    env=f'{paged} SYSTEMD_PAGERSECURE=0')
    assert 'paged:' not in terminal(vm, 'list', env=paged)
    assert 'paged:' not in ctl(
        vm, 'list', env=f'{paged} SYSTEMD_PAGERSECURE=1').stdout
    # What the pager is told: less must not be a way to a shell.
    shows = 'SYSTEMD_PAGER=env SYSTEMD_PAGERSECURE='
    secure = terminal(vm, 'list', env=f'{shows}1').splitlines()
    assert 'LESSSECURE=1' in secure and 'LESS=FRSXMK' in secure
    insecure = terminal(vm, 'list', env=f'{shows}0 SYSTEMD_LESS=X')
    assert 'LESSSECURE=1' not in insecure.splitlines()
    assert 'LESS=X' in insecure.splitlines()
    # One that cannot be run, and less itself with what fits the screen.
    assert 'GROUP' in terminal(
        vm, 'list', env='SYSTEMD_PAGER=/nonexistent SYSTEMD_PAGERSECURE=0')
    assert terminal(vm, 'show 4711', status=1).count('no group 4711') == 1


def test_no_bus(vm):
    env = 'DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent'
    result = ctl(vm, 'status', 1, env)
    assert 'is dbus running?' in result.stderr
    assert json.loads(ctl(vm, 'status --json=short', 1, env).stdout)


def test_no_daemon(vm):
    """Not started by the bus either: it says what to do."""
    vm.run(f'systemctl mask --runtime --now {UNIT}')
    try:
        for words in ['status', 'list', 'show 1', 'explain 00:00.0',
                      'apply', 'reload', 'set 1 DMA', 'restore 1',
                      'log-level']:
            result = ctl(vm, words, 1)
            assert 'systemctl ' in result.stderr, str(result)
            document(vm, words, ERROR, 1)
        job = vm.start('iommu-policyctl monitor')
        vm.wait(lambda: 'not running, waiting' in job.peek().stdout)
        job.stop()
    finally:
        vm.run(f'systemctl unmask --runtime {UNIT} && '
               f'systemctl start {UNIT}')
    ctl(vm)


def test_old_daemon(vm, tmp_path):
    """One without InterfaceVersion: each verb says that it is too old."""
    program = tmp_path / 'old-daemon'
    source = cache.TOP / 'tests' / 'vm' / 'old-daemon.c'
    subprocess.run(['cc', '-o', program, source, '-lsystemd'], check=True)
    vm.write('/run/old-daemon', program.read_bytes(), 0o755)
    vm.run(f'systemctl mask --runtime --now {UNIT}')
    job = vm.start('/run/old-daemon')
    try:
        vm.wait(f'busctl status {policyd.SERVICE} >/dev/null')
        for words in ['status', 'list', 'show 1', 'explain 00:00.0',
                      'apply', 'reload', 'set 1 DMA', 'restore 1',
                      'set 1 DMA --permanent', 'generate', 'generate --all',
                      'plan', f'plan --policy-dir={policyd.FOLDER}',
                      'metrics']:
            result = ctl(vm, words, 1)
            assert 'the daemon is older than this command' in result.stderr
            assert 'systemctl restart iommu-policyd' in result.stderr
            # What a fleet sees is that there is no daemon of use.
            assert result.stdout.endswith('iommu_policy_up 0\n') \
                if words == 'metrics' else result.stdout == '', words
        # Of an interface that is not the daemon's own no version is asked.
        assert 'systemctl restart iommu-policyd' in ctl(
            vm, 'log-level', 1).stderr
        monitor = vm.start('iommu-policyctl monitor')
        vm.wait(lambda: 'following it' in monitor.peek().stdout,
                what='the monitor')
        monitor.stop()
    finally:
        job.stop()
        vm.run(f'systemctl unmask --runtime {UNIT} && '
               f'systemctl start {UNIT}')


def test_host(vm):
    """Through a real sshd: what is asked of localhost is what there is."""
    vm.run('mkdir -p -m 700 /root/.ssh /run/sshd && ssh-keygen -A && '
           'ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519 && '
           'cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys && '
           'echo StrictHostKeyChecking accept-new > /root/.ssh/config')
    daemon = vm.start('/usr/sbin/sshd -D -e')
    try:
        vm.wait('ssh localhost true', what='a login')
        ask = '-H root@localhost'
        assert ctl(vm, f'status {ask}').stdout == ctl(vm, 'status').stdout
        assert document(vm, f'list {ask}', [GROUP]) == \
            document(vm, 'list', [GROUP])
        document(vm, f'apply {vm.group_of("disk")} -H localhost', RESULTS, 3)
        assert 'GROUP' in terminal(vm, f'list {ask}')
        result = ctl(vm, 'check -H localhost', 2)
        assert 'does not take --host' in result.stderr
    finally:
        daemon.stop()
    # Nobody listens any more: what ssh says, and what it was needed for.
    for words in ['status', 'apply 1', 'log-level', 'monitor']:
        result = ctl(vm, f'{words} -H localhost', 1)
        assert 'systemd-stdio-bridge' in result.stderr, str(result)
