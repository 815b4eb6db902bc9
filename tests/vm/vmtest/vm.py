# SPDX-License-Identifier: GPL-2.0-or-later
"""A running guest, as a scenario sees it."""

from __future__ import annotations

import base64
import contextlib
import json
import shlex
import signal as signals
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

from . import kernellog, pace
from .channel import GuestGone
from .machine import POLICY, Machine
from .qmp import QmpError
from .topology import Device, Topology

DEVICES = '/sys/bus/pci/devices'
GROUPS = '/sys/kernel/iommu_groups'
# Seconds; pciehp waits five of them before it does what a button asks for.
PRESS_AGAIN = 20


@dataclass(frozen=True)
class Result:
    """What a command in the guest left behind."""

    command: str
    status: int
    stdout: str
    stderr: str
    raw: bytes      # standard output, byte for byte

    def __str__(self) -> str:
        return (f'{self.command}\nexit status {self.status}\n'
                f'{self.stdout}{self.stderr}')


class CommandFailed(AssertionError):
    """A command that had to succeed did not."""

    def __init__(self, result: Result) -> None:
        super().__init__(f'in the guest: {result}')
        self.result = result


def _result(command: str, state: dict[str, Any]) -> Result:
    raw = base64.b64decode(state['out'])
    return Result(command, state['exit'], raw.decode(errors='replace'),
                  base64.b64decode(state['err']).decode(errors='replace'),
                  raw)


class Job:
    """A command that runs on in the guest while the scenario does more."""

    def __init__(self, vm: VM, command: str, data: bytes) -> None:
        self._vm = vm
        self.command = command
        answer = vm.request('start', command=command,
                            input=base64.b64encode(data).decode())
        self.number, self.pid = answer['job'], answer['pid']

    def poll(self) -> Result | None:
        """Its result, or None while it is running."""
        result = self.peek()
        return None if result.status is None else result

    def peek(self, wait: float = 0) -> Result:
        """All output so far; `status` is None while it is running."""
        return _result(self.command, self._vm.request(
            'poll', timeout=wait, answer_in=wait + 60, job=self.number))

    def wait(self, timeout: float = 60, check: bool = True) -> Result:
        result = self.peek(timeout * self._vm.slowness)
        if result.status is None:
            raise TimeoutError(f'still running after {timeout} s: {result}')
        if check and result.status:
            raise CommandFailed(result)
        return result

    def stop(self, signal: int = signals.SIGTERM,
             timeout: float = 60) -> Result:
        """Signals the command with all its children and awaits its end."""
        self._vm.request('kill', job=self.number, signal=int(signal))
        return self.wait(timeout, check=False)


class VM:
    """The guest and what can be done in it and to it."""

    def __init__(self, topology: Topology, release: str, tree: Path | None,
                 logs: Path) -> None:
        self.topology = topology
        self.release = release
        self.slowness = pace.slowness(release)
        self.logs = logs
        self.machine = Machine(topology, release, tree, logs)
        self._plugged: dict[str, Device] = {
            device.id: device
            for device in [*topology.port_devices(), *topology.cold]}
        self._console_seen = 0
        boot_timeout = topology.boot_timeout * self.slowness
        try:
            self.machine.channel.wait_ready(boot_timeout)
            self.agent_after = time.monotonic() - self.machine.started
            if topology.wait == 'running':
                self.run('systemctl is-system-running --wait', check=False,
                         timeout=topology.boot_timeout)
            self.ready_after = time.monotonic() - self.machine.started
        except BaseException as error:
            tail = self.machine.console_tail()
            self.machine.stop()
            self.machine.check()
            if isinstance(error, (GuestGone, TimeoutError)):
                raise RuntimeError(f'the guest did not boot: {error}\n'
                                   f'{tail}') from error
            raise

    # -- commands and files --------------------------------------------

    def request(self, op: str, answer_in: float = 60,
                **members: Any) -> dict[str, Any]:
        """One request to the agent; tells a crash of QEMU from other ends."""
        try:
            return self.machine.channel.request(
                op, answer_in * self.slowness, members)
        except GuestGone as error:
            self.machine.check()
            raise GuestGone(f'{error}\n{self.machine.console_tail()}') \
                from error

    def run(self, command: str | Sequence[str], check: bool = True,
            timeout: float = 60, input: str | bytes = b'') -> Result:
        """Runs a shell command (or words) in the guest as root."""
        if not isinstance(command, str):
            command = shlex.join(command)
        data = input.encode() if isinstance(input, str) else input
        state = self.request('run', timeout + 60, command=command,
                             timeout=timeout * self.slowness,
                             input=base64.b64encode(data).decode())
        result = _result(command, state)
        if result.status is None:
            raise TimeoutError(f'killed after {timeout} s in the guest: '
                               f'{result}')
        if check and result.status:
            raise CommandFailed(result)
        return result

    def out(self, command: str | Sequence[str], **options: Any) -> str:
        """Standard output of a command, without white space around it."""
        return self.run(command, **options).stdout.strip()

    def start(self, command: str, input: str | bytes = b'') -> Job:
        """Starts a command in the background."""
        return Job(self, command,
                   input.encode() if isinstance(input, str) else input)

    def write(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        """Writes a file (folders are made), through no temporary name."""
        data = text.encode() if isinstance(text, str) else text
        try:
            self.machine.channel.write(path, data, mode, 60 * self.slowness)
        except GuestGone:
            self.machine.check()
            raise

    def read_bytes(self, path: str) -> bytes:
        return base64.b64decode(self.request('read', path=path)['data'])

    def read(self, path: str) -> str:
        """A file's text; as in a shell, without its last newline."""
        return self.read_bytes(path).decode(errors='replace').rstrip('\n')

    def exists(self, path: str) -> bool:
        return self.run(['test', '-e', path], check=False).status == 0

    def policy(self, name: str, text: str | None) -> None:
        """Puts a policy file there in one step; None takes it away."""
        path = f'/{POLICY}/{name}'
        if text is None:
            self.run(['rm', '-f', path])
            return
        self.write(f'/run/vm-agent/{name}', text)
        # Copied beside it under a name that is no policy file's, renamed.
        self.run(f'mkdir -p /{POLICY} && '
                 f'cp /run/vm-agent/{shlex.quote(name)} {path}.new~ && '
                 f'mv {path}.new~ {path}')

    def wait(self, condition: str | Callable[[], Any], timeout: float = 60,
             what: str = '', interval: float = 0.2) -> Any:
        """Waits until a command succeeds, or a function returns a truth.

        Returns what it returned (for a command, its Result). The function may
        raise AssertionError, OSError or LookupError to say "not yet", and the
        last of these is told when time runs out.
        """
        deadline = time.monotonic() + timeout * self.slowness
        last: Any = None
        while True:
            try:
                if isinstance(condition, str):
                    last = self.run(condition, check=False)
                    if last.status == 0:
                        return last
                else:
                    last = condition()
                    if last:
                        return last
            except GuestGone:
                raise
            except (AssertionError, OSError, LookupError) as error:
                if isinstance(error, TimeoutError):
                    raise
                last = error
            if time.monotonic() > deadline:
                name = what or (condition if isinstance(condition, str)
                                else 'a condition')
                raise AssertionError(f'waited {timeout} s for {name}; '
                                     f'last seen: {last}')
            time.sleep(interval)

    # -- hardware ------------------------------------------------------

    def qmp(self, command: str, **arguments: Any) -> Any:
        try:
            return self.machine.qmp.command(command, **arguments)
        except ConnectionError:
            self.machine.check()
            raise

    def plug(self, *devices: Device) -> None:
        """Plugs devices in; returns at once, before the guest has looked."""
        for device in devices:
            if device.size_mb:
                self.qmp('blockdev-add', **self.machine.disk(device))
            self._plugged[device.id] = device
            self.qmp('device_add', **device.arguments())

    def _press(self, name: str) -> bool:
        """Asks for a device's slot; whether the device is still there.

        QEMU lets a slot go when the guest turns its power off for whatever
        reason, a request or not, and refuses to ask while the guest is at it.
        """
        try:
            self.qmp('device_del', id=name)
        except QmpError as error:
            return error.kind != 'DeviceNotFound'
        return True

    def _deleted(self, name: str, button: str, mark: int,
                 deadline: float) -> None:
        """Waits until it is gone; pciehp ignores a button that is pressed
        while it switches the slot, so that of `button` is pressed again."""
        while True:
            try:
                self.machine.qmp.wait_event('DEVICE_DELETED', mark,
                                            PRESS_AGAIN, device=name)
                return
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise
                self._press(button)

    def unplug(self, *names: str, timeout: float = 60) -> None:
        """Asks the guest to let devices go and waits until they are gone.

        Of a card with several functions name them all: the request takes the
        whole slot out.
        """
        # Until 6.2 nvme gives its memory back at the last close of its disk,
        # and faults where the device has left its IOMMU by then.
        if self.release == '6.1' and any(
                self._plugged[name].driver == 'nvme' for name in names):
            self.run('udevadm settle', check=False)
        mark = self.machine.qmp.mark()
        deadline = time.monotonic() + timeout * self.slowness
        slots = {}
        for name in names:
            device = self._plugged[name]
            slots.setdefault((device.bus, device.slot), name)
        pressed = {slot: name for slot, name in slots.items()
                   if self._press(name)}
        for name in names:
            device = self._plugged[name]
            button = pressed.get((device.bus, device.slot))
            if button:
                self._deleted(name, button, mark, deadline)
            if self._plugged.pop(name).size_mb:
                self.qmp('blockdev-del', node_name=f'disk-{name}')

    def plugged(self, name: str) -> bool:
        """Whether this scenario has a device of that id plugged in."""
        return name in self._plugged

    def address(self, name: str) -> str:
        """The guest's address of a device or port, as 0000:01:00.0."""
        device = self._plugged[name]
        bus = 0
        if device.bus != 'pcie.0':
            above = self.address(device.bus)
            bus = int(self.read(f'{DEVICES}/{above}/secondary_bus_number'))
        return f'0000:{bus:02x}:{device.slot:02x}.{device.function}'

    def _address(self, name: str) -> str:
        return self.address(name) if name in self._plugged else name

    def present(self, name: str) -> bool:
        """Whether the guest shows this device (by id or address)."""
        return self.exists(f'{DEVICES}/{self._address(name)}')

    def _link(self, path: str) -> str | None:
        result = self.run(['readlink', path], check=False)
        return result.stdout.strip().rsplit('/', 1)[-1] or None

    def group_of(self, name: str) -> int | None:
        """The IOMMU group of a device (id or address); None without one."""
        link = self._link(f'{DEVICES}/{self._address(name)}/iommu_group')
        return int(link) if link else None

    def driver_of(self, name: str) -> str | None:
        """The driver of a device (id or address); None when unbound."""
        return self._link(f'{DEVICES}/{self._address(name)}/driver')

    def type_of(self, group: int | str) -> str:
        """The type of a group, named by its number or by a device in it."""
        if isinstance(group, str):
            return self.read(
                f'{DEVICES}/{self._address(group)}/iommu_group/type')
        return self.read(f'{GROUPS}/{group}/type')

    def groups(self) -> dict[int, list[str]]:
        """All groups with the addresses of their devices."""
        found: dict[int, list[str]] = {}
        for path in self.out(f'cd {GROUPS} && ls -d */devices/*').split():
            number, _, device = path.split('/')
            found.setdefault(int(number), []).append(device)
        return found

    # -- what the guest tells ------------------------------------------

    def journal(self, *matches: str, options: str = '') -> list[dict]:
        """Journal entries of this boot that match, oldest first."""
        text = self.run(f'journalctl --sync; '
                        f'journalctl -b -q -o json --all {options} '
                        f'{shlex.join(matches)}').stdout
        return [json.loads(line) for line in text.splitlines()]

    def busctl(self, *words: str, check: bool = True) -> Any:
        """busctl's answer with --json=short; its `data` where it has one."""
        result = self.run(['busctl', '--json=short', *words], check=check)
        answer = json.loads(result.stdout) if result.stdout.strip() else None
        if isinstance(answer, dict) and 'data' in answer:
            return answer['data']
        return answer

    def busctl_get(self, path: str, interface: str, name: str,
                   service: str = 'org.iommupolicy1') -> Any:
        """A property's value. `path` may be relative to the root object."""
        if not path.startswith('/'):
            path = f'/org/iommupolicy1/{path}'.rstrip('/')
        if '.' not in interface:
            interface = f'org.iommupolicy1.{interface}'
        return self.busctl('get-property', service, path, interface, name)

    # -- the end -------------------------------------------------------

    def new_complaints(self) -> list[str]:
        """Unexpected complaints on the console since the last call."""
        text = self.machine.console_text()
        fresh = text[self._console_seen:]
        # A line still being printed is left for the next time.
        self._console_seen += fresh.rfind('\n') + 1
        return kernellog.complaints(fresh[:fresh.rfind('\n') + 1],
                                    self.topology.expect_kernel)

    def failed_units(self) -> list[str]:
        """Units of ours that systemd holds for failed."""
        text = self.run('systemctl list-units --failed --plain --no-legend '
                        '--all "iommu-polic*"', check=False).stdout
        names = [line.split()[0] for line in text.splitlines() if line.strip()]
        return [name for name in names
                if name not in self.topology.expect_failed]

    def checkers(self) -> list[str]:
        """What a kernel that looks for bugs has found and not printed."""
        if not self.exists('/proc/lockdep_stats'):
            return []
        wrong = []
        # After its first report it looks no further.
        if self.run('grep -q "debug_locks: *1$" /proc/lockdep_stats',
                    check=False).status:
            wrong.append('lockdep has turned itself off')
        # An object counts when two scans, of which it was old enough for the
        # first, have not met a pointer to it.
        result = self.run('cd /sys/kernel/debug && for i in 1 2; do sleep 6; '
                          'echo scan > kmemleak || exit; done; cat kmemleak',
                          check=False, timeout=120)
        (self.logs / 'kmemleak.txt').write_text(str(result))
        if result.status:
            wrong.append('kmemleak could not be asked')
        return wrong + [f'kmemleak: {entry}'
                        for entry in kernellog.leaks(result.stdout)]

    def collect(self) -> list[str]:
        """Brings journal and kernel log back; tells what is wrong."""
        if not self.machine.alive():
            return []
        wrong = []
        try:
            for name, command in (
                    ('journal.txt', 'journalctl -b -q -o short-monotonic'),
                    ('dmesg.txt', 'dmesg')):
                raw = self.run(command, check=False, timeout=120).raw
                (self.logs / name).write_bytes(raw)
            text = (self.logs / 'dmesg.txt').read_text(errors='replace')
            wrong = kernellog.complaints(text, self.topology.expect_kernel)
            wrong += [f'{name} failed' for name in self.failed_units()]
            wrong += kernellog.unexpected(self.checkers(),
                                          self.topology.expect_kernel)
        except (OSError, GuestGone, TimeoutError) as error:
            wrong.append(f'no logs from the guest: {error}')
        return wrong

    def close(self, look: bool = True) -> list[str]:
        """Collects the logs and ends QEMU; returns what is wrong."""
        try:
            return self.collect() if look else []
        finally:
            self.machine.stop()


@contextlib.contextmanager
def plugged(vm: VM, *devices: Device) -> Iterator[Any]:
    """Devices that are plugged in until the end of the block. Gives the
    address, or those of several as a list."""
    vm.plug(*devices)
    addresses = [vm.address(device.id) for device in devices]
    try:
        vm.wait(lambda: all(map(vm.present, addresses)), what='the devices')
        yield addresses if len(addresses) > 1 else addresses[0]
    finally:
        vm.unplug(*(device.id for device in devices))
        vm.wait(lambda: not any(map(vm.present, addresses)),
                what='the devices to go')
