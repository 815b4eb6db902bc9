# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness's end of the serial line to the agent in the guest.

guest/agent.py says how requests and answers look.
"""

from __future__ import annotations

import base64
import itertools
import json
import socket
import threading
import time
import zlib
from typing import Any

# A guest's serial port throws away what nobody reads in time, and the agent
# reads under emulation: what goes in goes in pieces, each one acknowledged.
PIECE = 6000


class GuestGone(Exception):
    """The guest or its QEMU ended while an answer was awaited."""


class Channel:
    """Requests from any number of threads, answered in any order."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._numbers = itertools.count(1)
        self._parts: dict[int, list[str]] = {}
        self._answers: dict[int, dict[str, Any]] = {}
        self._news = threading.Condition()
        self._sending = threading.Lock()
        self.closed = False
        threading.Thread(target=self._read, daemon=True).start()

    def _take(self, line: bytes) -> None:
        number, last, piece = line[1:].decode('ascii').split(' ')
        parts = self._parts.setdefault(int(number), [])
        parts.append(piece.strip())
        if last == '1':
            del self._parts[int(number)]
            blob = zlib.decompress(base64.b64decode(''.join(parts)))
            self._answers[int(number)] = json.loads(blob)
            self._news.notify_all()

    def _read(self) -> None:
        buffer = b''
        while True:
            try:
                data = self._socket.recv(1 << 20)
            except OSError:
                data = b''
            if not data:
                break
            *lines, buffer = (buffer + data).split(b'\n')
            with self._news:
                for line in lines:
                    # The kernel or a getty may have said something before.
                    if line.startswith(b'#'):
                        try:
                            self._take(line)
                        except (ValueError, zlib.error):
                            pass
        with self._news:
            self.closed = True
            self._news.notify_all()

    def wait_ready(self, timeout: float) -> dict[str, Any]:
        """The agent's first words."""
        return self._wait(0, timeout, 'the guest to come up')

    def _wait(self, number: int, timeout: float, what: str) -> dict[str, Any]:
        with self._news:
            self._news.wait_for(
                lambda: number in self._answers or self.closed, timeout)
            if number in self._answers:
                return self._answers.pop(number)
        if self.closed:
            raise GuestGone(f'the guest ended; waited for {what}')
        raise TimeoutError(f'waited {timeout:.0f} s for {what}')

    def request(self, op: str, timeout: float,
                members: dict[str, Any]) -> dict[str, Any]:
        """Sends one request; an error of the agent's becomes an OSError."""
        number = next(self._numbers)
        line = json.dumps({'id': number, 'op': op, **members}).encode() + b'\n'
        try:
            with self._sending:
                self._socket.sendall(line)
        except OSError as error:
            raise GuestGone(f'the guest ended: {error}') from error
        what = members.get('command') or members.get('path') or op
        answer = self._wait(number, timeout, f'an answer to: {what}')
        if 'error' in answer:
            raise OSError(answer['errno'], answer['error'])
        return answer

    def write(self, path: str, data: bytes, mode: int,
              timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        for start in range(0, max(len(data), 1), PIECE):
            piece = base64.b64encode(data[start:start + PIECE]).decode()
            self.request('write', max(1, deadline - time.monotonic()),
                         {'path': path, 'mode': mode, 'first': not start,
                          'data': piece})

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
