# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon as D-Bus and systemd see it.

Everything that busctl shows is what docs/org.iommupolicy1.xml says, signals
are really sent, systemctl's verbs work, and neither a restart nor a bus that
comes and goes disturbs a group that is right.
"""

import signal

import pytest

from vmtest import Topology, bus, cache, e1000e
from vmtest.bus import Monitor, device_path, group_path

UNIT = 'iommu-policyd'
POLICY = '/etc/iommu-policyd/policy.d/50-nic.conf'
IDENTITY = '[8086:10d3]\ndomain = identity\n'

TOPOLOGY = Topology(ports=['rp1', 'rp2'],
                    policy={'50-nic.conf': IDENTITY}, load=['e1000e'])


def show(vm, name):
    """A property of the unit, as systemctl show has it."""
    return vm.out(['systemctl', 'show', '-P', name, UNIT])


def active(vm):
    return show(vm, 'ActiveState') == 'active'


def on_bus(vm):
    return vm.run(['busctl', 'status', bus.SERVICE], check=False).status == 0


def state(vm, device):
    return vm.busctl_get(f'group/{vm.group_of(device)}', 'Group', 'State')


def call(vm, member, *words, check=False):
    return vm.run(['busctl', 'call', bus.SERVICE, bus.ROOT,
                   f'{bus.SERVICE}.Manager', member, *words], check=check)


@pytest.fixture(autouse=True)
def as_found(vm):
    """Each test finds the daemon running, on the bus, under one policy."""
    yield
    if not vm.machine.alive():
        return
    right = (f'systemctl is-active -q dbus {UNIT} && '
             f'busctl status {bus.SERVICE} >/dev/null')
    if vm.run(right, check=False).status:
        vm.run(f'systemctl start dbus.socket dbus.service; '
               f'systemctl reset-failed {UNIT}; systemctl start {UNIT}',
               check=False)
        vm.wait(right, what='the daemon on the bus')
    if vm.read(POLICY) != IDENTITY.strip():
        vm.policy('50-nic.conf', IDENTITY)
        vm.run(['systemctl', 'reload', UNIT])


def take_out(vm):
    """Port 2 is empty."""
    if vm.plugged('hot'):
        address = vm.address('hot')
        vm.unplug('hot')
        vm.wait(lambda: not vm.present(address), what='the device to go')


def put_in(vm):
    take_out(vm)
    vm.plug(e1000e('hot', 'rp2'))


@pytest.fixture
def hot(vm):
    """A device that was plugged in and has what its rule says."""
    def right():
        return state(vm, 'hot') == 'compliant' \
            and vm.driver_of('hot') == 'e1000e' \
            and vm.type_of('hot') == 'identity'

    if not vm.plugged('hot') or not right():
        put_in(vm)
        vm.wait(right, what='identity')
    return vm.address('hot')


# -- what busctl shows --------------------------------------------------------

def test_the_tree_has_every_group_and_device(vm, hot):
    found = set(vm.out(f'busctl tree --list {bus.SERVICE}').split())
    addresses = vm.out('ls /sys/bus/pci/devices').split()
    assert hot in addresses
    wanted = {bus.ROOT, '/org/freedesktop/LogControl1',
              *(group_path(number) for number in vm.groups()),
              *(device_path(address) for address in addresses)}
    parents = {path.rsplit('/', depth)[0] for path in wanted
               for depth in (1, 2, 3)} | {'/'}
    assert wanted <= found
    assert found - wanted <= parents


def test_introspection_is_the_document(vm, hot):
    documented = bus.documented()
    group = vm.group_of('hot')
    for path, name in ((bus.ROOT, 'Manager'), (group_path(group), 'Group'),
                       (device_path(hot), 'Device')):
        interface = f'{bus.SERVICE}.{name}'
        running = bus.introspected(vm, path)
        # Ours, and only the one: the rest is D-Bus' own.
        assert [key for key in running if key.startswith(bus.SERVICE)] \
            == [interface]
        assert running[interface] == documented.pop(interface)
        assert bus.PROPERTIES in running
        assert (bus.MANAGER in running) == (path == bus.ROOT)
    assert documented == {}
    log = bus.introspected(vm, '/org/freedesktop/LogControl1')
    assert log['org.freedesktop.LogControl1'] == {
        'property LogLevel': ('s', 'readwrite', 'false'),
        'property LogTarget': ('s', 'readwrite', 'false'),
        'property SyslogIdentifier': ('s', 'read', 'const')}


def test_every_member_is_in_the_manual():
    text = (cache.TOP / 'docs' / 'org.iommupolicy1.5').read_text()
    for interface, members in bus.documented().items():
        for words, detail in members.items():
            kind, name = words.split()
            if kind == 'property':
                head, _, rest = text.partition(f'Va {name} {detail[0]}')
                assert rest, (interface, name)
                # Each is told of, if only together with others.
                following = rest.split('\n')[1]
                assert not following.startswith(('.It', '.El')), name
                continue
            line = next(line for line in text.splitlines()
                        if line.startswith(f'.It Fn {name} ')
                        or line == f'.It Fn {name}')
            for argument, type, _ in detail:
                assert f'{type} {argument}' in line, (line, argument)


def test_busctl_introspect_shows_values(vm, hot):
    text = vm.out(['busctl', 'introspect', bus.SERVICE,
                   group_path(vm.group_of('hot'))])
    rows = {line.split()[0]: line for line in text.splitlines()[1:]}
    assert '"identity"' in rows['.Type'] and 'emits-change' in rows['.Type']
    assert '"compliant"' in rows['.State']
    assert '50-nic.conf" 1 "8086:10d3"' in rows['.Rules']


def test_properties_agree_with_the_kernel(vm, hot):
    root = bus.get_all(vm, bus.ROOT, 'Manager')
    assert root['Mode'] == 'enforce' and root['Backend'] == 'sysfs'
    assert root['PolicyFiles'] == [POLICY] and root['PolicyErrors'] == []
    assert root['PolicyGeneration'] >= 1
    assert root['InterfaceVersion'] == 1
    assert [row[0] for row in root['Transactions']] \
        == ['applied', 'failed', 'refused', 'timeout']
    good, bad = root['PolicyReloads']
    assert good == root['PolicyGeneration'] and bad >= 0
    assert root['Version'] in vm.out('iommu-policyd --version')
    assert {'iommu', 'type-file'} <= set(root['KernelFeatures'])

    for number, addresses in vm.groups().items():
        group = bus.get_all(vm, group_path(number), 'Group')
        assert group['Id'] == number
        assert group['Type'] == vm.type_of(number)
        assert set(group['Devices']) == set(map(device_path, addresses))
        regions = [line.split() for line in vm.read(
            f'/sys/kernel/iommu_groups/{number}/reserved_regions')
            .splitlines()]
        assert group['ReservedRegions'] == [
            [int(first, 16), int(last, 16), kind]
            for first, last, kind in regions]
        assert group['RequiresDirect'] == any(
            kind == 'direct' for _, _, kind in regions)
        mine = hot in addresses
        assert group['State'] == ('compliant' if mine else 'unmanaged')
        assert group['Target'] == ('identity' if mine else '')
        assert group['BootType'] == 'DMA'
        assert group['Rules'] == ([[POLICY, 1, '8086:10d3']] if mine else [])
        assert not group['SetAtRunTime'] and not group['Drifted']
        assert group['LastError'] == ['', '']
        assert group['ChangedUSec'] > 0 or not mine

    for address in vm.out('ls /sys/bus/pci/devices').split():
        device = bus.get_all(vm, device_path(address), 'Device')
        number = vm.group_of(address)
        files = {name: int(vm.read(f'/sys/bus/pci/devices/{address}/{name}'),
                           16)
                 for name in ('vendor', 'device', 'subsystem_vendor',
                              'subsystem_device', 'class')}
        assert device == {
            'Address': address, 'Vendor': files['vendor'],
            'Device': files['device'],
            'SubsystemVendor': files['subsystem_vendor'],
            'SubsystemDevice': files['subsystem_device'],
            'Class': files['class'], 'Driver': vm.driver_of(address) or '',
            'Removable': device['Removable'], 'VirtualFunction': False,
            'Bridge': files['class'] >> 16 == 6,
            'Group': '/' if number is None else group_path(number),
            'Rule': [POLICY, 1, '8086:10d3'] if address == hot
            else ['', 0, ''],
            'Wish': 'identity' if address == hot else ''}


def test_managed_objects_are_all_objects(vm, hot):
    found = bus.managed_objects(vm)
    assert set(found) == {
        *(group_path(number) for number in vm.groups()),
        *(device_path(name) for name in
          vm.out('ls /sys/bus/pci/devices').split())}
    path = group_path(vm.group_of('hot'))
    assert found[path][f'{bus.SERVICE}.Group'] \
        == bus.get_all(vm, path, 'Group')
    path = device_path(hot)
    assert found[path][f'{bus.SERVICE}.Device'] \
        == bus.get_all(vm, path, 'Device')


def test_read_only_calls(vm, hot):
    group = vm.group_of('hot')
    manager = (bus.SERVICE, bus.ROOT, f'{bus.SERVICE}.Manager')
    assert vm.busctl('call', *manager, 'GetGroupByDevice', 's', hot) \
        == [group_path(group)]
    trace, wish, target, now, reason = vm.busctl(
        'call', *manager, 'Explain', 's', hot)
    assert [row[:4] for row in trace] == [
        ['8086:10d3', POLICY, 1, True]]
    assert (wish, target, now) == ('identity', 'identity', 'compliant')
    assert '50-nic.conf:1' in reason
    assert [row[:5] for row in vm.busctl('call', *manager, 'Plan')[0]] \
        == [[group, 'identity', 'identity', 'compliant', 'nothing']]


def test_wrong_calls_have_named_errors(vm):
    ours, dbus = 'org.iommupolicy1.Error.', 'org.freedesktop.DBus.Error.'
    wrong = [
        ('ApplyGroup ua{sv} 4000000000 0', f'{ours}NoSuchGroup'),
        ('SetGroupType usa{sv} 999 DMA 0', f'{ours}NoSuchGroup'),
        ('Restore u 999', f'{ours}NoSuchGroup'),
        ('GetGroupByDevice s 0000:ff:1f.7', f'{ours}NoSuchDevice'),
        ('GetGroupByDevice s ../../etc', f'{ours}NoSuchDevice'),
        ('Explain s ""', f'{ours}NoSuchDevice'),
        ('SetGroupType usa{sv} 0 bypass 0', f'{dbus}InvalidArgs'),
        ('SetGroupType usa{sv} 0 "" 0', f'{dbus}InvalidArgs'),
        ('ApplyGroup ua{sv} 0 1 hard b true', f'{dbus}InvalidArgs'),
        ('Apply a{sv} 1 rebind s yes', f'{dbus}InvalidArgs'),
        ('Apply u 1', f'{dbus}InvalidArgs'),
        ('Destroy', f'{dbus}UnknownMethod')]
    with Monitor(vm, f"type='error',sender='{bus.SERVICE}'") as monitor:
        for words, _ in wrong:
            result = vm.run(f'busctl call {bus.SERVICE} {bus.ROOT} '
                            f'{bus.SERVICE}.Manager {words}', check=False)
            assert result.status, words
        vm.wait(lambda: len(monitor.messages()) >= len(wrong),
                what='the errors')
        assert [(words, message['error_name']) for (words, _), message
                in zip(wrong, monitor.messages())] == wrong
    assert active(vm)


def test_only_root_may_change_anything(vm, hot):
    def nobody(*words):
        return vm.run(['setpriv', '--reuid=65534', '--regid=65534',
                       '--clear-groups', 'busctl', *words], check=False)

    group = vm.group_of('hot')
    manager = (bus.SERVICE, bus.ROOT, f'{bus.SERVICE}.Manager')
    for words in (['Reload'], ['Apply', 'a{sv}', '0'],
                  ['ApplyGroup', 'ua{sv}', str(group), '0'],
                  ['SetGroupType', 'usa{sv}', str(group), 'DMA', '0'],
                  ['Restore', 'u', str(group)]):
        result = nobody('call', *manager, *words)
        assert result.status and 'as root' in result.stderr, words
    log = ('org.iommupolicy1', '/org/freedesktop/LogControl1',
           'org.freedesktop.LogControl1', 'LogLevel')
    assert nobody('set-property', *log, 's', 'debug').status != 0
    assert vm.type_of('hot') == 'identity'
    # Reading is open.
    assert nobody('call', *manager, 'Explain', 's', hot).status == 0
    assert nobody('get-property', bus.SERVICE, group_path(group),
                  f'{bus.SERVICE}.Group', 'Type').stdout == 's "identity"\n'


# -- what busctl monitor sees -------------------------------------------------

def test_a_change_is_told_as_it_happens(vm):
    take_out(vm)
    with Monitor(vm) as monitor:
        put_in(vm)
        vm.wait(lambda: vm.driver_of('hot') == 'e1000e'
                and vm.type_of('hot') == 'identity', what='identity')
        number, address = vm.group_of('hot'), vm.address('hot')
        path = group_path(number)

        decided = vm.wait(lambda: [
            row for row in monitor.signals('Decided')
            if row[0] == number and row[3] == 'compliant'],
            what='the signal Decided')
        assert decided[-1][2] == 'identity'
        assert '50-nic.conf:1' in decided[-1][4]

        vm.wait(lambda: monitor.changes(path, 'State')[-1:] == ['compliant'],
                what='State to be told')
        vm.wait(lambda: 'identity' in monitor.changes(path, 'Type'),
                what='Type to be told')
        device = device_path(address)
        vm.wait(lambda: 'e1000e' in monitor.changes(device, 'Driver'),
                what='Driver to be told')
        added = {name: interfaces for name, interfaces
                 in monitor.signals('InterfacesAdded')}
        assert added[path][f'{bus.SERVICE}.Group']['Id'] == number
        assert added[device][f'{bus.SERVICE}.Device']['Address'] == address

        vm.run(f'echo {address} > /sys/bus/pci/drivers/e1000e/unbind')
        vm.wait(lambda: monitor.changes(device, 'Driver')[-1:] == [''],
                what='the unbinding to be told')
        assert state(vm, 'hot') == 'compliant'

        # A group is there before what is in it, and as long.
        take_out(vm)
        vm.wait(lambda: len(monitor.signals('InterfacesRemoved')) == 2,
                what='the objects to be taken back')
        assert [row[0] for row in monitor.signals('InterfacesAdded')] \
            == [path, device]
        assert [row[0] for row in monitor.signals('InterfacesRemoved')] \
            == [device, path]
        assert monitor.repeated() == []


def test_a_change_of_policy_is_told(vm, hot):
    path = group_path(vm.group_of('hot'))
    before = vm.busctl_get('', 'Manager', 'PolicyGeneration')
    with Monitor(vm) as monitor:
        vm.policy('50-nic.conf', IDENTITY.replace('identity', 'DMA')
                  + 'rebind = always\n')
        vm.wait(lambda: monitor.changes(path, 'Type')[-1:] == ['DMA'],
                what='Type to be told')
        assert monitor.signals('PolicyReloaded')[0] == [before + 1, True]
        wishes = monitor.changes(device_path(hot), 'Wish')
        assert wishes == ['DMA']
        assert monitor.changes(bus.ROOT, 'PolicyGeneration')[0] == before + 1
        assert monitor.changes(path, 'Target')[-1] == 'DMA'
        decided = vm.wait(lambda: [
            row for row in monitor.signals('Decided')
            if row[3] == 'compliant'], what='the signal Decided')
        assert decided[-1][1:3] == ['identity', 'DMA']
        vm.wait(lambda: monitor.changes(path, 'State')[-1:] == ['compliant'],
                what='State to be told')

        vm.policy('50-nic.conf', '[8086:10d3]\ndomain = wrong\n')
        vm.wait(lambda: [row[1] for row in
                         monitor.signals('PolicyReloaded')] == [True, False],
                what='the signal PolicyReloaded')
        errors = vm.wait(lambda: monitor.changes(bus.ROOT, 'PolicyErrors'),
                         what='the errors to be told')[-1]
        assert [row[1] for row in errors] == [2]
        assert errors[0][0] == POLICY and errors[0][2].endswith('domain')
        # What an error leaves as it was is not told again.
        assert len(monitor.changes(bus.ROOT, 'PolicyGeneration')) == 1
        assert monitor.changes(bus.ROOT, 'PolicyFiles') == []
        assert len(monitor.changes(bus.ROOT, 'PolicyErrors')) == 1
        assert monitor.repeated() == []


def test_nothing_is_told_when_nothing_changes(vm, hot):
    vm.run(['udevadm', 'settle'])
    cursor = vm.out('journalctl -n 0 --show-cursor -q').split()[-1]
    with Monitor(vm) as monitor:
        vm.run(['udevadm', 'trigger', '--settle', '--subsystem-match=pci'])
        call(vm, 'Apply', 'a{sv}', '0', check=True)
        monitor.catch_up()
        assert monitor.signals('Decided') == []
        assert monitor.signals('InterfacesAdded') == []
        assert monitor.signals('InterfacesRemoved') == []
        assert monitor.signals('PropertiesChanged') == []
    assert vm.journal(f'_SYSTEMD_UNIT={UNIT}.service',
                      options=f'--after-cursor="{cursor}"') == []


# -- systemctl's verbs --------------------------------------------------------

def test_stop_and_start(vm, hot):
    vm.run(['systemctl', 'stop', UNIT])
    assert show(vm, 'ActiveState') == 'inactive'
    assert show(vm, 'Result') == 'success'
    names = vm.out('busctl list --no-legend --acquired').split()
    assert bus.SERVICE not in names
    # What it has set stays.
    assert vm.type_of('hot') == 'identity'
    assert vm.driver_of('hot') == 'e1000e'
    vm.run(['systemctl', 'start', UNIT])
    assert active(vm)
    vm.wait(lambda: state(vm, 'hot') == 'compliant', what='the old state')


def test_status_tells_the_groups(vm, hot):
    groups = len(vm.groups())
    vm.wait(lambda: show(vm, 'StatusText') == f'{groups} groups, 1 managed',
            what='STATUS=')
    text = vm.out(['systemctl', 'status', UNIT])
    assert f'Status: "{groups} groups, 1 managed"' in text
    assert 'active (running)' in text
    vm.policy('50-nic.conf', '[8086:10d3]\nrebind = never\ndomain = DMA\n')
    vm.wait(lambda: show(vm, 'StatusText')
            == f'{groups} groups, 1 managed, 1 pending', what='one pending')


def test_reload_reads_the_policy_and_the_settings(vm, hot):
    before = vm.busctl_get('', 'Manager', 'PolicyGeneration')
    pid = show(vm, 'MainPID')
    vm.write('/run/iommu-policyd/iommu-policyd.conf.d/50-audit.conf',
             '[Daemon]\nMode=audit\n')
    with Monitor(vm) as monitor:
        vm.run(['systemctl', 'reload', UNIT])
        assert active(vm) and show(vm, 'MainPID') == pid
        vm.wait(lambda: vm.busctl_get('', 'Manager', 'PolicyGeneration')
                == before + 1, what='the next generation')
        assert vm.busctl_get('', 'Manager', 'Mode') == 'audit'
        assert monitor.changes(bus.ROOT, 'Mode') == ['audit']
        assert monitor.signals('Decided') == []
    vm.run('rm -r /run/iommu-policyd/iommu-policyd.conf.d')
    vm.run(['systemctl', 'reload', UNIT])
    vm.wait(lambda: vm.busctl_get('', 'Manager', 'Mode') == 'enforce',
            what='the mode to be back')


def test_reload_by_method_reports(vm, hot):
    assert call(vm, 'Reload').status == 0
    vm.policy('50-nic.conf', '[8086:10d3]\ndomain = wrong\n')
    result = call(vm, 'Reload')
    assert result.status and '50-nic.conf:2' in result.stderr
    assert state(vm, 'hot') == 'compliant'


def test_restart_changes_nothing_that_is_right(vm, hot):
    vm.write('/tmp/watch-writes',
             (cache.GUEST_FILES / 'watch-writes.py').read_bytes(), 0o755)
    vm.run(['udevadm', 'settle'])
    cursor = vm.out('journalctl -n 0 --show-cursor -q').split()[-1]
    events = vm.start('exec stdbuf -oL udevadm monitor --kernel '
                      '--subsystem-match=pci')
    writes = vm.start('exec /tmp/watch-writes')
    vm.wait(lambda: 'KERNEL' in events.peek().stdout, what='udevadm monitor')
    vm.wait(lambda: writes.peek().stdout == 'watching\n', what='inotify')
    pid = show(vm, 'MainPID')

    vm.run(['systemctl', 'restart', UNIT])
    assert active(vm) and show(vm, 'MainPID') != pid
    vm.wait(lambda: state(vm, 'hot') == 'compliant', what='the old state')
    assert vm.type_of('hot') == 'identity'
    assert vm.driver_of('hot') == 'e1000e'
    # The type that it had before the daemon came is still known.
    assert vm.busctl_get(f'group/{vm.group_of("hot")}', 'Group',
                         'BootType') == 'DMA'
    # An answer to this comes after whatever the start had to do.
    call(vm, 'Apply', 'a{sv}', '0', check=True)

    assert writes.peek().stdout == 'watching\n'
    assert ' (pci)' not in events.peek().stdout
    entries = vm.journal(f'_SYSTEMD_UNIT={UNIT}.service',
                         options=f'--after-cursor="{cursor}"')
    assert [entry['MESSAGE'] for entry in entries
            if 'IOMMU_GROUP' in entry] == []

    # And that both would have seen something:
    vm.run(f'echo > /sys/bus/pci/devices/{hot}/driver_override; '
           f'udevadm trigger /sys/bus/pci/devices/{hot}')
    vm.wait(lambda: f'/{hot}/driver_override' in writes.peek().stdout,
            what='the write to be seen')
    vm.wait(lambda: ' (pci)' in events.peek().stdout,
            what='the event to be seen')
    events.stop()
    writes.stop()


# -- the bus comes and goes ---------------------------------------------------

def test_runs_without_the_bus_and_joins_it(vm, hot):
    pid = show(vm, 'MainPID')
    take_out(vm)
    vm.run(['systemctl', 'stop', 'dbus.socket', 'dbus.service'])
    vm.wait('! busctl list', what='the bus to be gone')
    assert active(vm) and show(vm, 'MainPID') == pid

    put_in(vm)
    vm.wait(lambda: vm.driver_of('hot') == 'e1000e'
            and vm.type_of('hot') == 'identity', what='identity')

    vm.run(['systemctl', 'start', 'dbus.socket', 'dbus.service'])
    vm.wait(lambda: on_bus(vm), what='the daemon on the new bus')
    assert state(vm, 'hot') == 'compliant'
    assert show(vm, 'MainPID') == pid
    # And signals go out on the new bus.
    with Monitor(vm) as monitor:
        vm.policy('50-nic.conf', IDENTITY + 'rebind = always\n')
        vm.wait(lambda: monitor.signals('PolicyReloaded'),
                what='a signal on the new bus')


def test_starts_without_the_bus(vm, hot):
    vm.run(['systemctl', 'stop', 'dbus.socket', 'dbus.service'])
    vm.run(['systemctl', 'restart', UNIT])
    assert active(vm)
    assert vm.run('systemctl is-active dbus.service',
                  check=False).stdout.strip() == 'inactive'
    pid = show(vm, 'MainPID')
    vm.run(['systemctl', 'start', 'dbus.socket', 'dbus.service'])
    vm.wait(lambda: on_bus(vm), what='the daemon on the bus')
    assert show(vm, 'MainPID') == pid
    assert state(vm, 'hot') == 'compliant'


def test_is_activated_by_a_call(vm, hot):
    vm.run(['systemctl', 'stop', UNIT])
    assert not active(vm)
    assert state(vm, 'hot') == 'compliant'
    assert active(vm)


# -- logging, the watchdog, --once --------------------------------------------

def test_log_level_by_systemctl(vm):
    def lines():
        return vm.journal(f'_SYSTEMD_UNIT={UNIT}.service', 'PRIORITY=7')

    assert vm.out(['systemctl', 'service-log-level', UNIT]) == 'info'
    assert vm.out(['systemctl', 'service-log-target', UNIT]) == 'journal'
    before = len(lines())
    vm.run(['systemctl', 'service-log-level', UNIT, 'debug'])
    try:
        assert vm.out(['systemctl', 'service-log-level', UNIT]) == 'debug'
        put_in(vm)
        vm.wait(lambda: len(lines()) > before, what='lines of level debug')
    finally:
        vm.run(['systemctl', 'service-log-level', UNIT, 'info'])
    assert vm.out(['systemctl', 'service-log-level', UNIT]) == 'info'
    assert vm.run(['systemctl', 'service-log-level', UNIT, 'loud'],
                  check=False).status != 0


def test_the_watchdog_is_fed(vm):
    assert show(vm, 'WatchdogUSec') == '30s'
    first = int(show(vm, 'WatchdogTimestampMonotonic'))
    assert first > 0
    vm.wait(lambda: int(show(vm, 'WatchdogTimestampMonotonic')) > first,
            timeout=120, what='the next ping')


def test_a_daemon_that_hangs_is_replaced(vm, hot):
    drop_in = f'/run/systemd/system/{UNIT}.service.d'
    vm.write(f'{drop_in}/50-watchdog.conf', '[Service]\nWatchdogSec=10s\n')
    vm.run(f'systemctl daemon-reload; systemctl restart {UNIT}')
    pid = int(show(vm, 'MainPID'))
    try:
        vm.run(['kill', f'-{int(signal.SIGSTOP)}', str(pid)])
        vm.wait(lambda: int(show(vm, 'MainPID')) not in (0, pid)
                and active(vm), timeout=180, what='another daemon')
        vm.wait(lambda: state(vm, 'hot') == 'compliant', timeout=120,
                what='the old state')
        assert vm.type_of('hot') == 'identity'
        assert vm.driver_of('hot') == 'e1000e'
    finally:
        vm.run(f'rm -r {drop_in}; systemctl daemon-reload; '
               f'systemctl restart {UNIT}')


def test_once_applies_and_ends(vm, hot):
    result = vm.run('iommu-policyd --once', check=False)
    assert result.status != 0
    assert 'running already' in result.stderr \
        + ' '.join(entry['MESSAGE'] for entry in
                   vm.journal('SYSLOG_IDENTIFIER=iommu-policyd'))
    vm.run(['systemctl', 'stop', UNIT])
    vm.policy('50-nic.conf', '[8086:10d3]\ndomain = DMA-FQ\n'
              'rebind = always\n')
    vm.run('iommu-policyd --once')
    assert vm.type_of('hot') == 'DMA-FQ'
    assert vm.driver_of('hot') == 'e1000e'
    assert not active(vm)

    vm.policy('50-nic.conf', '[8086:10d3]\ndomain = nonsense\n')
    # The whole policy that is kept from before is in force.
    vm.run('iommu-policyd --once')
    assert vm.type_of('hot') == 'DMA-FQ'
    vm.run('rm -rf /var/lib/iommu-policyd/*')
    assert vm.run('iommu-policyd --once', check=False).status != 0
    assert vm.type_of('hot') == 'DMA-FQ'
