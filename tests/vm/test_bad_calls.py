# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that make no sense, and callers that may not: each gets the error
that docs/org.iommupolicy1.xml names, and nothing happens.
"""

import pytest

from vmtest import Topology, e1000e, policyd

TOPOLOGY = Topology(ports=['rp1', 'rp2'], cold=[e1000e('nic', 'rp1')],
                    policy={'50-nic.conf': '[8086:10d3]\ndomain = keep\n'})

NO_GROUP = f'{policyd.SERVICE}.Error.NoSuchGroup'
NO_DEVICE = f'{policyd.SERVICE}.Error.NoSuchDevice'
NOT_AUTHORIZED = f'{policyd.SERVICE}.Error.NotAuthorized'
INVALID = 'org.freedesktop.DBus.Error.InvalidArgs'
NO_OBJECT = 'org.freedesktop.DBus.Error.UnknownObject'
PROPERTIES = 'org.freedesktop.DBus.Properties'
LOG = ('/org/freedesktop/LogControl1', 'org.freedesktop.LogControl1')
OWN = 'GROUP'       # stands for the group of the card

YES = ['b', True]


def machine(vm):
    """All that a call could have changed."""
    return vm.out('cd /sys/kernel/iommu_groups && grep . */type; '
                  'cd /sys/bus/pci/devices && grep . */driver_override; '
                  'readlink */driver; ls -l /run/iommu-policyd/*; '
                  'cat /run/iommu-policyd/group/*')


@pytest.fixture(autouse=True)
def nothing_happens(vm):
    vm.wait(lambda: vm.driver_of('nic') == 'e1000e', what='the end of boot')
    pid = vm.out(['systemctl', 'show', '-P', 'MainPID', policyd.UNIT])
    before, mark = machine(vm), policyd.mark(vm)
    yield
    assert machine(vm) == before
    for kind in ('decided', 'applied', 'failed'):
        assert policyd.entries(vm, kind, mark) == []
    assert vm.out(['systemctl', 'show', '-P', 'MainPID',
                   policyd.UNIT]) == pid


def each(vm, wanted, **options):
    """Calls all of them: pairs of the call and its (error, message)."""
    number = vm.group_of('nic')
    wanted = [(member, signature, [number if argument == OWN else argument
                                   for argument in arguments])
              for member, signature, arguments in wanted]
    return list(zip(wanted, policyd.calls(vm, wanted, **options),
                    strict=True))


def test_groups_that_are_not_there(vm):
    wanted = []
    for group in (9999, 0x7fffffff, 0x80000000, 0xffffffff):
        assert group not in vm.groups()
        wanted += [('ApplyGroup', 'ua{sv}', [group, {}]),
                   ('ApplyGroup', 'ua{sv}', [group, {'force': YES}]),
                   ('SetGroupType', 'usa{sv}', [group, 'identity', {}]),
                   ('SetGroupType', 'usa{sv}',
                    [group, 'blocked', {'rebind': YES}]),
                   ('Restore', 'u', [group])]
    for words, (error, message) in each(vm, wanted):
        assert error == NO_GROUP, (words, error, message)
        assert str(words[2][0]) in message


def test_types_that_are_none(vm):
    for words, (error, message) in each(vm, [
            ('SetGroupType', 'usa{sv}', [OWN, word, {'rebind': YES}])
            for word in ('', ' ', 'passthrough', 'DMA_FQ', 'DMA-FQ ',
                         ' identity', 'identit', 'identityx', 'keep', 'none',
                         'identity\n', '%s%n%n', 'ıdentıty', 'x' * 1000)]):
        assert error == INVALID, (words, error, message)
        assert 'identity, DMA, DMA-FQ, auto or blocked' in message
    # Longer ones are not even kept until it is known who calls.
    error, message = policyd.call(vm, 'SetGroupType', 'usa{sv}', OWN,
                                  'x' * 50000, {})
    assert error == 'org.freedesktop.DBus.Error.LimitsExceeded', error
    assert 'too long' in message


OPTIONS = [
    ({'Force': YES}, 'rebind or force'),
    ({'': YES}, 'rebind or force'),
    ({'rebind': YES, 'and': YES}, 'rebind or force'),
    ({'force': ['s', 'yes']}, 'force: expected a boolean'),
    ({'rebind': ['u', 1]}, 'rebind: expected a boolean'),
    ({'rebind': ['i', 1]}, 'rebind: expected a boolean'),
    ({'rebind': ['y', 1]}, 'rebind: expected a boolean'),
    ({'rebind': ['v', YES]}, 'rebind: expected a boolean'),
    ({'rebind': ['a{sv}', {}]}, 'rebind: expected a boolean'),
    ({'force': YES, 'rebind': ['o', '/']}, 'rebind: expected a boolean')]


def test_options_that_are_none(vm):
    for member, signature, arguments in (
            ('Apply', 'a{sv}', []),
            ('ApplyGroup', 'ua{sv}', [OWN]),
            ('SetGroupType', 'usa{sv}', [OWN, 'identity'])):
        found = each(vm, [(member, signature, [*arguments, options])
                          for options, _ in OPTIONS])
        for (words, (error, message)), (_, hint) in zip(found, OPTIONS):
            assert error == INVALID, (words, error, message)
            assert hint in message


def test_arguments_of_another_kind(vm):
    for words, (error, message) in each(vm, [
            ('ApplyGroup', '', []),
            ('ApplyGroup', 'u', [OWN]),
            ('ApplyGroup', 'sa{sv}', ['1', {}]),
            ('ApplyGroup', 'ia{sv}', [1, {}]),
            ('SetGroupType', 'ua{sv}', [OWN, {}]),
            ('Apply', '', []),
            ('Restore', 's', ['1']),
            ('Restore', 'uu', [OWN, OWN]),
            ('Explain', 'u', [0]),
            ('Explain', 'o', ['/']),
            ('Plan', 's', ['now']),
            ('Reload', 's', ['now'])]):
        assert error == INVALID, (words, error, message)
    error, _ = policyd.call(vm, 'Aply')
    assert error == 'org.freedesktop.DBus.Error.UnknownMethod'


# The first two are well-formed, and only nobody's.
ADDRESSES = [
    '0000:fe:1f.7', '0000:01:20.0',
    '', '0000:01:00.0 ', '01:00.0', '0000:01:00', '0000:01:00.8',
    '0000:FF:00.0', '../../0000:00:00.0', '0000:00:00.0/..',
    '000000000:00:00.0', '0000:00:0g.0', '%n', '/', '0000:01:00.0\n', 'é',
    '0' * 50000]


def test_addresses_that_are_nobodys(vm):
    for member in ('Explain', 'GetGroupByDevice'):
        found = each(vm, [(member, 's', [address]) for address in ADDRESSES])
        for index, (words, (error, message)) in enumerate(found):
            assert error == NO_DEVICE, (words, error, message)
            assert index < 2 or 'DDDD:BB:DD.F' in message, words
        assert policyd.call(vm, member, 's', vm.address('nic')) == ('', '')


def test_objects_that_are_not_there(vm):
    for path in ('group/9999', 'group/_39999', 'group/x', 'group/_2d1',
                 'group/01', 'group/_30_30', 'group/99999999999999999999',
                 'device/0000', 'device/x', 'device/_2e_2e', 'other'):
        error, message = policyd.call(
            vm, 'GetAll', 's', f'{policyd.SERVICE}.Group',
            where=f'{policyd.ROOT}/{path}', interface=PROPERTIES)
        assert error in (NO_OBJECT,
                         'org.freedesktop.DBus.Error.UnknownInterface'), \
            (path, error, message)


def test_properties_are_not_written(vm):
    number = vm.group_of('nic')
    for path, interface, name, value in (
            (policyd.ROOT, 'Manager', 'Mode', ['s', 'audit']),
            (policyd.ROOT, 'Manager', 'PolicyGeneration', ['t', 7]),
            (f'{policyd.ROOT}/group/_{ord(str(number)[0]):02x}'
             f'{str(number)[1:]}', 'Group', 'Type', ['s', 'identity'])):
        error, message = policyd.call(
            vm, 'Set', 'ssv', f'{policyd.SERVICE}.{interface}', name, value,
            where=path, interface=PROPERTIES)
        assert error == 'org.freedesktop.DBus.Error.PropertyReadOnly', \
            (name, error, message)


MUTATING = [('Reload', '', []), ('Apply', 'a{sv}', [{}]),
            ('Apply', 'a{sv}', [{'rebind': YES, 'force': YES}]),
            ('ApplyGroup', 'ua{sv}', [OWN, {}]),
            ('SetGroupType', 'usa{sv}', [OWN, 'identity', {'rebind': YES}]),
            ('SetGroupType', 'usa{sv}', [OWN, 'DMA-FQ', {}]),
            ('Restore', 'u', [OWN])]


def test_nobody_may_change_anything(vm):
    # Whether a group or a type exists is not what they learn first.
    wanted = MUTATING + [
        ('SetGroupType', 'usa{sv}', arguments)
        for arguments in ([9999, 'identity', {}], [OWN, 'nonsense', {}],
                          [OWN, 'identity', {'nonsense': YES}])]
    for words, (error, message) in each(vm, wanted, user='nobody'):
        assert error == NOT_AUTHORIZED, (words, error, message)
    # No member that changes something was forgotten here.
    described = vm.out(f'busctl introspect {policyd.SERVICE} {policyd.ROOT} '
                       f'{policyd.SERVICE}.Manager')
    methods = {line.split()[0][1:] for line in described.splitlines()
               if ' method ' in line}
    assert methods - {'Explain', 'GetGroupByDevice', 'Plan'} \
        == {member for member, _, _ in MUTATING}


def test_nobody_may_not_change_the_log_level(vm):
    path, interface = LOG
    before = vm.busctl_get(path, interface, 'LogLevel')
    for name, value in (('LogLevel', 'debug'), ('LogTarget', 'console')):
        error, message = policyd.call(
            vm, 'Set', 'ssv', interface, name, ['s', value], where=path,
            interface=PROPERTIES, user='nobody')
        assert error == NOT_AUTHORIZED, (name, error, message)
    assert vm.busctl_get(path, interface, 'LogLevel') == before
    error, message = policyd.call(
        vm, 'Set', 'ssv', interface, 'LogLevel', ['s', 'loud'], where=path,
        interface=PROPERTIES)
    assert error == INVALID, (error, message)


def test_nobody_may_read_everything(vm):
    number, address = vm.group_of('nic'), vm.address('nic')
    label = f'_{ord(str(number)[0]):02x}{str(number)[1:]}'
    manager = f'{policyd.SERVICE} {policyd.ROOT} {policyd.SERVICE}.Manager'
    for words in (
            f'get-property {manager} PolicyFiles PolicyErrors Mode Version '
            'Backend PolicyGeneration KernelFeatures',
            f'call {manager} Plan', f'call {manager} Explain s {address}',
            f'call {manager} GetGroupByDevice s {address}',
            f'call {policyd.SERVICE} {policyd.ROOT} '
            'org.freedesktop.DBus.ObjectManager GetManagedObjects',
            f'introspect {policyd.SERVICE} {policyd.ROOT}/group/{label}',
            f'tree {policyd.SERVICE}'):
        found = vm.run('setpriv --reuid=nobody --regid=nogroup '
                       f'--clear-groups -- busctl {words}')
        assert found.stdout.strip(), words


def test_a_plain_busctl_as_nobody(vm):
    """As a person would try it."""
    result = vm.run('setpriv --reuid=nobody --regid=nogroup --clear-groups '
                    f'-- busctl call {policyd.SERVICE} {policyd.ROOT} '
                    f'{policyd.SERVICE}.Manager Reload', check=False)
    assert result.status != 0
    assert 'Reload needs a password' in result.stderr
    assert 'call it as root' in result.stderr
