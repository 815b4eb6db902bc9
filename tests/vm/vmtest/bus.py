# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's bus as a scenario sees it: paths, introspection, signals."""

from __future__ import annotations

import json
import xml.etree.ElementTree as tree
from typing import Any

from . import cache
from .vm import VM

SERVICE = 'org.iommupolicy1'
ROOT = '/org/iommupolicy1'
PROPERTIES = 'org.freedesktop.DBus.Properties'
MANAGER = 'org.freedesktop.DBus.ObjectManager'
_EMITS = 'org.freedesktop.DBus.Property.EmitsChangedSignal'


def encode(label: str) -> str:
    """A label as sd_bus_path_encode(3) writes it."""
    found = ''
    for index, letter in enumerate(label):
        plain = letter.isascii() and letter.isalpha() \
            or letter.isdigit() and index
        found += letter if plain else f'_{ord(letter):02x}'
    return found or '_'


def group_path(number: int) -> str:
    return f'{ROOT}/group/{encode(str(number))}'


def device_path(address: str) -> str:
    return f'{ROOT}/device/{encode(address)}'


def plain(value: Any) -> Any:
    """busctl's JSON with its variants unwrapped."""
    if isinstance(value, dict):
        if set(value) == {'type', 'data'}:
            return plain(value['data'])
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def get_all(vm: VM, path: str, interface: str) -> dict[str, Any]:
    """All properties of one of our interfaces."""
    found, = vm.busctl('call', SERVICE, path, PROPERTIES, 'GetAll', 's',
                       f'{SERVICE}.{interface}')
    return plain(found)


def managed_objects(vm: VM) -> dict[str, dict[str, dict[str, Any]]]:
    found, = vm.busctl('call', SERVICE, ROOT, MANAGER, 'GetManagedObjects')
    return plain(found)


# -- what there is to call ----------------------------------------------------

Members = dict[str, tuple]


def _members(interface: tree.Element) -> Members:
    found: Members = {}
    for node in interface:
        if node.tag not in ('method', 'signal', 'property'):
            continue
        notes = {note.get('name'): note.get('value')
                 for note in node.findall('annotation')}
        if node.tag == 'property':
            detail: tuple = (node.get('type'), node.get('access'),
                             notes.get(_EMITS, 'true'))
        else:
            # A signal's arguments need no direction.
            detail = tuple((arg.get('name'), arg.get('type'),
                            arg.get('direction', 'in')
                            if node.tag == 'method' else '')
                           for arg in node.findall('arg'))
        found[f'{node.tag} {node.get("name")}'] = detail
    return found


def _interfaces(text: str) -> dict[str, Members]:
    return {str(node.get('name')): _members(node)
            for node in tree.fromstring(text).findall('interface')}


def documented() -> dict[str, Members]:
    """What docs/ promises: interface → "kind name" → its signature."""
    path = cache.TOP / 'docs' / f'{SERVICE}.xml'
    return _interfaces(path.read_text())


def introspected(vm: VM, path: str) -> dict[str, Members]:
    """What the running daemon says of an object."""
    found, = vm.busctl('call', SERVICE, path,
                       'org.freedesktop.DBus.Introspectable', 'Introspect')
    return _interfaces(found)


# -- what is told -------------------------------------------------------------

_BEGIN_RULE = f"type='signal',interface='{SERVICE}.Test',member='Begin'"


class Monitor:
    """busctl monitor, from the moment that it listens."""

    def __init__(self, vm: VM, rule: str = "type='signal',"
                 f"path_namespace='{ROOT}'") -> None:
        self._vm = vm
        self._marks = 0
        self._job = vm.start('exec stdbuf -oL busctl monitor --json=short '
                             f'--match="{rule}" --match="{_BEGIN_RULE}"')
        # With --json, systemd 257 does not say when it listens.
        vm.wait(self._has_begun, what='busctl monitor')

    def _has_begun(self) -> bool:
        self._vm.run(['busctl', 'emit', f'{ROOT}/test', f'{SERVICE}.Test',
                      'Begin'])
        return 'Begin' in self._job.peek().stdout

    def messages(self) -> list[dict[str, Any]]:
        lines = self._job.peek().stdout.split('\n')
        # What follows the last newline is still being written.
        found = [json.loads(line) for line in lines[:-1] if line]
        return [message for message in found
                if message.get('member') != 'Begin']

    def catch_up(self) -> None:
        """Returns when all that the daemon has had to tell by now is here."""
        # What had to be told before this is told before its answer.
        self._vm.busctl_get('', 'Manager', 'Mode')
        self._marks += 1
        self._vm.run(['busctl', 'emit', f'{ROOT}/test', f'{SERVICE}.Test',
                      'Mark', 'u', str(self._marks)])
        self._vm.wait(lambda: [self._marks] in self.signals('Mark'),
                      what='busctl monitor to catch up')

    def signals(self, member: str, path: str | None = None) -> list[Any]:
        """The arguments of all signals of that name, oldest first."""
        return [plain(message['payload']['data'])
                for message in self.messages()
                if message.get('member') == member
                and path in (None, message.get('path'))]

    def changes(self, path: str, name: str) -> list[Any]:
        """The values that a property of an object was said to have."""
        return [values[name] for _, values, _ in
                self.signals('PropertiesChanged', path) if name in values]

    def repeated(self) -> list[tuple[str, str, Any]]:
        """What was told as changed and had been told with that value."""
        known: dict[tuple[str, str], Any] = {}
        found = []
        for message in self.messages():
            told = plain(message['payload']['data']) \
                if message.get('payload') else []
            if message.get('member') == 'InterfacesAdded':
                for values in told[1].values():
                    known.update({(told[0], name): value
                                  for name, value in values.items()})
            elif message.get('member') == 'InterfacesRemoved':
                known = {key: value for key, value in known.items()
                         if key[0] != told[0]}
            elif message.get('member') == 'PropertiesChanged':
                for name, value in told[1].items():
                    key = (message['path'], name)
                    if key in known and known[key] == value:
                        found.append((*key, value))
                    known[key] = value
        return found

    def stop(self) -> None:
        self._job.stop()

    def __enter__(self) -> 'Monitor':
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()
