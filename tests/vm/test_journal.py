# SPDX-License-Identifier: GPL-2.0-or-later
"""What the journal gets: everything that a person needs, once; nothing where
nothing changes; and not everything of what does not end."""

import errno

import pytest

from vmtest import Topology, bus, e1000e, policyd

IDENTITY = '[nic]\nmatch-id = 8086:10d3\ndomain = identity\n'

TOPOLOGY = Topology(ports=['rp1', 'rp2'], cold=[e1000e('nic', 'rp1')],
                    policy={'50-nic.conf': IDENTITY + 'rebind = always\n'},
                    load=['e1000e'])

def messages(vm, after):
    """What the daemon has written at a level above debug."""
    return [entry['MESSAGE'] for entry in
            vm.journal(f'_SYSTEMD_UNIT={policyd.UNIT}', 'PRIORITY=0',
                       *(f'PRIORITY={level}' for level in range(1, 7)))
            if policyd.number(entry) > after]


def test_fields_of_a_decision_and_its_outcome(vm):
    state = policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    number, address = vm.group_of('nic'), vm.address('nic')
    for kind in ('decided', 'applied'):
        entry = policyd.entry(vm, kind, IOMMU_GROUP=number)
        assert {name: entry.get(name) for name in
                ('DEVICE', 'TYPE_FROM', 'TYPE_TO', 'CONFIG_FILE',
                 'CONFIG_LINE', 'REASON', 'ERRNO')} \
            == {'DEVICE': address, 'TYPE_FROM': 'DMA', 'TYPE_TO': 'identity',
                'CONFIG_FILE': policyd.path('nic'), 'CONFIG_LINE': '1',
                'REASON': state['Reason'], 'ERRNO': None}
        assert entry['STATE'] == {'decided': 'applying',
                                  'applied': 'compliant'}[kind]
        assert entry['SYSLOG_IDENTIFIER'] == 'iommu-policyd'
    assert 0 < int(entry['DURATION_USEC']) < 60e6


def test_errors_have_a_field_too(vm):
    number = vm.group_of('nic')
    interface = vm.out(f'ls /sys/bus/pci/devices/{vm.address("nic")}/net')
    vm.run(f'ip address add 192.0.2.1/24 dev {interface} && '
           f'ip link set {interface} up')
    mark = policyd.mark(vm)
    vm.run(['iommu-policyctl', 'set', '--rebind', str(number), 'DMA'],
           check=False)
    entry = policyd.entry(vm, 'refused', mark, IOMMU_GROUP=number)
    assert entry['ERRNO'] == str(errno.EBUSY)
    assert entry['PRIORITY'] == '4' and '192.0.2.1' in entry['REASON']
    vm.run(f'ip link set {interface} down; ip address flush {interface}')
    vm.run(f'systemctl reload {policyd.UNIT}')
    vm.run(['iommu-policyctl', 'set', '--rebind', str(number), 'identity'])


def test_the_catalogue_explains_each_kind(vm):
    vm.run('journalctl --update-catalog')
    text = vm.out('journalctl --dump-catalog '
                  + ' '.join(policyd.MESSAGES.values()))
    assert text.count('\nSubject: ') == len(policyd.MESSAGES)
    text = vm.out(f'journalctl -b -x --no-pager -u {policyd.UNIT}')
    number = vm.group_of('nic')
    assert f'Subject: IOMMU group {number} has been changed to identity' \
        in text
    assert f'iommu-policyctl restore {number}' in text
    # Every field that the texts name was there.
    assert '@' not in text


def test_nothing_is_written_where_nothing_changes(vm):
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    generation = policyd.manager(vm, 'PolicyGeneration')
    mark = policyd.mark(vm)
    for _ in range(2):
        vm.run(f'systemctl reload {policyd.UNIT}')
    vm.run(f'touch {policyd.path("nic")}')
    vm.wait(lambda: policyd.manager(vm, 'PolicyGeneration') > generation + 2,
            what='the file to be read again')
    vm.run('udevadm trigger --subsystem-match=pci --action=change --settle')
    vm.run('udevadm trigger --subsystem-match=pci --action=add --settle')
    vm.run('iommu-policyctl apply')
    vm.run('iommu-policyctl')
    # The daemon has dealt with the events before this one.
    policyd.manager(vm, 'PolicyGeneration')
    vm.run('journalctl --sync')
    # A reload is somebody's doing, and has its own entry.
    assert [line for line in messages(vm, mark)
            if ' is in force: ' not in line] == []


def to_and_fro(vm, times):
    """The group waits for its driver and does not, again and again.

    Hardware can have it so too, a driver that lets go and takes its device in
    a loop; calls are the fastest way to it.
    """
    number = vm.group_of('nic')
    policyd.calls(vm, [('SetGroupType', 'usa{sv}', [number, word, {}])
                       for _ in range(times) for word in ('DMA', 'identity')])
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    vm.run('journalctl --sync')


def test_what_does_not_end_is_counted(vm):
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    mark = policyd.mark(vm)

    def pending():
        return sum(state == 'pending' for _, _, _, state, _
                   in monitor.signals('Decided'))

    # The bus does not lose any of it.
    with bus.Monitor(vm) as monitor:
        to_and_fro(vm, 80)
        vm.wait(lambda: pending() == 80, what='80 signals')
    written = len(policyd.entries(vm, 'pending', mark))
    assert 40 <= written <= 60
    # Stopping tells what is left, without waiting for the minute to end.
    vm.run(f'systemctl restart {policyd.UNIT}')
    entries = vm.wait(lambda: policyd.entries(vm, 'left-out', mark),
                      what='the number')
    assert {entry['DROPPED_MESSAGE_ID'] for entry in entries} \
        == {policyd.MESSAGES['pending']}
    assert sum(int(entry['N_DROPPED']) for entry in entries) == 80 - written
    for entry in entries:
        assert entry['IOMMU_GROUP'] == str(vm.group_of('nic'))
        assert 'is pending: ' in entry['MESSAGE']


@pytest.mark.brief()
def test_it_is_told_after_a_minute(vm):
    """And the group next to it has its entries all the while."""
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    mark = policyd.mark(vm)
    to_and_fro(vm, 55)
    vm.plug(e1000e('other', 'rp2'))
    policyd.wait_state(vm, 'other', 'compliant', 'identity')
    policyd.entry(vm, 'applied', mark, IOMMU_GROUP=vm.group_of('other'))
    entry = policyd.entry(vm, 'left-out', mark, timeout=180)
    assert int(entry['N_DROPPED']) == 55 - len(
        policyd.entries(vm, 'pending', mark))
    vm.unplug('other')


def test_debug_leaves_nothing_out(vm):
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
    vm.run(f'systemctl service-log-level {policyd.UNIT} debug')
    mark = policyd.mark(vm)
    to_and_fro(vm, 60)
    assert len(policyd.entries(vm, 'pending', mark)) == 60
    vm.run(f'systemctl service-log-level {policyd.UNIT} info')


def test_what_has_no_id_names_its_group_too(vm):
    """The field is also what each group's share of entries goes by."""
    number, mark = vm.group_of('nic'), policyd.mark(vm)
    policyd.calls(vm, [('SetGroupType', 'usa{sv}', [number, 'identity', {}])])
    policyd.policies(vm, nic=IDENTITY.replace('identity', 'DMA'))
    vm.wait(lambda: [entry for entry in vm.journal(f'IOMMU_GROUP={number}')
                     if policyd.number(entry) > mark and entry['MESSAGE']
                     == f'Group {number}: the policy has changed and takes '
                     'the place of SetGroupType identity'],
            what='the entry')
    policyd.policies(vm, nic=IDENTITY + 'rebind = always\n')
    policyd.wait_state(vm, 'nic', 'compliant', 'identity')
