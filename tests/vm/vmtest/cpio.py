# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the cpio archives ("newc") that the kernel unpacks as an initramfs.

Archives may be appended to one another, which is how the part that changes
at every build (the daemon, the scenario's policy files) is added to the part
that never does, without unpacking or compressing anything.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

# On a merged-/usr guest these are symbolic links; a directory of that name
# unpacked over them would hide half of the system.
_MERGED = ('bin', 'sbin', 'lib', 'lib64')


class Cpio:
    """An archive in memory. Everything in it belongs to root."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0
        self._directories: set[str] = set()

    def _entry(self, name: str, mode: int, data: bytes,
               device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        raw = name.encode() + b'\0'
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0,
                  device[0], device[1], len(raw), 0)
        head = b'070701' + b''.join(b'%08X' % field for field in fields) + raw
        self._parts.append(head + bytes(-len(head) % 4))
        self._parts.append(data + bytes(-len(data) % 4))

    def directory(self, name: str, mode: int = 0o755) -> None:
        """Adds a directory and whichever of its parents is missing."""
        name = name.strip('/')
        if not name or name in self._directories:
            return
        self.directory(os.path.dirname(name))
        self._directories.add(name)
        self._entry(name, stat.S_IFDIR | mode, b'')

    def file(self, name: str, data: bytes | str, mode: int = 0o644) -> None:
        name = name.strip('/')
        self.directory(os.path.dirname(name))
        if isinstance(data, str):
            data = data.encode()
        self._entry(name, stat.S_IFREG | mode, data)

    def symlink(self, name: str, target: str) -> None:
        name = name.strip('/')
        self.directory(os.path.dirname(name))
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name: str, kind: int, major: int, minor: int) -> None:
        name = name.strip('/')
        self.directory(os.path.dirname(name))
        self._entry(name, kind | 0o600, b'', (major, minor))

    def tree(self, root: Path, prefix: str = '') -> None:
        """Adds everything below `root`, moving /lib to /usr/lib and so on."""
        for folder, folders, files in os.walk(root):
            folders.sort()
            below = os.path.relpath(folder, root)
            parts = [] if below == '.' else below.split('/')
            if parts and parts[0] in _MERGED:
                parts.insert(0, 'usr')
            name = '/'.join([prefix, *parts]).strip('/')
            self.directory(name, stat.S_IMODE(os.stat(folder).st_mode))
            for leaf in sorted(files) + [f for f in folders if
                                         os.path.islink(f'{folder}/{f}')]:
                path = Path(folder, leaf)
                info = path.lstat()
                if stat.S_ISLNK(info.st_mode):
                    self.symlink(f'{name}/{leaf}', os.readlink(path))
                elif stat.S_ISREG(info.st_mode):
                    self.file(f'{name}/{leaf}', path.read_bytes(),
                              stat.S_IMODE(info.st_mode))

    def finish(self) -> bytes:
        self._entry('TRAILER!!!', 0, b'')
        blob = b''.join(self._parts)
        # The kernel skips zeroes between archives that are joined.
        return blob + bytes(-len(blob) % 512)
