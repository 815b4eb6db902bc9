# SPDX-License-Identifier: GPL-2.0-or-later
"""iommu-policyctl in a guest: as text, as documents of a known shape, and at a
terminal."""

from __future__ import annotations

import json
from typing import Any

from .vm import VM, Result

# What each thing has in a document: the shape, whatever the machine.
TEXT, NUMBER, FLAG = (str,), (int,), (bool,)
MAYBE_TEXT, MAYBE_NUMBER = (str, type(None)), (int, type(None))
RULE = {'name': TEXT, 'file': TEXT, 'line': NUMBER}
DEVICE = {
    'address': TEXT, 'group': MAYBE_NUMBER, 'vendor_id': NUMBER,
    'device_id': NUMBER, 'subsystem_vendor_id': NUMBER,
    'subsystem_device_id': NUMBER, 'class': NUMBER,
    'vendor_name': MAYBE_TEXT, 'device_name': MAYBE_TEXT,
    'class_name': MAYBE_TEXT, 'driver': MAYBE_TEXT, 'removable': FLAG,
    'virtual_function': FLAG, 'bridge': FLAG, 'rule': (RULE, None),
    'wish': MAYBE_TEXT}
GROUP = {
    'id': NUMBER, 'type': TEXT, 'boot_type': TEXT, 'target': MAYBE_TEXT,
    'state': TEXT, 'reason': MAYBE_TEXT, 'changed_usec': MAYBE_NUMBER,
    'owner': TEXT, 'requires_direct': FLAG, 'set_at_run_time': FLAG,
    'drifted': FLAG, 'rules': [RULE],
    'last_error': ({'name': TEXT, 'message': TEXT}, None),
    'reserved_regions': [{'first': NUMBER, 'last': NUMBER, 'type': TEXT}],
    'devices': [DEVICE]}
POLICY = {
    'policy_generation': NUMBER, 'policy_files': [TEXT],
    'policy_errors': [{'file': TEXT, 'line': MAYBE_NUMBER,
                       'section': MAYBE_TEXT, 'key': MAYBE_TEXT,
                       'message': TEXT}]}
MANAGER = {'version': TEXT, 'interface_version': NUMBER, 'mode': TEXT,
           'backend': TEXT, **POLICY, 'kernel_features': [TEXT]}
RESULTS = {'results': [{'group': NUMBER, 'state': TEXT,
                        'reason': MAYBE_TEXT}]}
ERROR = {'error': {'name': TEXT, 'message': TEXT, 'hint': MAYBE_TEXT}}
STEP = {'name': TEXT, 'file': TEXT, 'line': NUMBER, 'matched': FLAG,
        'detail': MAYBE_TEXT}
VOTE = {'device': TEXT, 'kind': TEXT, 'wish': MAYBE_TEXT, 'type': MAYBE_TEXT,
        'wins': FLAG, 'rule': (RULE, None)}
EXPLANATION = {
    'device': TEXT, 'rules': [STEP], 'group': MAYBE_NUMBER, 'type': TEXT,
    'target': MAYBE_TEXT, 'state': TEXT, 'reason': MAYBE_TEXT,
    'set_by_hand': FLAG, 'votes': [VOTE], 'advice': [TEXT]}


def check(value: Any, shape: Any, where: str = 'document') -> None:
    """Holds a document against a shape; no member is missing or new."""
    if isinstance(shape, tuple) and isinstance(shape[0], dict):
        if value is not None:
            check(value, shape[0], where)
    elif isinstance(shape, tuple):
        assert type(value) in shape, (where, value)
    elif isinstance(shape, list):
        assert isinstance(value, list), (where, value)
        for index, item in enumerate(value):
            check(item, shape[0], f'{where}[{index}]')
    else:
        assert isinstance(value, dict), (where, value)
        assert value.keys() == shape.keys(), where
        for key, inner in shape.items():
            check(value[key], inner, f'{where}.{key}')


def ctl(vm: VM, words: str = '', status: int = 0, env: str = '') -> Result:
    """Runs the command; STATUS is the exit status that it must have."""
    result = vm.run(f'{env} iommu-policyctl {words}', check=False)
    assert result.status == status, str(result)
    return result


def document(vm: VM, words: str, shape: Any, status: int = 0) -> Any:
    """What --json prints: one document, one line, of that shape."""
    result = ctl(vm, f'{words} --json=short', status)
    assert result.stdout.count('\n') == 1, str(result)
    value = json.loads(result.stdout)
    check(value, shape)
    return value


def terminal(vm: VM, words: str = '', columns: int = 80, env: str = '',
             status: int = 0) -> str:
    """The same at a terminal, which script(1) makes; without its \\r."""
    command = f'stty cols {columns} rows 24; {env} iommu-policyctl {words}'
    result = vm.run(['env', '-u', 'SYSTEMD_PAGER', '-u', 'SYSTEMD_COLORS',
                     '-u', 'NO_COLOR', 'TERM=xterm', 'script',
                     '-qec', command, '/dev/null'], check=False)
    assert result.status == status, str(result)
    return result.stdout.replace('\r', '')
