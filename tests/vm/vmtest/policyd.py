# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon tells of groups and policies: bus, journal, status."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Iterator

from . import cache
from .vm import VM

SERVICE = 'org.iommupolicy1'
ROOT = '/org/iommupolicy1'
UNIT = 'iommu-policyd.service'
FOLDER = '/etc/iommu-policyd/policy.d'

# MESSAGE_IDs are for other programs too: stable, and written down twice.
MESSAGES = {
    'decided': '0f5672f8527d4a95b169d0b12725064f',
    'applied': 'd78709716d1f491bb84d3223daaaec5d',
    'pending': 'b936fd317fdf41918dd179439efc51a3',
    'refused': '836dda4713d444acbbddc178b5354d53',
    'failed': '1e4bd510e63b464b977b500675d5d349',
    'user-owned': '05d101dce79a4d92a1ae15adde39e885',
    'drifted': '9a70026844df4e5ab0481086609514f5',
    'unmanaged': 'c635a119cabd44d4a2bfee25c57c9755',
    'policy-loaded': '1fbdcf58f90743888d0340a52aef4cfd',
    'policy-error': '6499f5fe701d4c999770dad94d703109',
    'module-came': '204be75cda184d26a3652bac8a8a2b49',
    'module-went': 'e06a0fcfc85d414cafe5d380864c6ff6',
    'policy-kept': 'b7ec199f1b1f41e6afa81f99538f4400',
    'no-iommu': '60e6bbf54d464756b7ff0c5b1259d7b1',
    'cannot-change': '0b92403fb02c4a5f9a61e98693ed1967',
    'recovered': 'ee1b5ba7d8ac4f069c5a3a74f9ee21f0',
    'left-out': '0884fd8eae474512927cae24b57c9b3b',
}


def group(vm: VM, device: str | int) -> dict[str, Any]:
    """All properties of a group, named by number or by a device in it."""
    number = vm.group_of(device) if isinstance(device, str) else device
    if number is None:
        raise LookupError(f'{device} has no group')
    result = vm.run(['busctl', '--json=short', 'call', SERVICE,
                     f'{ROOT}/group/_{ord(str(number)[0]):02x}'
                     f'{str(number)[1:]}',
                     'org.freedesktop.DBus.Properties', 'GetAll', 's',
                     f'{SERVICE}.Group'], check=False)
    if result.status:
        raise LookupError(str(result))
    found = json.loads(result.stdout)['data'][0]
    return {name: value['data'] for name, value in found.items()}


def wait_state(vm: VM, device: str | int, state: str,
               type: str | None = None, **options: Any) -> dict[str, Any]:
    """Waits until a group is in a state (and has a type)."""
    def look() -> dict[str, Any] | None:
        found = group(vm, device)
        seen = (found['State'], found['Type'], found['Reason'])
        assert found['State'] == state, seen
        assert type in (None, found['Type']), seen
        return found
    return vm.wait(look, what=f'{device} to be {state} {type or ""}',
                   **options)


def manager(vm: VM, name: str) -> Any:
    return vm.busctl_get(ROOT, 'Manager', name)


def backend(vm: VM, name: str) -> None:
    """Loads the kernel module, or has the daemon and its unit do without."""
    module = name == 'module'
    vm.run('mkdir -p /run/modprobe.d')
    # The unit asks for it at every start, as systems do that have it.
    vm.write('/run/modprobe.d/test.conf',
             '' if module else 'blacklist iommu_policy\n')
    vm.run('modprobe iommu_policy' if module else
           'modprobe -r iommu_policy')
    vm.wait(lambda: manager(vm, 'Backend') == name, what=f'backend {name}')


@contextlib.contextmanager
def asleep(vm: VM) -> Iterator[None]:
    """The daemon hears and decides nothing meanwhile."""
    vm.run(f'systemctl kill -s STOP {UNIT}')
    try:
        yield
    finally:
        vm.run(f'systemctl kill -s CONT {UNIT}')


def status(vm: VM) -> str:
    """The line that systemctl status shows."""
    return vm.out(['systemctl', 'show', '-P', 'StatusText', UNIT])


def number(entry: dict[str, Any]) -> int:
    """An entry's place in the journal: the i= of its cursor."""
    return int(entry['__CURSOR'].split(';i=')[1].split(';')[0], 16)


def mark(vm: VM) -> int:
    """Where the journal ends now, for `entries` to begin after."""
    vm.run('journalctl --sync')
    return max(map(number, vm.journal(options='-n1')))


def sent(entry: dict[str, Any]) -> float:
    """When an entry was sent, in seconds since boot: journald may be later."""
    if '_SOURCE_MONOTONIC_TIMESTAMP' in entry:   # by the kernel's log
        return int(entry['_SOURCE_MONOTONIC_TIMESTAMP']) / 1e6
    late = int(entry['__REALTIME_TIMESTAMP']) \
        - int(entry['_SOURCE_REALTIME_TIMESTAMP'])
    return (int(entry['__MONOTONIC_TIMESTAMP']) - late) / 1e6


def entries(vm: VM, kind: str, after: int = 0,
            **fields: str | int) -> list[dict[str, Any]]:
    """The daemon's entries of one kind, with these fields.

    --after-cursor would not do: together with matches, systemd 252 takes the
    cursor for one of the entries that match, and skips one too many.
    """
    found = vm.journal(f'MESSAGE_ID={MESSAGES[kind]}',
                       f'_SYSTEMD_UNIT={UNIT}',
                       *(f'{name}={value}' for name, value in fields.items()))
    return [entry for entry in found if number(entry) > after]


def entry(vm: VM, kind: str, after: int = 0, timeout: float = 60,
          **fields: str | int) -> dict[str, Any]:
    """The one entry of that kind and with these fields, once it is there."""
    found = vm.wait(lambda: entries(vm, kind, after, **fields), timeout,
                    what=f'the journal entry {kind} {fields}')
    assert len(found) == 1, found
    return found[0]


def policies(vm: VM, reload: bool = True, **files: str | None) -> None:
    """Writes (None: removes) policy files; a name stands for 50-NAME.conf.

    Returns when the decisions are made, unless only the watch on the folder
    shall notice.
    """
    for name, text in files.items():
        vm.policy(f'50-{name}.conf', text)
    if reload:
        vm.busctl('call', SERVICE, ROOT, f'{SERVICE}.Manager', 'Reload')


def path(name: str) -> str:
    """Where `policies` writes NAME."""
    return f'{FOLDER}/50-{name}.conf'


Call = tuple[str, str, list[Any]]      # member, signature, arguments


def calls(vm: VM, wanted: list[Call], user: str = 'root', where: str = ROOT,
          interface: str = f'{SERVICE}.Manager') -> list[tuple[str, str]]:
    """Calls methods for their errors: (name, message), ('', '') for none.

    Arguments are JSON; a dictionary's values are [signature, value].
    """
    script = (cache.GUEST_FILES / 'bus-call.py').read_text()
    words = ['python3', '-', SERVICE, where, interface, json.dumps(wanted)]
    if user != 'root':
        words = ['setpriv', f'--reuid={user}', '--regid=nogroup',
                 '--clear-groups', '--', *words]
    answers = json.loads(vm.run(words, input=script, timeout=300).stdout)
    return [(name, message) for name, message in answers]


def call(vm: VM, member: str, signature: str = '', *arguments: Any,
         **options: str) -> tuple[str, str]:
    """One of these."""
    return calls(vm, [(member, signature, list(arguments))], **options)[0]
