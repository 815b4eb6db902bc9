# SPDX-License-Identifier: GPL-2.0-or-later
"""Policy files with errors: the policy before stays in force, everything that
is wrong is told with file and line, and mending needs no restart.
"""

import contextlib

import pytest

from vmtest import Topology, e1000e, policyd

GOOD = '[8086:10d3]\ndomain = identity\n'
OTHER = '[8086:10d3]\nmatch-address = *\ndomain = DMA\nrebind = always\n'

TOPOLOGY = Topology(ports=['rp1'], policy={'50-nic.conf': GOOD},
                    load=['e1000e'])

# Names that are read after 50-nic.conf, and one that is read before.
BROKEN = {
    '40-early.conf': '[8086:10d3]\nmatch-adress = *\ndomain = DMA\n',
    '60-many.conf': '[gpu]\nmatch-id = nope\ndomain = fast\n\n'
                    '[8086:10d3]\nrebind = sometimes\n',
    '70-wide.conf': OTHER,      # with a mode that anybody may write
}
ERRORS = {      # (file, line, key): how the message begins
    ('40-early.conf', 2, '[8086:10d3] match-adress'): 'unknown key',
    ('60-many.conf', 2, '[gpu] match-id'): '"nope" is no PCI ID pattern',
    ('60-many.conf', 3, '[gpu] domain'): '"fast" is no domain',
    ('60-many.conf', 5, '[8086:10d3]'): 'a section without domain',
    ('60-many.conf', 6, '[8086:10d3] rebind'): '"sometimes"',
    ('70-wide.conf', 0, ''): 'is writable by everybody',
}
KEPT = '/var/lib/iommu-policyd/policy'


def pid(vm):
    return vm.out(['systemctl', 'show', '-P', 'MainPID', policyd.UNIT])


def told(vm):
    """What the bus says is wrong, as ERRORS has it."""
    return {(path.removeprefix(f'{policyd.FOLDER}/'), line, key): message
            for path, line, key, message
            in policyd.manager(vm, 'PolicyErrors')}


def matches(found):
    assert found.keys() == ERRORS.keys(), found
    for place, message in found.items():
        assert message.startswith(ERRORS[place]), (place, message)
    return True


def drop_in(vm):
    """All of it at once, as a package or an administrator would."""
    for name, text in BROKEN.items():
        vm.write(f'/run/broken/{name}', text,
                 0o666 if name == '70-wide.conf' else 0o644)
    # write() goes through the umask of whoever lays it down.
    vm.run('chmod 666 /run/broken/70-wide.conf && '
           f'mv /run/broken/*.conf {policyd.FOLDER}/')


def mend(vm):
    vm.run(f'cd {policyd.FOLDER} && rm -f {" ".join(BROKEN)}')


@contextlib.contextmanager
def plugged(vm):
    vm.plug(e1000e('nic', 'rp1'))
    try:
        vm.wait(lambda: vm.driver_of('nic'), what='the driver')
        yield
    finally:
        address = vm.address('nic')
        vm.unplug('nic')
        vm.wait(lambda: not vm.present(address), what='the card to go')


@pytest.fixture(autouse=True)
def whole(vm):
    """Every test begins and ends with the one good file in force."""
    yield
    mend(vm)
    vm.policy('50-nic.conf', GOOD)
    vm.run(f'systemctl reset-failed {policyd.UNIT}; '
           f'systemctl start {policyd.UNIT}')
    vm.wait(lambda: told(vm) == {} and policyd.manager(vm, 'PolicyFiles')
            == [policyd.path('nic')], what='the good policy')


def assert_journal_has_all(vm, mark):
    """Each error once for each reading of the files, with its fields."""
    for (name, line, key), begin in ERRORS.items():
        path = f'{policyd.FOLDER}/{name}'
        fields = {'CONFIG_FILE': path}
        if line:
            fields['CONFIG_LINE'] = line
        found = [entry for entry
                 in policyd.entries(vm, 'policy-error', mark, **fields)
                 if ('CONFIG_LINE' in entry) == bool(line)]
        assert found, (name, line, key)
        where = f'{path}:{line}: ' if line else f'{path}: '
        what = f'{key}: {begin}' if ' ' in key else f'{key} {begin}'.strip()
        for entry in found:
            assert entry['PRIORITY'] == '3'
            assert entry['MESSAGE'].startswith(where + what), entry


def test_the_old_policy_stays_and_mending_is_enough(vm):
    process, generation = pid(vm), policyd.manager(vm, 'PolicyGeneration')
    mark = policyd.mark(vm)
    drop_in(vm)
    vm.wait(lambda: matches(told(vm)), what='all errors on the bus')
    assert policyd.manager(vm, 'PolicyGeneration') == generation
    assert policyd.manager(vm, 'PolicyFiles') == [policyd.path('nic')]
    assert 'errors, the previous one is in force' in policyd.status(vm)
    assert_journal_has_all(vm, mark)
    kept = policyd.entries(vm, 'policy-kept', mark)
    assert kept and all(entry['PRIORITY'] == '3' for entry in kept)
    assert policyd.entries(vm, 'policy-loaded', mark) == []

    # Whoever asks for it is told as well.
    name, message = policyd.call(vm, 'Reload')
    assert name == f'{policyd.SERVICE}.Error.PolicyInvalid'
    assert f'{len(ERRORS)} errors' in message
    assert f'{policyd.FOLDER}/40-early.conf:2:' in message
    vm.run(f'systemctl reload {policyd.UNIT}')
    assert policyd.manager(vm, 'PolicyGeneration') == generation

    # In force is what was: for what comes now, too.
    with plugged(vm):
        group = policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        assert group['Rules'] == [[policyd.path('nic'), 1, '8086:10d3']]
        # Two of three are mended, and it is not enough.
        vm.run(f'rm {policyd.FOLDER}/40-early.conf '
               f'{policyd.FOLDER}/60-many.conf')
        vm.wait(lambda: set(told(vm)) == {('70-wide.conf', 0, '')},
                what='one error left')
        assert vm.type_of('nic') == 'identity'
        # The last: its rule takes effect at once, by nobody's asking.
        mark = policyd.mark(vm)
        vm.run(f'chmod 644 {policyd.FOLDER}/70-wide.conf')
        group = policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
        assert vm.type_of('nic') == 'DMA'
        assert vm.driver_of('nic') == 'e1000e'
        entry = policyd.entry(vm, 'applied', mark,
                              IOMMU_GROUP=vm.group_of('nic'))
        assert entry['CONFIG_FILE'] == f'{policyd.FOLDER}/70-wide.conf'
        assert entry['CONFIG_LINE'] == '1'
    assert told(vm) == {}
    assert policyd.manager(vm, 'PolicyGeneration') == generation + 1
    assert policyd.manager(vm, 'PolicyFiles') == [
        policyd.path('nic'), f'{policyd.FOLDER}/70-wide.conf']
    assert 'error' not in policyd.status(vm)
    assert pid(vm) == process


def test_a_restart_with_errors_uses_the_kept_copy_loudly(vm):
    assert vm.out(f'cat {KEPT}/*') == GOOD.strip()
    vm.run(f'systemctl stop {policyd.UNIT}')
    drop_in(vm)
    # The good file is broken too: what is kept must not be read from it.
    vm.policy('50-nic.conf', GOOD.replace('identity', 'DMA-FQ') + 'x = y\n')
    mark = policyd.mark(vm)
    vm.run(f'systemctl start {policyd.UNIT}')
    entry = policyd.entry(vm, 'policy-kept', mark)
    assert entry['PRIORITY'] == '3'
    assert KEPT in entry['MESSAGE']
    assert 'errors, the kept one is in force' in policyd.status(vm)
    assert_journal_has_all(vm, mark)
    assert policyd.entries(vm, 'policy-error', mark, CONFIG_LINE=3,
                           CONFIG_FILE=policyd.path('nic'))
    assert len(told(vm)) == len(ERRORS) + 1
    files = policyd.manager(vm, 'PolicyFiles')
    assert len(files) == 1 and files[0].startswith(f'{KEPT}/')

    with plugged(vm):
        group = policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        assert group['Rules'] == [[files[0], 1, '8086:10d3']]
        # A second restart: the kept copy is still the good one.
        vm.run(f'systemctl restart {policyd.UNIT}')
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        assert vm.out(f'cat {KEPT}/*') == GOOD.strip()
        # Mended: the files are in force again, and are what is kept.
        process = pid(vm)
        mend(vm)
        vm.policy('50-nic.conf', OTHER)
        policyd.wait_state(vm, 'nic', 'compliant', 'DMA')
        assert policyd.manager(vm, 'PolicyFiles') == [policyd.path('nic')]
        assert 'error' not in policyd.status(vm)
        vm.wait(lambda: vm.out(f'cat {KEPT}/*') == OTHER.strip(),
                what='the new copy')
        assert pid(vm) == process


def test_without_a_copy_nothing_is_applied(vm):
    vm.run(f'systemctl stop {policyd.UNIT} && rm -r {KEPT}')
    drop_in(vm)
    mark = policyd.mark(vm)
    vm.run(f'systemctl start {policyd.UNIT}')
    entry = policyd.entry(vm, 'policy-kept', mark)
    assert entry['PRIORITY'] == '3'
    assert 'nothing is applied' in entry['MESSAGE']
    assert 'NOTHING IS APPLIED' in policyd.status(vm)
    assert_journal_has_all(vm, mark)
    matches(told(vm))
    assert policyd.manager(vm, 'PolicyFiles') == []
    assert policyd.manager(vm, 'PolicyGeneration') == 0

    with plugged(vm):
        group = policyd.wait_state(vm, 'nic', 'unmanaged', 'DMA')
        assert 'errors' in group['Reason']
        assert vm.type_of('nic') == 'DMA'
        assert policyd.entries(vm, 'decided', mark) == []
        assert not vm.exists(KEPT)      # what is broken is not kept

        process = pid(vm)
        vm.policy('50-nic.conf', GOOD + 'rebind = always\n')
        mend(vm)
        policyd.wait_state(vm, 'nic', 'compliant', 'identity')
        assert vm.driver_of('nic') == 'e1000e'
        assert policyd.manager(vm, 'PolicyGeneration') == 1
        assert 'NOTHING' not in policyd.status(vm)
        vm.wait(lambda: vm.exists(KEPT), what='a copy')
        assert pid(vm) == process


def test_files_of_any_content(vm):
    """Nothing of this is a policy, and nothing of it ends the daemon."""
    process = pid(vm)
    folder = policyd.FOLDER
    for name, make, line in (
            ('noise', 'head -c 300000 /dev/urandom > {}', None),
            ('zeros', 'head -c 100000 /dev/zero > {}', None),
            ('long', "printf '[%020000d]' 1 > {}", 1),
            ('folder', 'mkdir {}', 0),
            ('pipe', 'mkfifo {}', 0),
            ('dangling', 'ln -s /nowhere {}', 0),
            ('loop', 'ln -s 80-bad.conf {}', 0),
            # What these say is sound, and whose they are is not.
            ('link', f'cp {policyd.path("nic")} /root/elsewhere && '
                     'ln -s /root/elsewhere {}', 0),
            ('owner', f'cp {policyd.path("nic")} {{0}} && '
                      'chown nobody {0}', 0),
            ('no newline', "printf '[8086:10d3]' > {}", 1)):
        path = f'{folder}/80-bad.conf'
        vm.run(make.format(path))
        found = vm.wait(lambda: policyd.manager(vm, 'PolicyErrors'),
                        what=f'errors of {name}')
        assert {error[0] for error in found} == {path}, name
        assert line in (None, found[0][1]), (name, found[0])
        assert policyd.manager(vm, 'PolicyFiles') == [policyd.path('nic')]
        vm.run(f'rm -r {path}')
        vm.wait(lambda: told(vm) == {}, what=f'{name} to be mended')
    # These are policies, and good ones.
    for text in ('[x]\r\nmatch-id = 1:2\r\ndomain = keep\r\n',
                 '[1:2]\ndomain = keep', ''):
        vm.policy('80-good.conf', text)
        vm.wait(lambda: (f'{folder}/80-good.conf' in
                         policyd.manager(vm, 'PolicyFiles')) == bool(text),
                what=f'{text!r}')
        assert told(vm) == {}
        vm.policy('80-good.conf', None)
    assert pid(vm) == process
