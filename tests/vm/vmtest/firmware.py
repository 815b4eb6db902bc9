# SPDX-License-Identifier: GPL-2.0-or-later
"""The UEFI firmware that an Arm machine gets its ACPI tables by."""

from __future__ import annotations

import shutil
from pathlib import Path

from . import apt, cache

_PACKAGE, _FILE = 'qemu-efi-aarch64', 'QEMU_EFI.fd'


def _build(work: Path) -> None:
    apt.unpack(_PACKAGE, work / 'package')
    shutil.copy(work / 'package/usr/share' / _PACKAGE / _FILE, work)
    shutil.rmtree(work / 'package')


def get() -> Path:
    return cache.cached('firmware', [apt.host_codename(), Path(__file__)],
                        _build) / _FILE
