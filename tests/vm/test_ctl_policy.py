# SPDX-License-Identifier: GPL-2.0-or-later
"""What iommu-policyctl does with policy files: check, plan, set --permanent
and generate, with the daemon and without.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any, Iterator

import pytest

from vmtest import Topology, e1000e, nvme, pair, policyd
from vmtest.writes import Writes

TOPOLOGY = Topology(
    ports=['rp1', 'rp2', 'rp3', 'rp4'], load=['e1000e'],
    cold=[e1000e('one', 'rp1'), e1000e('two', 'rp2'), nvme('n0', 'rp3'),
          *pair('left', 'right', 'rp4')])

FOLDER = '/run/candidates'
NOBODY = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups',
          '--']
# A pending group, a compliant one (the live way), a refusal that needs no
# device to be removable, a vote that is overruled; the others are nobody's.
PRESENT = '''\
[cards]
match-address = {one} {left}
domain = identity
[disk]
match-class = 0108
domain = DMA-FQ
[right]
match-address = {right}
domain = keep
'''


def ctl(vm, *words: str, status: int = 0, prefix=()) -> str:
    """A command's output; it must end with `status`."""
    done = vm.run([*prefix, 'iommu-policyctl', *words], check=False)
    assert done.status == status, done
    return done.stdout


def document(vm, *words: str, **options: Any) -> dict[str, Any]:
    return json.loads(ctl(vm, *words, '--json=short', **options))


def groups(vm, *words: str, **options: Any) -> dict[int, dict[str, Any]]:
    """The groups of a plan by number."""
    found = document(vm, 'plan', *words, **options)
    return {group['id']: group for group in found['groups']}


def candidate(vm, text: str, name: str = '50-candidate.conf') -> str:
    vm.run(f'rm -rf {FOLDER} && mkdir -p {FOLDER}')
    vm.write(f'{FOLDER}/{name}', text)
    return f'--policy-dir={FOLDER}'


def addresses(vm) -> dict[str, str]:
    return {name: vm.address(name)
            for name in ('one', 'two', 'n0', 'left', 'right')}


@contextlib.contextmanager
def no_daemon(vm) -> Iterator[None]:
    vm.run(f'systemctl stop {policyd.UNIT}')
    try:
        yield
        assert vm.run(f'systemctl is-active {policyd.UNIT}',
                      check=False).stdout == 'inactive\n'
    finally:
        vm.run(f'systemctl start {policyd.UNIT}')


@pytest.fixture
def present(vm) -> Iterator[None]:
    policyd.policies(vm, present=PRESENT.format(**addresses(vm)))
    policyd.wait_state(vm, 'n0', 'compliant', 'DMA-FQ')
    yield
    policyd.policies(vm, present=None)
    ctl(vm, 'restore', vm.address('n0'))


def test_check(vm):
    where = candidate(vm, '[8086:10d3]\ndomain = identity\n').split('=')[1]
    assert ctl(vm, 'check', where) == '1 file, 1 rule: no errors.\n'
    assert ctl(vm, 'check', '--no-legend', where) == ''
    assert document(vm, 'check', where) == {
        'errors': [], 'errors_not_shown': 0, 'rules': 1,
        'files': [f'{where}/50-candidate.conf']}

    vm.write(f'{where}/60-bad.conf',
             '[8086:10d3]\ndomain = fast\nspeed = 3\n[empty]\n')
    lines = ctl(vm, 'check', where, status=1).splitlines()
    assert [line.split(': ')[0] for line in lines] == [
        f'{where}/60-bad.conf:{number}' for number in (2, 3, 4, 4)]
    assert lines[0].startswith(
        f'{where}/60-bad.conf:2: [8086:10d3] domain: ')
    found = document(vm, 'check', where, status=1)['errors']
    assert [error['line'] for error in found] == [2, 3, 4, 4]
    assert found[0]['key'] == 'domain' and found[1]['key'] == 'speed'
    assert found[2]['key'] is None and found[2]['section'] == 'empty'
    # A plan from such files says the same.
    assert ctl(vm, 'plan', f'--policy-dir={where}',
               status=1).splitlines() == lines
    assert 'No such file' in ctl(vm, 'check', '/nowhere', status=1)
    ctl(vm, 'plan', '--policy-dir=/nowhere', status=1)


def test_plan(vm, present):
    mine = {name: vm.group_of(name) for name in addresses(vm)}
    with Writes(vm) as writes:
        found = groups(vm)
        text = ctl(vm, 'plan', prefix=NOBODY)
    assert writes.all() == []
    assert found.keys() == set(vm.groups())
    one, disk, two = (found[mine[name]] for name in ('one', 'n0', 'two'))
    assert (one['type'], one['target'], one['state'], one['way']) == (
        'DMA', 'identity', 'pending', 'wait')
    assert 'waits for driver e1000e' in one['reason']
    assert one['devices'] == [vm.address('one')]
    assert [rule['name'] for rule in one['rules']] == ['cards']
    assert one['rules'][0]['file'] == policyd.path('present')
    assert one['rules'][0]['line'] == 1
    assert (disk['type'], disk['state'], disk['way']) == (
        'DMA-FQ', 'compliant', 'nothing')
    assert (two['target'], two['state']) == (None, 'unmanaged')
    # For people only what is not as it should be.
    table = [line.split() for line in text.splitlines()
             if line.split()[1:2] == ['DMA']]
    assert [(row[0], row[2], row[3]) for row in table] == [
        (str(mine['one']), 'identity', 'wait')]
    assert '1 would wait' in text and 'apply --rebind' in text


def test_plan_for_a_folder(vm, present):
    mine = {name: vm.group_of(name) for name in addresses(vm)}
    text = (f'[other]\nmatch-address = {vm.address("two")}\n'
            'domain = identity\nrebind = always\n'
            '[disk]\nmatch-class = 0108\ndomain = DMA-FQ\n')
    where = candidate(vm, text)
    with Writes(vm) as writes:
        found = groups(vm, where)
    assert writes.all() == []
    changed = {number for number, group in found.items() if group['differs']}
    # The pair's vote for keep made it managed, and nobody names it now.
    assert changed == {mine['one'], mine['two'], mine['left']}
    two = found[mine['two']]
    assert two['in_force']['target'] is None
    assert two['in_force']['rules'] == []
    new = two['candidate']
    assert (new['target'], new['state'], new['way']) == (
        'identity', 'compliant', 'transaction')
    assert new['rules'] == [{'name': 'other', 'line': 1,
                             'file': f'{FOLDER}/50-candidate.conf'}]
    one = found[mine['one']]
    assert one['in_force']['rules'][0]['file'] == policyd.path('present')
    assert one['candidate']['state'] == 'unmanaged'
    # The rule is in another file and comes to the same.
    assert not found[mine['n0']]['differs']

    shown = ctl(vm, 'plan', where)
    assert f'in force: [cards] {policyd.path("present")}:1' in shown
    assert f'instead: [other] {FOLDER}/50-candidate.conf:1' in shown
    assert '3 groups would get another target or state' in shown
    assert vm.type_of('two') == 'DMA'       # nothing was done


def test_plan_comes_to_what_the_daemon_does(vm, present):
    """With the files in force as the candidates, and without the daemon."""
    in_force = groups(vm)
    same = groups(vm, f'--policy-dir={policyd.FOLDER}')
    for number, group in same.items():
        assert not group['differs'], group
        assert group['candidate']['target'] == in_force[number]['target']
        assert group['candidate']['state'] == in_force[number]['state']
        assert group['candidate']['way'] == in_force[number]['way']
        assert group['candidate']['reason'] == in_force[number]['reason']
    with no_daemon(vm):
        alone = groups(vm)
        text = ctl(vm, 'plan', prefix=NOBODY)
        beside = document(vm, 'plan', f'--policy-dir={policyd.FOLDER}')
    assert not beside['daemon']
    assert not any(group['differs'] for group in beside['groups'])
    assert alone.keys() == in_force.keys()
    for number, group in alone.items():
        for key in ('type', 'target', 'state', 'way', 'reason', 'devices'):
            assert group[key] == in_force[number][key], (number, key)
    assert 'iommu-policyd is not running' in text


def test_plan_without_a_daemon_and_with_errors(vm):
    where = candidate(vm, f'[x]\nmatch-address = {vm.address("two")}\n'
                          'domain = DMA-FQ\n')
    with no_daemon(vm):
        vm.policy('50-broken.conf', '[x\n')
        try:
            assert '50-broken.conf:1: ' in ctl(vm, 'plan', status=1)
            text = ctl(vm, 'plan', where)
            assert 'compared with no policy' in text
            assert '1 group would get another' in text
        finally:
            vm.policy('50-broken.conf', None)


def test_plan_in_audit_mode(vm, present):
    """Nothing would be carried out, by these files or by others."""
    folder = '/run/iommu-policyd/iommu-policyd.conf.d'
    vm.run(['mkdir', '-p', folder])
    vm.write(f'{folder}/50-audit.conf', '[Daemon]\nMode=audit\n')
    vm.run(f'systemctl restart {policyd.UNIT}')
    try:
        where = candidate(vm, f'[x]\nmatch-address = {vm.address("two")}\n'
                              'domain = identity\nrebind = always\n')
        group = groups(vm, where)[vm.group_of('two')]
        assert group['candidate']['state'] == 'pending'
        assert group['candidate']['way'] == 'transaction'
        same = groups(vm, f'--policy-dir={policyd.FOLDER}')
        assert not any(group['differs'] for group in same.values())
        # Whatever it waits for, no driver that lets go changes anything.
        assert '--rebind' not in ctl(vm, 'apply', vm.address('one'), status=3)
        advice = document(vm, 'explain', vm.address('one'))['advice']
        assert len(advice) == 1 and 'Mode=enforce' in advice[0]
    finally:
        vm.run(['rm', '-r', folder])
        vm.run(f'systemctl restart {policyd.UNIT}')


def test_not_for_another_machine(vm):
    """What works on files of this machine is refused before ssh is asked."""
    for words in (('plan', f'--policy-dir={FOLDER}'), ('generate',),
                  ('set', '1', 'DMA', '--permanent')):
        ctl(vm, *words, '-H', 'nowhere.invalid', status=2)


def test_plan_beside_what_was_set(vm):
    address = vm.address('n0')
    number = vm.group_of('n0')
    ctl(vm, 'set', address, 'DMA-FQ')
    try:
        # No rule before and none after: it stays, as the daemon has it.
        group = groups(vm, candidate(vm, ''))[number]
        assert group['in_force']['set_by_hand']
        assert group['candidate'] == group['in_force']
        assert not group['differs']
        rule = f'[disk]\nmatch-address = {address}\ndomain = DMA\n'
        group = groups(vm, candidate(vm, rule))[number]
        assert group['differs'] and group['candidate']['target'] == 'DMA'
        assert 'in force: set at run time' in ctl(
            vm, 'plan', f'--policy-dir={FOLDER}')

        # Set beside that rule, it outlives the same rule and no other.
        policyd.policies(vm, disk=rule)
        policyd.wait_state(vm, 'n0', 'pending', 'DMA-FQ')
        ctl(vm, 'set', address, 'DMA-FQ')
        group = groups(vm, candidate(vm, f'# elsewhere\n{rule}'))[number]
        assert group['in_force']['set_by_hand'] and not group['differs']
        policyd.policies(vm, disk=f'# elsewhere\n{rule}')
        assert policyd.group(vm, 'n0')['SetAtRunTime']
        more = f'{rule}rebind = always\n'
        assert groups(vm, candidate(vm, more))[number]['differs']
        policyd.policies(vm, disk=more)
        policyd.wait_state(vm, 'n0', 'compliant', 'DMA')
        assert not policyd.group(vm, 'n0')['SetAtRunTime']
    finally:
        policyd.policies(vm, disk=None)
        ctl(vm, 'restore', address)


KEPT = f'{policyd.FOLDER}/90-set-{{}}.conf'


def kept(vm, device: str) -> str:
    """Where set --permanent writes for the group of DEVICE."""
    return KEPT.format(vm.address(device).replace(':', '_'))


@pytest.fixture
def clean(vm) -> Iterator[None]:
    yield
    vm.run(f'rm -f {policyd.FOLDER}/*.conf')
    policyd.policies(vm)
    for name in ('n0', 'two', 'left'):
        ctl(vm, 'restore', vm.address(name))


def test_set_permanent(vm, clean):
    address, path = vm.address('n0'), kept(vm, 'n0')
    text = ctl(vm, 'set', address, 'dma-fq', '--permanent')
    assert f'Wrote {path}.' in text
    assert vm.type_of('n0') == 'DMA-FQ'
    assert vm.out(['stat', '-c', '%a %U', path]).strip() == '644 root'
    assert vm.read(path).splitlines()[2:] == [
        f'[set-{address.replace(":", "_")}]', f'match-address = {address}',
        'domain = DMA-FQ']
    assert ctl(vm, 'check', '--no-legend') == ''
    # The file is the rule from now on, and outlives the run-time decision.
    rules = [[path, 3, f'set-{address.replace(":", "_")}']]
    vm.wait(lambda: policyd.group(vm, 'n0')['Rules'] == rules,
            what='the daemon to read the file by itself')
    policyd.wait_state(vm, 'n0', 'compliant', 'DMA-FQ')
    vm.run(f'systemctl restart {policyd.UNIT}')
    group = policyd.wait_state(vm, 'n0', 'compliant', 'DMA-FQ')
    assert group['Rules'][0][0] == path
    assert ctl(vm, 'plan', '--no-legend') == ''

    # Its own file it may replace; nothing else is left in the folder.
    done = vm.run(['iommu-policyctl', 'set', address, 'DMA', '--permanent',
                   '--rebind'])
    assert f'Replaced {path}.' in done.stdout
    assert f'{path} has rebind = always: later changes of the group unbind' \
        in done.stderr
    assert vm.read(path).splitlines()[-1] == 'rebind = always'
    assert vm.type_of('n0') == 'DMA'
    assert vm.out(f'ls -A {policyd.FOLDER}').strip() == path.split('/')[-1]


def test_set_permanent_of_two(vm, clean):
    """A group of two devices: both are named, or one would keep the type."""
    ctl(vm, 'set', vm.address('right'), 'DMA-FQ', '--permanent')
    text = vm.read(kept(vm, 'left'))
    assert f'match-address = {vm.address("left")}\n' in text
    assert f'match-address = {vm.address("right")}\n' in text
    policyd.policies(vm)
    policyd.wait_state(vm, 'left', 'compliant', 'DMA-FQ')


def test_set_permanent_that_would_not_do(vm, clean):
    """Nothing is done at all, and said is what stands in the way."""
    address, path = vm.address('n0'), kept(vm, 'n0')

    def refused(status: int, *more: str, prefix=()) -> str:
        done = vm.run([*prefix, 'iommu-policyctl', 'set', address, 'DMA-FQ',
                       '--permanent', *more], check=False)
        assert done.status == status, done
        assert vm.type_of('n0') == 'DMA'
        assert '.90-set' not in vm.out(f'ls -A {policyd.FOLDER}')
        # A program need not read the sentence.
        again = vm.run([*prefix, 'iommu-policyctl', 'set', address, 'DMA-FQ',
                        '--permanent', '--json=short', *more], check=False)
        assert (again.status, again.stderr) == (status, done.stderr)
        error = json.loads(again.stdout)['error']
        assert error['message'] in again.stderr
        assert error['name'].startswith('org.freedesktop.DBus.Error.')
        return done.stderr

    assert 'do it as root' in refused(1, prefix=NOBODY)
    # A rule that is read later would win.
    vm.policy('95-late.conf', '[late]\nmatch-class = 0108\ndomain = DMA\n')
    assert f'[late] ({policyd.FOLDER}/95-late.conf:1) would go before' \
        in refused(4)
    assert not vm.exists(path)
    vm.policy('95-late.conf', '[late\n')
    assert 'iommu-policyctl check' in refused(1)
    vm.policy('95-late.conf', None)
    # Somebody's own file, a folder, a link.
    for make in (f'echo "# mine" > {path}', f'mkdir {path}',
                 f'ln -s /etc/passwd {path}'):
        vm.run(make)
        before = vm.out(f'ls -ld {path}')
        assert 'will not write over' in refused(1)
        assert vm.out(f'ls -ld {path}') == before
        vm.run(f'rm -r {path}')


def test_set_permanent_makes_the_folder(vm, clean):
    vm.run('mv /etc/iommu-policyd /etc/iommu-policyd.away')
    try:
        done = vm.run(['iommu-policyctl', 'set', vm.address('n0'), 'DMA-FQ',
                       '--permanent'])
        assert f'Created the folder {policyd.FOLDER}.' in done.stderr
        assert vm.out(['stat', '-c', '%a', policyd.FOLDER]).strip() == '755'
        assert vm.exists(kept(vm, 'n0'))
    finally:
        vm.run('rm -rf /etc/iommu-policyd; '
               'mv /etc/iommu-policyd.away /etc/iommu-policyd')


def test_generate(vm, clean):
    assert 'There is none' in ctl(vm, 'generate')
    assert document(vm, 'generate') == {'file': None,
                                        'policy': ctl(vm, 'generate')}
    ctl(vm, 'set', vm.address('n0'), 'DMA-FQ')
    ctl(vm, 'set', vm.address('left'), 'DMA-FQ')
    text = ctl(vm, 'generate', prefix=NOBODY)
    assert text.count('\n[present-') == 2
    assert f'# {vm.address("n0")} [1b36:0010] nvme\n' in text
    everything = ctl(vm, 'generate', '--all')
    assert everything.count('\n[present-') > 4

    vm.run('rm -rf /run/made; mkdir /run/made')
    for name, words in (('some', ()), ('all', ('--all',))):
        where = f'/run/made/{name}'
        vm.run(f'mkdir {where}')
        said = ctl(vm, 'generate', *words, f'{where}/50-made.conf')
        assert f'Wrote {where}/50-made.conf' in said
        assert ctl(vm, 'check', '--no-legend', where) == ''
        # Nothing to do by it, and no group that it names is another's.
        for group in groups(vm, f'--policy-dir={where}').values():
            assert group['candidate']['way'] == 'nothing', group
            assert group['candidate']['target'] in (None, group['type'])
    before = vm.read_bytes('/run/made/some/50-made.conf').decode()
    assert before == text
    ctl(vm, 'generate', '/run/made/some/50-made.conf', status=1)
    assert vm.read_bytes('/run/made/some/50-made.conf').decode() == before
    # In force, it comes to the same again.
    vm.policy('50-made.conf', before)
    policyd.policies(vm)
    policyd.wait_state(vm, 'n0', 'compliant', 'DMA-FQ')
    assert ctl(vm, 'plan', '--no-legend') == ''
    assert ctl(vm, 'generate') == text
    with no_daemon(vm):
        ctl(vm, 'generate', status=1)
        assert ctl(vm, 'generate', '--all').count('\n[present-') \
            == everything.count('\n[present-')
