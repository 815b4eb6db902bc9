# SPDX-License-Identifier: GPL-2.0-or-later
"""The test client of the kernel module, as a scenario uses it.

    first = Client(vm)
    done = first.do('hold', device=address)         # waits for its DONE
    assert done['error'] is None
    assert first.ask('bracket-begin', group=7)['error'] == 'EBUSY'
    first.group(address)['holder']['pid'] == first.pid

What comes back are dictionaries with the names of client/show.c; errors are
names, None where there is none.
"""

from __future__ import annotations

import base64
import errno
import itertools
import json
import os
import shlex
import signal
from typing import Any, Sequence

from .vm import DEVICES, VM

PROGRAM = 'policy-client'
MODULE = 'iommu_policy'

_numbers = itertools.count(1)
_ERRNO = {os.strerror(number): name for number, name in
          errno.errorcode.items()}

Answer = dict[str, Any]


def write_error(vm: VM, path: str, text: str) -> str | None:
    """Writes to a file of sysfs; the name of the errno that comes back."""
    result = vm.run(f'echo {shlex.quote(text)} > {path}', check=False)
    if not result.status:
        return None
    words = result.stderr.strip().rsplit(': ', 1)[-1]
    return _ERRNO.get(words, result.stderr)


def bind(vm: VM, driver: str, address: str) -> str | None:
    return write_error(vm, f'/sys/bus/pci/drivers/{driver}/bind', address)


def unbind(vm: VM, address: str) -> str | None:
    return write_error(vm, f'{DEVICES}/{address}/driver/unbind', address)


def write_type(vm: VM, address: str, word: str) -> str | None:
    return write_error(vm, f'{DEVICES}/{address}/iommu_group/type', word)


def override(vm: VM, address: str, driver: str | None) -> None:
    vm.run(f'echo {driver or ""} > {DEVICES}/{address}/driver_override')


def _has(address: str, driver: str | None) -> str:
    """A shell condition: the device has this driver, or none."""
    link = f'{DEVICES}/{address}/driver'
    return f'[ {link} -ef /sys/bus/pci/drivers/{driver} ]' if driver \
        else f'[ ! -e {link} ]'


def stays(vm: VM, address: str, driver: str | None = None) -> None:
    """The device has this driver, or none, and keeps it for a while."""
    vm.run(f'for i in 1 2 3 4; do {_has(address, driver)} || exit 1; '
           'sleep 0.1; done')


def wait_driver(vm: VM, *addresses: str, driver: str | None) -> None:
    """Waits until all these devices have a driver, or none."""
    test = ' && '.join(_has(address, driver) for address in addresses)
    vm.wait(f'for i in 1 2 3 4 5 6 7 8 9; do {test} && exit 0; sleep 0.05; '
            'done; exit 1', what=f'{addresses} with driver {driver}')


def traces(vm: VM) -> list[Answer]:
    """What the module still has (gate, holds, brackets, claims), device
    links of its making, and devices that wait for something.
    """
    *lines, rest = vm.out(
        f'printf "info-get\\ndump\\n" | {PROGRAM}; '
        'echo left: $(ls /sys/class/devlink | grep iommu; '
        'cat /sys/kernel/debug/devices_deferred)').split('\n')
    found = [answer for answer in map(json.loads, lines)
             if {'gate', 'holder', 'bracket', 'claim'} & set(answer)]
    return found + [{'left': rest}] * (rest != 'left:')


def reload(vm: VM) -> None:
    """The module anew, with nothing of what it had."""
    vm.run(f'modprobe -r {MODULE} && modprobe {MODULE}')


class Client:
    """One process with one socket (and one more for events)."""

    def __init__(self, vm: VM, events: bool = True,
                 prefix: Sequence[str] = (),
                 options: Sequence[str] = ()) -> None:
        self.vm = vm
        self._pipe = f'/run/policy-client-{next(_numbers)}'
        self._seq = itertools.count(1)
        vm.run(['mkfifo', self._pipe])
        words = shlex.join([*prefix, PROGRAM, *options])
        # Open for writing too, the pipe never ends.
        self.job = vm.start(f'exec {words} 0<>{self._pipe}')
        self.hello = self.wait(kind='hello')
        self.pid: int = self.hello['pid']
        self.portid: int = self.hello['portid']
        if events and not self.hello['error'] and self.portid:
            seq = self.send('events')
            assert self.wait(kind='events', seq=seq)['error'] is None

    # -- lines in, answers out -----------------------------------------

    def send(self, *lines: str) -> int:
        """Sends lines in one go; the number of the last one."""
        text, number = '', 0
        for line in lines:
            number = next(self._seq)
            text += f'{number} {line}\n'
        self.vm.request('write', path=self._pipe, mode=0o600, first=False,
                        data=base64.b64encode(text.encode()).decode())
        return number

    def lines(self, **members: Any) -> list[Answer]:
        """All that has come so far with these members."""
        result = self.job.peek()
        whole = result.stdout[:result.stdout.rfind('\n') + 1]
        found = [json.loads(line) for line in whole.splitlines()]
        return [answer for answer in found
                if all(name in answer and answer[name] == value
                       for name, value in members.items())]

    def mark(self) -> float:
        """The guest's time, to look at what is later."""
        seq = self.send('mark')
        return float(self.wait(kind='mark', seq=seq)['t'])

    def wait(self, since: float = 0, timeout: float = 60,
             **members: Any) -> Answer:
        """The first answer later than a mark with these members."""
        def look() -> Answer:
            for answer in self.lines(**members):
                if answer['t'] > since:
                    return answer
            result = self.job.peek()
            assert result.status is None, f'the client has ended: {result}'
            raise LookupError(f'{members}; there were: '
                              f'{result.stdout[-2000:]}{result.stderr}')
        return self.vm.wait(look, timeout, f'{members} from the module',
                            interval=0.02)

    # -- requests ------------------------------------------------------

    @staticmethod
    def line(command: str, *flags: str, **values: Any) -> str:
        words = [command, *flags]
        words += [f'{name.replace("_", "-")}={value}'
                  for name, value in values.items() if value is not None]
        return ' '.join(words)

    def ask(self, command: str, *flags: str, **values: Any) -> Answer:
        """The acknowledgement of a request."""
        seq = self.send(self.line(command, *flags, **values))
        return self.wait(kind='ack', seq=seq)

    def do(self, command: str, *flags: str, timeout: float = 60,
           **values: Any) -> Answer:
        """The DONE of a request that must be acknowledged."""
        cookie = values.pop('cookie', 1_000_000_000_000 + next(_numbers))
        seq = self.send(self.line(command, *flags, cookie=cookie, **values))
        ack = self.wait(kind='ack', seq=seq)
        assert ack['error'] is None, ack
        return self.wait(kind='done', cookie=cookie, command=command,
                         timeout=timeout)

    def error(self, command: str, *flags: str, **values: Any) -> str | None:
        """The error of a request, whether at once or with its DONE."""
        cookie = next(_numbers)
        seq = self.send(self.line(command, *flags, cookie=cookie, **values))
        ack = self.wait(kind='ack', seq=seq)
        return ack['error'] or self.wait(kind='done', cookie=cookie,
                                         command=command)['error']

    def must(self, command: str, *flags: str, **values: Any) -> Answer:
        """The same, and it must succeed."""
        done = self.do(command, *flags, **values)
        assert done['error'] is None, done
        return done

    def get(self, command: str, **values: Any) -> Answer:
        """The reply to a query."""
        seq = self.send(self.line(command, **values))
        ack = self.wait(kind='ack', seq=seq)
        assert ack['error'] is None, ack
        reply, = self.lines(kind='reply', seq=seq)
        return reply

    def group(self, name: str | int) -> Answer:
        """A group, by its number or by a device in it."""
        return self.get('group-get', **{
            'group' if isinstance(name, int) else 'device': name})

    def flags(self, address: str) -> list[str]:
        """What the module says of a device."""
        entry, = [entry for entry in self.group(address)['devices']
                  if entry['address'] == address]
        return entry['flags']

    def info(self) -> Answer:
        return self.get('info-get')

    def dump(self) -> list[Answer]:
        seq = self.send('dump')
        assert self.wait(kind='ack', seq=seq)['error'] is None
        return self.lines(kind='reply', seq=seq)

    # -- events --------------------------------------------------------

    def event(self, name: str, since: float = 0, **members: Any) -> Answer:
        """The first event of that name later than a mark."""
        return self.wait(since, kind='event', event=name, **members)

    def events(self, since: float = 0, **members: Any) -> list[Answer]:
        return [answer for answer in self.lines(kind='event', **members)
                if answer['t'] > since]

    # -- the end -------------------------------------------------------

    def close(self) -> None:
        """Closes the socket; the process and its events go on."""
        seq = self.send('close')
        self.wait(kind='closed', seq=seq)

    def kill(self) -> None:
        self.job.stop(signal.SIGKILL)

    def stop(self) -> None:
        """Ends the process, whatever state it is in."""
        if self.job.poll() is None:
            self.kill()


def once(vm: VM, *lines: str, prefix: Sequence[str] = (),
         options: Sequence[str] = (), timeout: float = 60) -> list[Answer]:
    """A client that runs these lines and ends; all that it printed."""
    result = vm.run([*prefix, PROGRAM, *options], check=False,
                    input=''.join(f'{line}\n' for line in lines),
                    timeout=timeout)
    return [json.loads(line) for line in result.stdout.splitlines()]
