# SPDX-License-Identifier: GPL-2.0-or-later
"""What documents show, taken from them and done in a guest.

`steps` reads a markdown page or a manual page; `play` does in a guest what
they say and compares what comes out with what is written there, in shape. The
README beside this folder says how a document is written for that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from . import topology
from .vm import VM

# What a command may take to show what the document says.
_PATIENCE = 60


@dataclass
class Command:
    """A line after a prompt, and what is written below it."""

    line: int
    root: bool              # '#': done once; '$': looks, and may look again
    text: str
    shown: list[str] = field(default_factory=list)
    skip: str = ''          # why it is not run


@dataclass
class File:
    """A block whose first line is a comment with a path."""

    line: int
    path: str
    text: str


@dataclass
class Order:
    """A comment for the harness: `plug nvme fast rp2`."""

    line: int
    words: list[str]


Step = Command | File | Order


# -- reading ------------------------------------------------------------------

_PROMPT = re.compile(r'([#$]) (.*)')
_PATH = re.compile(r'[;#] (/\S+)$')


def _commands(lines: list[tuple[int, str]], skip: str) -> list[Command]:
    found: list[Command] = []
    more = False
    for number, line in lines:
        prompt = _PROMPT.fullmatch(line)
        if more:
            found[-1].text += '\n' + line
        elif prompt:
            found.append(Command(number, prompt[1] == '#', prompt[2], [],
                                 skip))
        elif found:
            found[-1].shown.append(line)
        more = (more or bool(prompt)) and line.endswith('\\')
    return found


def _block(lines: list[tuple[int, str]], skip: str) -> list[Step]:
    """The steps of one literal block."""
    if not lines:
        return []
    path = _PATH.match(lines[0][1])
    if path:
        text = ''.join(line + '\n' for _, line in lines)
        return [File(lines[0][0], path[1], text)]
    return list(_commands(lines, skip)) \
        if _PROMPT.fullmatch(lines[0][1]) else []


def _markdown(text: str) -> list[Step]:
    found: list[Step] = []
    block: list[tuple[int, str]] | None = None
    skip = ''
    for number, line in enumerate(text.split('\n'), 1):
        if line.lstrip().startswith('```'):
            if block is None:
                block = []
            else:
                found += _block(block, skip)
                block, skip = None, ''
        elif block is not None:
            block.append((number, line))
        elif order := re.fullmatch(r'<!-- vm: (.*) -->', line):
            if order[1].startswith('skip '):
                skip = order[1][5:]
            else:
                found.append(Order(number, order[1].split()))
        elif line.startswith('|'):
            for code in re.findall(r'`([#$] [^`]*)`', line):
                found += _commands([(number, code)], skip)
    return found


def _plain(line: str) -> str:
    """A line of mdoc as it is printed."""
    return line.replace('\\e', '\\').replace('\\&', '') \
        .replace('\\(lB', '[').replace('\\(rB', ']').replace('\\-', '-')


def _mdoc(text: str) -> list[Step]:
    found: list[Step] = []
    block: list[tuple[int, str]] | None = None
    skip = ''
    for number, line in enumerate(text.split('\n'), 1):
        if line.startswith('.Bd -literal'):
            block = []
        elif line == '.Ed' and block is not None:
            found += _block(block, skip)
            block, skip = None, ''
        elif block is not None:
            block.append((number, _plain(line)))
        elif line.startswith('.\\" vm: skip '):
            skip = line[len('.\\" vm: skip '):]
        elif line.startswith('.\\" vm: '):
            found.append(Order(number, line[len('.\\" vm: '):].split()))
        elif line.startswith('.Dl '):
            lines = [(number, _plain(line[4:]))]
            if _PROMPT.fullmatch(lines[0][1]):
                found += _commands(lines, skip)
                skip = ''
    return found


def steps(path: Path) -> list[Step]:
    read = _markdown if path.suffix == '.md' else _mdoc
    return read(path.read_text())


# -- comparing ----------------------------------------------------------------

_DAYS = r'\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b'
_MONTHS = r'\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b'
# Addresses, paths and IDs stand for themselves.
_EXACT = re.compile(r'/\S+|(?:[0-9a-f]{4,}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]'
                    r'|\b[0-9a-f]{4}:[0-9a-f]{4}\b')
_LOOSE = re.compile(rf'(?P<any>…)|(?P<number>\d+)|(?P<day>{_DAYS})'
                    rf'|(?P<month>{_MONTHS})')
_SHAPES = {'any': '.*?', 'number': r'\d+', 'day': _DAYS, 'month': _MONTHS}


def _loose(text: str) -> str:
    found, last = '', 0
    for match in _LOOSE.finditer(text):
        found += re.escape(text[last:match.start()])
        found += _SHAPES[str(match.lastgroup)]
        last = match.end()
    return found + re.escape(text[last:])


def shape(shown: list[str]) -> re.Pattern[str]:
    """What the output has to match whose white space is one blank each.

    A number is any number, so are days and months; `…` is anything. Where
    lines break does not matter: that is the terminal's.
    """
    pattern = ''
    for word in ' '.join(shown).split():
        if word == '…':
            pattern += '(?: .*)?'       # nothing at all is anything, too
            continue
        found, last = '', 0
        for match in _EXACT.finditer(word):
            found += _loose(word[last:match.start()])
            # Unless a part of it is left open.
            found += _loose(match[0]) if '…' in match[0] \
                else re.escape(match[0])
            last = match.end()
        pattern += ' ' + found + _loose(word[last:])
    return re.compile(pattern, re.DOTALL)


def matches(shown: list[str], output: str) -> bool:
    return bool(shape(shown).fullmatch(
        ''.join(f' {word}' for word in output.split())))


# -- doing --------------------------------------------------------------------

class Differs(AssertionError):
    """A document and the guest are not of one mind."""


class Player:
    """Does a document's steps in a guest, one after the other."""

    def __init__(self, vm: VM, path: Path) -> None:
        self.vm = vm
        self.path = path
        self.status = 0
        self.names: dict[str, Callable[[], str]] = {}
        self.commands = 0

    def _replace(self, text: str) -> str:
        for name, value in self.names.items():
            text = re.sub(rf'(?<![\w:.-]){re.escape(name)}(?![\w:.-]*\w)',
                          lambda _: value(), text)
        return text

    def _order(self, step: Order) -> None:
        kind, *words = step.words
        if kind == 'status':        # of the next command
            self.status = int(words[0])
        elif kind == 'plug':        # MODEL ID PORT
            self.vm.plug(getattr(topology, words[0])(words[1], words[2]))
        elif kind == 'unplug':
            self.vm.unplug(*words)
        elif kind == 'run':
            self.vm.run(' '.join(words))
        elif kind == 'let':         # TEXT = device ID, TEXT = group ID
            name, _, what, device = words
            short = name.count(':') == 1
            self.names[name] = \
                (lambda: str(self.vm.group_of(device))) if what == 'group' \
                else (lambda: self.vm.address(device)[5 if short else 0:])
        else:
            raise ValueError(f'{self.path.name}:{step.line}: vm: {kind}?')

    def _command(self, step: Command) -> None:
        status, self.status = self.status, 0
        if step.skip:
            return
        self.commands += 1
        text = self._replace(step.text)
        shown = [self._replace(line) for line in step.shown]
        last = ''

        def right() -> bool:
            nonlocal last
            result = self.vm.run(f'cd /root; export COLUMNS=80\n{{ {text}\n'
                                 '} 2>&1', check=False, timeout=120)
            last = f'{result.stdout}[exit status {result.status}]'
            return result.status == status and (
                not any(shown) or matches(shown, result.stdout))

        try:
            if step.root:
                assert right()
            else:
                self.vm.wait(right, timeout=_PATIENCE, interval=0.5)
        except AssertionError:
            wanted = '\n'.join(shown) or '(anything)'
            raise Differs(
                f'{self.path.name}:{step.line}: {text}\n--- the document '
                f'(exit status {status}):\n{wanted}\n--- the guest:\n{last}'
            ) from None

    def play(self) -> None:
        for step in steps(self.path):
            if isinstance(step, Order):
                self._order(step)
            elif isinstance(step, Command):
                self._command(step)
            else:
                self.vm.write(step.path, self._replace(step.text))
