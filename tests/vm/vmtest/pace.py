# SPDX-License-Identifier: GPL-2.0-or-later
"""How much longer a kernel takes than those that deadlines were chosen for."""

from __future__ import annotations

import os

from . import debugkernel

# Emulated as the others are, and with every access to memory checked.
_DEBUG = 6


def slowness(release: str) -> float:
    """What each deadline is multiplied by; IOMMU_VM_SLOWNESS has the last
    word, for a host that is busy with other things.
    """
    said = os.environ.get('IOMMU_VM_SLOWNESS')
    if said:
        return float(said)
    return _DEBUG if release == debugkernel.NAME else 1


def memory(release: str, megabytes: int) -> int:
    """The guest's memory: shadow and stack traces want as much again."""
    return megabytes * 2 if release == debugkernel.NAME else megabytes


def unit(release: str) -> str:
    """What systemd reads for every service, less patient ones included."""
    seconds = int(60 * slowness(release))
    return (f'[Service]\nTimeoutStartSec={seconds}\n'
            f'TimeoutStopSec={seconds}\n')
