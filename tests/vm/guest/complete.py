# SPDX-License-Identifier: GPL-2.0-or-later
"""Types lines and TAB into an interactive shell, and tells what it answers.

complete.py SHELL < [[line, [what the answer must have, ...]], ...] as JSON;
prints the answers as a JSON array, as they are when all is there, or after a
minute.
"""

import fcntl
import json
import os
import pty
import re
import select
import struct
import sys
import termios
import time

SETUP = {
    'bash': (['bash', '--norc', '--noprofile', '-i'], [
        'bind "set bell-style none"', 'bind "set show-all-if-ambiguous on"',
        'bind "set completion-query-items 0"', 'bind "set page-completions off"',
        'bind "set enable-bracketed-paste off"',
        '. /usr/share/bash-completion/bash_completion']),
    'zsh': (['zsh', '-f', '-i'], [
        'unsetopt beep prompt_cr prompt_sp list_ambiguous', 'LISTMAX=1000',
        'autoload -U compinit && compinit -u -D']),
}
# Colours, cursor, titles, bells and what else is for terminals.
NOISE = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\a]*\a|\x1b[=>()].?|'
                   r'[\a\r]|.\x08')


class Shell:
    def __init__(self, name: str) -> None:
        words, setup = SETUP[name]
        pid, self._fd = pty.fork()
        if pid == 0:
            os.environ.update(TERM='dumb', PS1='> ', LC_ALL='C.UTF-8')
            os.execvp(words[0], words)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ,
                    struct.pack('HHHH', 200, 160, 0, 0))
        for number, line in enumerate(setup):
            # What is typed is echoed, and only the answer has the sum.
            self._send(f'{line}; echo done-$(({number} + 1000))\n')
            self.read([f'done-{number + 1000}'])

    def _send(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def read(self, wanted: list[str]) -> str:
        """What comes until it has all that is wanted."""
        data, deadline = b'', time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([self._fd], [], [], 0.2)[0]:
                data += os.read(self._fd, 65536)
                continue
            text = NOISE.sub('', data.decode(errors='replace'))
            if data and all(word in text for word in wanted):
                return text
        return NOISE.sub('', data.decode(errors='replace'))

    def complete(self, line: str, wanted: list[str]) -> str:
        self._send(line + '\t')
        text = self.read(wanted)
        self._send('\x15\n')
        self.read(['>'])
        return text


shell = Shell(sys.argv[1])
print(json.dumps([shell.complete(line, wanted)
                  for line, wanted in json.load(sys.stdin)]))
