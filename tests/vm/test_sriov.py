# SPDX-License-Identifier: GPL-2.0-or-later
"""127 virtual functions are made and removed at once: each has a group, and
what its own rule says."""

import time

import pytest

from vmtest import Topology, policyd, sriov_nvme
from vmtest.client import wait_driver

COUNT = 127

# There at boot: a port has room for so many only if the firmware has seen it.
PARENT = sriov_nvme('pf', 'rp1', COUNT)

TOPOLOGY = Topology(
    ports=['rp1'], module=True, load=['nvme', 'vfio-pci'],
    subsystems=['ss'], cold=[PARENT],
    policy={'50-port.conf': '''\
[port]
match-parent = 0000:00:08.0
domain = DMA-FQ

[functions]
match-parent = 0000:00:08.0
match-virtual-function = yes
domain = identity

[one]
match-address = 0000:01:05.*
match-virtual-function = yes
domain = DMA
driver = vfio-pci
'''})

pytestmark = [pytest.mark.brief('6.12'), pytest.mark.usefixtures('backend')]

FOLDER = '/sys/bus/pci/devices/0000:01:00.0'


@pytest.fixture
def parent(vm, backend):
    """The physical function. Its functions' nvme would find them offline."""
    wait_driver(vm, '0000:01:00.0', driver='nvme')
    policyd.wait_state(vm, 'pf', 'compliant', 'DMA-FQ')
    vm.run(f'echo 0 > {FOLDER}/sriov_drivers_autoprobe')
    yield
    vm.run(f'echo 0 > {FOLDER}/sriov_numvfs', timeout=120)


# One process: a shell would need some hundred, of a machine that is busy.
LOOK = f'''\
import glob, os
for path in glob.glob("{FOLDER}/virtfn*"):
    try:
        driver = path + "/driver"
        print(os.path.basename(os.readlink(path)),
              open(path + "/iommu_group/type").read().strip(),
              os.path.basename(os.readlink(driver))
              if os.path.lexists(driver) else "none",
              open(path + "/driver_override").read().strip())
    except OSError:
        pass    # it is coming, or going
'''


def functions(vm):
    """{address: (type, driver, override)} of what there is."""
    lines = vm.out(['python3', '-c', LOOK]).splitlines()
    return {line.split()[0]: tuple(line.split()[1:]) for line in lines}


def objects(vm):
    """{group: (state, type)} as the bus has it, of groups with functions."""
    found = vm.busctl('call', policyd.SERVICE, policyd.ROOT,
                      'org.freedesktop.DBus.ObjectManager',
                      'GetManagedObjects')[0]
    groups = {}
    for members in found.values():
        group = members.get(f'{policyd.SERVICE}.Group')
        if group and any('_3a01_3a' in path
                         for path in group['Devices']['data']):
            groups[group['Id']['data']] = (group['State']['data'],
                                           group['Type']['data'])
    return groups


def wanted(address):
    """Of the slot that a rule names the functions differ."""
    if address.startswith('0000:01:05.'):
        return 'DMA', 'vfio-pci', 'vfio-pci'
    return 'identity', 'none', '(null)'


def make(vm, count=COUNT):
    """Makes them, and waits for each to have what its rule says. How long that
    is beside the least that it could be: tests/bench/groups.py."""
    began = time.monotonic()
    vm.run(f'echo {count} > {FOLDER}/sriov_numvfs', timeout=120)
    made = time.monotonic()

    def look():
        found = functions(vm)
        wrong = {address: seen for address, seen in found.items()
                 if seen != wanted(address)}
        assert len(found) == count and not wrong, wrong
        return True
    vm.wait(look, timeout=240, interval=1,
            what='each to have what its rule says')
    done = time.monotonic()
    print(f'{count} functions: made in {made - began:.1f} s, '
          f'right {done - made:.1f} s later')


def remove(vm):
    vm.run(f'echo 0 > {FOLDER}/sriov_numvfs', timeout=120)
    vm.wait(lambda: list(objects(vm).values())
            == [('compliant', 'DMA-FQ')], what='their groups to go')
    vm.wait('test -z "$(ls /run/iommu-policyd/transaction)"')


def test_each_to_its_policy(vm, parent):
    mark = policyd.mark(vm)
    make(vm)

    def told():
        found = list(objects(vm).values())
        assert len(found) == COUNT + 1, len(found)
        assert {state for state, _ in found} == {'compliant'}, found
        return found
    found = vm.wait(told, what='the bus to tell of all of them')
    assert found.count(('compliant', 'identity')) == COUNT - 8
    assert found.count(('compliant', 'DMA')) == 8
    assert policyd.entries(vm, 'failed', mark) == []
    remove(vm)
    assert policyd.entries(vm, 'failed', mark) == []


@pytest.mark.brief()
def test_made_and_removed_again_and_again(vm, parent):
    """Groups' numbers and addresses are used again, by others."""
    for count in (COUNT, 3, COUNT):
        make(vm, count)
        remove(vm)


def test_removed_in_the_middle(vm, parent):
    """What goes while it is changed leaves nothing, and no failure for good."""
    vm.run(f'echo {COUNT} > {FOLDER}/sriov_numvfs && '
           f'echo 0 > {FOLDER}/sriov_numvfs', timeout=120)
    vm.wait(lambda: list(objects(vm).values())
            == [('compliant', 'DMA-FQ')], what='their groups to go')
    vm.wait('test -z "$(ls /run/iommu-policyd/transaction)"')
    make(vm, 9)
    remove(vm)
