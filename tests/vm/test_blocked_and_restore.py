# SPDX-License-Identifier: GPL-2.0-or-later
"""Quarantine by its documented substitute (type DMA, no driver, pinned), and
Restore(): what a rule or a request has brought about is taken back."""

from vmtest import Topology, e1000e, pair, policyd

TOPOLOGY = Topology(
    ports=['rp1', 'rp2', 'rp3'],
    cold=[e1000e('cold', 'rp2'), *pair('f0', 'f1', 'rp3')],
    load=['e1000e', 'nvme', 'vfio-pci'])

PIN = 'iommu-policyd-hold'
BLOCKED = '[8086:10d3]\nmatch-address = 0000:01:*\ndomain = blocked\n'


def state(vm, device):
    return vm.busctl_get(f'group/{vm.group_of(device)}', 'Group', 'State')


def bus_type(vm, device):
    return vm.busctl_get(f'group/{vm.group_of(device)}', 'Group', 'Type')


def override(vm, device):
    return vm.out(f'cat /sys/bus/pci/devices/{vm.address(device)}/driver_override').strip()


def call(vm, member, *args):
    return vm.run('busctl call org.iommupolicy1 /org/iommupolicy1 org.iommupolicy1.Manager '
                  f'{member} {" ".join(args)}', check=False)


def test_blocked_from_the_first_moment(vm):
    vm.policy('60-quarantine.conf', BLOCKED)
    vm.wait(lambda: 'quarantine' in str(vm.busctl_get('', 'Manager', 'PolicyFiles')), what='the policy')
    vm.plug(e1000e('nic', 'rp1'))
    vm.wait(lambda: state(vm, 'nic') == 'compliant', what='quarantine')
    assert bus_type(vm, 'nic') == 'blocked'
    assert vm.type_of('nic') == 'DMA'
    assert vm.driver_of('nic') is None
    assert override(vm, 'nic') == PIN
    assert vm.busctl_get(f'group/{vm.group_of("nic")}', 'Group', 'Owner') == 'policy'
    address = vm.address('nic')
    assert vm.run(f'echo {address} > /sys/bus/pci/drivers/e1000e/bind', check=False).status != 0
    assert vm.driver_of('nic') is None


def test_restart_keeps_it_shut(vm):
    vm.run('systemctl restart iommu-policyd')
    vm.wait(lambda: state(vm, 'nic') == 'compliant', what='the state after a restart')
    assert bus_type(vm, 'nic') == 'blocked'
    assert override(vm, 'nic') == PIN
    assert vm.driver_of('nic') is None


def test_another_policy_opens_it(vm):
    vm.policy('60-quarantine.conf', BLOCKED.replace('blocked', 'DMA'))
    vm.wait(lambda: bus_type(vm, 'nic') == 'DMA' and state(vm, 'nic') == 'compliant', what='the end of quarantine')
    assert vm.driver_of('nic') == 'e1000e'
    assert override(vm, 'nic') == '(null)'
    assert vm.out('ls /run/iommu-policyd/transaction').strip() == ''


def test_a_kill_in_quarantine_loses_nothing(vm):
    vm.policy('60-quarantine.conf', BLOCKED + 'rebind = always\n')
    vm.wait(lambda: bus_type(vm, 'nic') == 'blocked', what='quarantine of a bound device')
    vm.run('systemctl kill -s KILL iommu-policyd')
    vm.wait('busctl status org.iommupolicy1 >/dev/null', what='the daemon after a kill')
    vm.wait(lambda: state(vm, 'nic') == 'compliant', what='the state after a kill')
    assert override(vm, 'nic') == PIN
    vm.policy('60-quarantine.conf', None)
    vm.wait(lambda: state(vm, 'nic') == 'unmanaged', what='the rule to be gone')
    # Taking a rule away changes nothing by itself.
    assert override(vm, 'nic') == PIN
    reason = vm.busctl_get(f'group/{vm.group_of("nic")}', 'Group', 'Reason')
    assert 'restore' in reason and '60-quarantine.conf' in reason


def test_restore_opens_it(vm):
    result = call(vm, 'Restore', 'u', str(vm.group_of('nic')))
    assert result.status == 0, result.stderr
    assert 'unmanaged' in result.stdout
    assert vm.driver_of('nic') == 'e1000e'
    assert override(vm, 'nic') == '(null)'
    vm.unplug('nic')


def test_restore_takes_the_rules_driver_back(vm):
    vm.policy('60-vfio.conf', '[8086:10d3]\ndomain = identity\ndriver = vfio-pci\n'
                              'match-address = 0000:01:*\n')
    vm.wait(lambda: 'vfio' in str(vm.busctl_get('', 'Manager', 'PolicyFiles')), what='the policy')
    vm.plug(e1000e('guest', 'rp1'))
    vm.wait(lambda: state(vm, 'guest') == 'compliant', what='vfio-pci')
    assert vm.driver_of('guest') == 'vfio-pci'
    assert vm.type_of('guest') == 'identity'
    assert override(vm, 'guest') == 'vfio-pci'
    result = call(vm, 'Restore', 'u', str(vm.group_of('guest')))
    assert result.status == 0, result.stderr
    assert vm.driver_of('guest') == 'e1000e'
    assert vm.type_of('guest') == 'DMA'
    assert override(vm, 'guest') == '(null)'
    # Not fought over at the next restart: what was asked for outlives it.
    vm.run('systemctl restart iommu-policyd')
    vm.wait(lambda: state(vm, 'guest') == 'compliant', what='the state after a restart')
    assert vm.driver_of('guest') == 'e1000e'
    # The next policy change of the group wins.
    vm.policy('60-vfio.conf', '[8086:10d3]\nmatch-address = 0000:01:*\n'
                              'domain = identity\nrebind = always\n')
    vm.wait(lambda: vm.type_of('guest') == 'identity' and vm.driver_of('guest') == 'e1000e',
            what='the changed policy')
    vm.policy('60-vfio.conf', None)
    vm.unplug('guest')


def test_set_type_outlives_a_restart_and_no_driver_is_lost(vm):
    group = vm.group_of('cold')
    result = call(vm, 'SetGroupType', 'usa{sv}', str(group), 'identity', '0')
    assert result.status == 0 and 'pending' in result.stdout, result
    assert vm.driver_of('cold') == 'e1000e'
    result = call(vm, 'SetGroupType', 'usa{sv}', str(group), 'IDENTITY', '1', 'rebind', 'b', 'true')
    assert result.status == 0 and 'compliant' in result.stdout, result
    assert vm.type_of('cold') == 'identity'
    assert vm.driver_of('cold') == 'e1000e'
    vm.run('systemctl restart iommu-policyd')
    vm.wait(lambda: state(vm, 'cold') == 'compliant', what='the state after a restart')
    assert vm.busctl_get(f'group/{group}', 'Group', 'Target') == 'identity'
    result = call(vm, 'Restore', 'u', str(group))
    assert result.status == 0 and 'unmanaged' in result.stdout, result
    assert vm.type_of('cold') == 'DMA'
    assert vm.driver_of('cold') == 'e1000e'


def test_what_comes_back_to_its_group_is_shut_again(vm):
    """Its pin went with it, and the rest of the group kept the quarantine."""
    f0, f1 = vm.address('f0'), vm.address('f1')
    vm.policy('60-pair.conf', f'[pair]\nmatch-address = {f0} {f1}\n'
              'domain = blocked\nrebind = always\n')
    policyd.wait_state(vm, f0, 'compliant', 'blocked')

    def is_shut():
        policyd.wait_state(vm, f0, 'compliant', 'blocked')
        assert [override(vm, name) for name in ('f0', 'f1')] == [PIN, PIN]
        assert [vm.driver_of(name) for name in (f0, f1)] == [None, None]

    # The driver comes later, as udev would load it.
    vm.run(f'modprobe -r e1000e; echo 1 > /sys/bus/pci/devices/{f1}/remove')
    vm.wait(lambda: len(policyd.group(vm, f0)['Devices']) == 1,
            what='the device to leave')
    vm.run('echo 1 > /sys/bus/pci/rescan')
    vm.wait(lambda: len(policyd.group(vm, f0)['Devices']) == 2
            and override(vm, 'f1') == PIN, what='the device to be back')
    vm.run('modprobe e1000e')
    is_shut()

    # The same while nobody looks.
    vm.run(f'systemctl stop {policyd.UNIT}; modprobe -r e1000e; '
           f'echo 1 > /sys/bus/pci/devices/{f1}/remove; '
           f'echo 1 > /sys/bus/pci/rescan; systemctl start {policyd.UNIT}')
    vm.wait(lambda: override(vm, 'f1') == PIN, what='the pin')
    vm.run('modprobe e1000e')
    is_shut()

    vm.policy('60-pair.conf', f'[pair]\nmatch-address = {f0} {f1}\n'
              'domain = DMA\nrebind = always\n')
    policyd.wait_state(vm, f0, 'compliant', 'DMA')
    assert [vm.driver_of(name) for name in (f0, f1)] == ['e1000e', 'e1000e']
    vm.policy('60-pair.conf', None)
