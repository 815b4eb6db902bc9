# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's control protocol: commands, their answers, and events."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any


class QmpError(Exception):
    """QEMU refused a command; `kind` is its own class of error."""

    def __init__(self, command: str, error: dict[str, str]) -> None:
        super().__init__(f'QMP {command}: {error.get("desc")}')
        self.kind = error.get('class', '')


class Qmp:
    """One connection, used by one thread of the test at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._reader = connection.makefile('r', encoding='utf-8')
        self._news = threading.Condition()
        self._answer: dict[str, Any] | None = None
        self._busy = threading.Lock()
        self.closed = False
        self.events: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self._reader:
                message = json.loads(line)
                with self._news:
                    if 'event' in message:
                        self.events.append(message)
                    elif 'return' in message or 'error' in message:
                        self._answer = message
                    self._news.notify_all()
        except (OSError, ValueError):
            pass
        with self._news:
            self.closed = True
            self._news.notify_all()

    def command(self, name: str, timeout: float = 60, **arguments: Any) -> Any:
        """Sends a command; `_` in an argument's name stands for `-`.

        device_add's are properties of devices, whose names may have either.
        """
        if name != 'device_add':
            arguments = {key.replace('_', '-'): value
                         for key, value in arguments.items()}
        text = json.dumps({'execute': name, 'arguments': arguments})
        with self._busy:
            with self._news:
                self._answer = None
            try:
                self._socket.sendall(text.encode() + b'\n')
            except OSError as error:
                raise ConnectionError(f'QMP {name}: {error}') from error
            with self._news:
                self._news.wait_for(lambda: self._answer or self.closed,
                                    timeout)
                answer = self._answer
        if answer is None:
            if self.closed:
                raise ConnectionError(f'QMP {name}: QEMU is gone')
            raise TimeoutError(f'QMP {name}: no answer in {timeout} s')
        if 'error' in answer:
            raise QmpError(name, answer['error'])
        return answer['return']

    def mark(self) -> int:
        """A place in the stream of events, to wait for later ones."""
        with self._news:
            return len(self.events)

    def wait_event(self, name: str, since: int = 0, timeout: float = 60,
                   **data: Any) -> dict[str, Any]:
        """The first event after mark `since` that carries these data."""
        def match() -> dict[str, Any] | None:
            for event in self.events[since:]:
                found = event.get('data', {})
                if event['event'] == name and all(
                        found.get(key) == value
                        for key, value in data.items()):
                    return event
            return None

        deadline = time.monotonic() + timeout
        with self._news:
            self._news.wait_for(lambda: match() or self.closed,
                                max(0, deadline - time.monotonic()))
            event = match()
        if event is None:
            raise TimeoutError(f'no {name} {data} from QEMU in {timeout} s')
        return event

    def close(self) -> None:
        # shutdown, not only close: the reading thread holds the file too.
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
