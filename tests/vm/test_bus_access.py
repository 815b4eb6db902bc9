# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may change something over D-Bus: root, whom polkit allows it, and
nobody else; and that asking polkit holds nobody up.
"""

import json

import pytest

from vmtest import Topology, bus, cache, e1000e, policyd
from vmtest.bus import device_path, group_path

# A person who may do everything here; polkit knows people by their names.
OPERATOR = 'games'
# And one who may only apply the policy.
APPLIER = 'news'
RULE = '''polkit.addRule(function(action, subject) {
    if (action.id.indexOf("org.iommupolicy1.") == 0 &&
        subject.user == "games")
        return polkit.Result.YES;
    if (action.id == "org.iommupolicy1.apply" && subject.user == "news")
        return polkit.Result.YES;
});
'''
KEEP = '[8086:10d3]\ndomain = keep\n'
TOPOLOGY = Topology(
    ports=['rp1'], cold=[e1000e('nic', 'rp1')],
    policy={'50-nic.conf': KEEP}, load=['e1000e'],
    files={'/etc/polkit-1/rules.d/50-operator.rules': RULE})

NOT_AUTHORIZED = f'{policyd.SERVICE}.Error.NotAuthorized'
LIMITS = 'org.freedesktop.DBus.Error.LimitsExceeded'
LOG = ('/org/freedesktop/LogControl1', 'org.freedesktop.LogControl1')

# The methods that change nothing; a new one belongs here, or asks who calls.
READERS = {'Explain', 'GetGroupByDevice', 'Plan'}

# The least that each type of argument can be.
EMPTY = {'u': 0, 's': '', 'b': False, 'a{sv}': {}}
YES = ['b', True]


@pytest.fixture(autouse=True)
def ready(vm):
    vm.wait(lambda: vm.driver_of('nic') == 'e1000e', what='the end of boot')
    yield
    if vm.machine.alive():
        polkit(vm, True)
        vm.run(['systemctl', 'service-log-level', policyd.UNIT, 'info'])


def polkit(vm, there):
    """Has polkit running when it is asked, or not at all."""
    mask = '/etc/systemd/system/polkit.service'
    if vm.exists(mask) != there:
        return
    vm.run(f'rm {mask} && systemctl daemon-reload' if there else
           f'ln -s /dev/null {mask} && systemctl daemon-reload && '
           'systemctl stop polkit.service')


def objects(vm):
    """One object of each kind, with its members."""
    return [(path, bus.introspected(vm, path)) for path in (
        bus.ROOT, group_path(vm.group_of('nic')),
        device_path(vm.address('nic')), LOG[0])]


def set_level(vm, level, **options):
    return policyd.call(vm, 'Set', 'ssv', LOG[1], 'LogLevel', ['s', level],
                        where=LOG[0], interface=bus.PROPERTIES, **options)


def refused(answers):
    for name, message in answers:
        assert name == NOT_AUTHORIZED, (name, message)
        assert 'as root' in message or 'only root' in message, message


def test_every_member_that_changes_something_asks_who_calls(vm):
    """What the daemon has, not what this file knows of."""
    seen = set()
    for path, interfaces in objects(vm):
        for interface, members in interfaces.items():
            if interface.startswith('org.freedesktop.DBus.'):
                continue
            for words, detail in members.items():
                kind, name = words.split()
                if kind == 'method' and name not in READERS:
                    types = [type for _, type, way in detail if way == 'in']
                    answer = policyd.call(
                        vm, name, ''.join(types),
                        *(EMPTY[type] for type in types), user='nobody',
                        where=path, interface=interface)
                elif kind == 'property' and detail[1] != 'read':
                    answer = policyd.call(
                        vm, 'Set', 'ssv', interface, name,
                        [detail[0], EMPTY[detail[0]]], user='nobody',
                        where=path, interface=bus.PROPERTIES)
                else:
                    continue
                refused([answer])
                seen.add(name)
    assert seen >= {'Reload', 'Apply', 'ApplyGroup', 'SetGroupType',
                    'Restore', 'LogLevel', 'LogTarget'}


def test_nobody_reads_what_root_reads(vm):
    def read(*prefix):
        found = vm.out([*prefix, 'busctl', '--json=short', 'call',
                        bus.SERVICE, bus.ROOT, bus.MANAGER,
                        'GetManagedObjects'])
        return json.loads(found)
    assert read() == read('setpriv', '--reuid=nobody', '--regid=nogroup',
                          '--clear-groups', '--')


def test_whom_polkit_allows_it(vm):
    number = vm.group_of('nic')
    before = vm.type_of('nic')
    other = 'identity' if before != 'identity' else 'DMA'
    wanted = [('SetGroupType', 'usa{sv}', [number, other, {'rebind': YES}])]
    refused(policyd.calls(vm, wanted, user='nobody'))
    assert vm.type_of('nic') == before
    assert policyd.calls(vm, wanted, user=OPERATOR) == [('', '')]
    assert vm.type_of('nic') == other
    assert policyd.calls(vm, [
        ('Restore', 'u', [number]), ('Reload', '', []),
        ('Apply', 'a{sv}', [{}]), ('ApplyGroup', 'ua{sv}', [number, {}])],
        user=OPERATOR) == [('', '')] * 4
    assert vm.type_of('nic') == before

    assert set_level(vm, 'debug', user=OPERATOR) == ('', '')
    assert vm.busctl_get(*LOG, 'LogLevel') == 'debug'
    # Asked for at run time, it is not what the settings say.
    assert policyd.call(vm, 'Reload') == ('', '')
    assert vm.busctl_get(*LOG, 'LogLevel') == 'debug'
    # And what makes no sense does not for those who may, either.
    name, message = set_level(vm, 'loud', user=OPERATOR)
    assert name.endswith('.InvalidArgs') and 'notice' in message


def test_force_is_an_action_besides(vm):
    number = vm.group_of('nic')

    def apply(**options):
        return policyd.calls(vm, [
            ('ApplyGroup', 'ua{sv}', [number, options]),
            ('Apply', 'a{sv}', [options])], user=APPLIER)
    assert apply() == apply(rebind=YES) == [('', '')] * 2
    refused(apply(force=YES))
    assert policyd.call(vm, 'ApplyGroup', 'ua{sv}', number, {'force': YES},
                        user=OPERATOR) == ('', '')


def test_a_password_that_nobody_can_be_asked_for(vm):
    words = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups',
             '--', 'busctl']
    call = ['call', bus.SERVICE, bus.ROOT, f'{bus.SERVICE}.Manager', 'Reload']
    asked = vm.run([*words, *call], check=False)
    assert asked.status and 'no polkit agent' in asked.stderr
    quiet = vm.run([*words, '--allow-interactive-authorization=no', *call],
                   check=False)
    assert quiet.status and 'does not allow to ask' in quiet.stderr


def test_without_polkit_it_is_root_only(vm):
    polkit(vm, False)
    answers = policyd.calls(vm, [('Reload', '', [])] * 2, user=OPERATOR)
    refused(answers)
    assert 'polkit is not running' in answers[0][1]
    assert policyd.call(vm, 'Reload') == ('', '')
    assert set_level(vm, 'notice') == ('', '')
    # It is asked again as soon as it is back.
    polkit(vm, True)
    assert policyd.call(vm, 'Reload', user=OPERATOR) == ('', '')


def test_a_polkit_that_hangs_holds_nobody_up(vm):
    assert policyd.call(vm, 'Reload', user=OPERATOR) == ('', '')
    pid = vm.out('systemctl show -P MainPID polkit.service')
    vm.run(['kill', '-STOP', pid])
    script = (cache.GUEST_FILES / 'bus-flood.py').read_text()
    vm.write('/run/bus-flood', script, mode=0o755)
    try:
        # One that asks far more often than it may.
        flood = vm.start(f'exec setpriv --reuid={OPERATOR} --regid=nogroup '
                         '--clear-groups -- /run/bus-flood ask 40')
        vm.wait(lambda: 'sent' in flood.peek().stdout, what='the calls')
        # The daemon answers others, and root, meanwhile.
        assert policyd.call(vm, 'Reload') == ('', '')
        assert policyd.call(vm, 'Plan', user='nobody') == ('', '')
        assert set_level(vm, 'notice') == ('', '')
        vm.wait(lambda: 'answered 24' in flood.peek().stdout,
                what='the calls that are too many')
        errors = json.loads(flood.peek().stdout.split('\n')[-2]
                            .split(' ', 2)[2])
        assert errors == {LIMITS: 24}
        # Whoever goes makes room.
        flood.stop()
    finally:
        vm.run(['kill', '-CONT', pid])
    assert policyd.call(vm, 'Reload', user=OPERATOR) == ('', '')
