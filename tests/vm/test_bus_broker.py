# SPDX-License-Identifier: GPL-2.0-or-later
"""The same under dbus-broker, which some distributions have instead of
dbus-daemon: it has other limits, other errors, and forwards calls without
counting them.
"""

from dataclasses import replace

import test_bus_access
import test_bus_load

# What these find, they find here as well.
from test_bus_access import (  # noqa: F401
    ready, test_a_password_that_nobody_can_be_asked_for,
    test_a_polkit_that_hangs_holds_nobody_up,
    test_every_member_that_changes_something_asks_who_calls,
    test_nobody_reads_what_root_reads, test_whom_polkit_allows_it,
    test_without_polkit_it_is_root_only)
from test_bus_load import (  # noqa: F401
    test_a_thousand_calls_a_second, test_one_that_never_reads, usual)

TOPOLOGY = replace(
    test_bus_load.TOPOLOGY, bus='broker',
    files=test_bus_access.TOPOLOGY.files)


def test_which_bus_it_is(vm):
    assert 'dbus-broker' in vm.out('systemctl show -P ExecStart dbus.service')
    assert vm.run('pidof dbus-daemon', check=False).status != 0
