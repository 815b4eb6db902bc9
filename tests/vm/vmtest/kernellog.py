# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the guest kernel's complaints in its log or on its console."""

from __future__ import annotations

import re
from typing import Iterable

_COMPLAINTS = re.compile('|'.join((
    r'\bOops\b', r'\bBUG: ', r'\bWARNING: (CPU:|possible|suspicious|bad)',
    r'Kernel panic', r'general protection', r'blocked for more than',
    r'\bKASAN\b', r'\bUBSAN\b', r'unable to handle', r'refcount_t: ',
    r'list_(add|del) corruption', r'invalid opcode', r'stack segment',
    r'divide error', r'double fault', r'bad page state', r'kmemleak',
    r'slab-use-after-free', r'use-after-free', r'double-free',
    # DMA that the IOMMU had to stop: a device that was let down.
    r'DMAR: \[.*fault', r'DMAR: DRHD: handling fault', r'DMAR: ERROR',
    r'AMD-Vi: Event logged',
)))


def complaints(text: str, expected: Iterable[str] = ()) -> list[str]:
    """The lines that no healthy kernel prints, less the `expected` ones."""
    allowed = [re.compile(pattern) for pattern in expected]
    return [line for line in text.splitlines()
            if _COMPLAINTS.search(line)
            and not any(pattern.search(line) for pattern in allowed)]
