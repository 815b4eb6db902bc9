# SPDX-License-Identifier: GPL-2.0-or-later
"""What of test_bus_and_service.py another bus might do in another way: errors,
signals, activation, and a bus that comes and goes.
"""

from dataclasses import replace

import test_bus_and_service

from test_bus_and_service import (  # noqa: F401
    as_found, hot, test_a_change_is_told_as_it_happens,
    test_introspection_is_the_document, test_is_activated_by_a_call,
    test_log_level_by_systemctl, test_runs_without_the_bus_and_joins_it,
    test_wrong_calls_have_named_errors)
from test_bus_broker import test_which_bus_it_is  # noqa: F401

TOPOLOGY = replace(test_bus_and_service.TOPOLOGY, bus='broker')
