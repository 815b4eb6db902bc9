# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel that looks for bugs finds them, and the harness is told.

Otherwise the module's scenarios on that kernel would pass for no reason.
"""

from pathlib import Path

import pytest

from vmtest import Topology, kernel, module
from vmtest.kernellog import complaints

pytestmark = pytest.mark.kernels('debug')

TOPOLOGY = Topology(ports=[], enable=(), expect_kernel=['.'])

SOURCE = Path(__file__).with_name('faulty')
NAME = 'iommu_policy_faulty'


@pytest.fixture
def commit(vm):
    """commit('order') has the module make that mistake; it is unloaded."""
    vm.write(f'/run/{NAME}.ko', module.other(kernel.get(vm.release), SOURCE))
    return lambda fault: vm.run(f'insmod /run/{NAME}.ko fault={fault} && '
                                f'rmmod {NAME}')


# lockdep's is the first: it has no second report.
@pytest.mark.parametrize('fault, report', [
    ('order', 'WARNING: possible circular locking dependency detected'),
    ('sleep', 'BUG: scheduling while atomic'),
    ('use-after-free', 'BUG: KASAN: slab-use-after-free'),
    ('work', 'ODEBUG: free active'),
    ('list', '__list_add_valid'),
])
def test_faults_are_reported(vm, commit, fault, report):
    before = len(vm.machine.console_text())
    commit(fault)
    vm.wait(lambda: [line for line in complaints(
        vm.machine.console_text()[before:]) if report in line], what=report)


def test_leaks_are_reported(vm, commit):
    """Also when the module and with it its functions' names are gone."""
    commit('leak')
    wrong = vm.checkers()
    assert 'lockdep has turned itself off' in wrong
    assert any(line.startswith('kmemleak: unreferenced object')
               for line in wrong), wrong
