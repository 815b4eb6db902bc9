# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the guest kernel's complaints in its log or on its console."""

from __future__ import annotations

import re
from typing import Iterable

_COMPLAINTS = re.compile('|'.join((
    r'\bOops\b', r'\bBUG: ', r'\bWARNING: (CPU:|\S+:\d+ at )',
    r'Kernel panic', r'general protection', r'blocked for more than',
    r'\bKASAN\b', r'\bUBSAN\b', r'unable to handle', r'refcount_t: ',
    r'list_(add|del) corruption', r'invalid opcode', r'stack segment',
    r'divide error', r'double fault', r'bad page state',
    r'use-after-free(?! debug is enabled)', r'double-free',
    # lockdep's reports (the rest of them begin with BUG), and its giving up
    r'\bWARNING: (possible|suspicious|bad|inconsistent|held lock|lock held'
    r'|Nested lock|\S+-safe -> |.* still has locks held)',
    r'INFO: trying to register non-static key',
    r'turning off the locking correctness validator',
    r'\bODEBUG: ',
    r'\[iommu_policy\] enqueued on deprecated',
    # What it suspects is looked at one by one; see leaks().
    r'kmemleak: (?!Kernel memory leak detector initialized'
    r'|Automatic memory scanning|\d+ new suspected)',
    # DMA that the IOMMU had to stop: a device that was let down.
    r'DMAR: \[.*fault', r'DMAR: DRHD: handling fault', r'DMAR: ERROR',
    r'Event logged \[', r'virtio_iommu .* fault from EP',
    r'arm-smmu-v3 .*: event 0x',
)))


def complaints(text: str, expected: Iterable[str] = ()) -> list[str]:
    """The lines that no healthy kernel prints, less the `expected` ones."""
    return unexpected([line for line in text.splitlines()
                       if _COMPLAINTS.search(line)], expected)


def unexpected(found: list[str], expected: Iterable[str]) -> list[str]:
    """All that none of these regular expressions is found in."""
    allowed = [re.compile(pattern) for pattern in expected]
    return [text for text in found
            if not any(pattern.search(text) for pattern in allowed)]


# A CPU that waits for an interrupt while the time for its timer's is long over
# (rcu_check_gp_kthread_expired_fqs_timer() in kernel/rcu/tree_stall.h). One
# that is busy with interrupts off is no such case.
_LOST_TIMER = re.compile(
    r"Comm: swapper/\d+ (?:.*\n){1,5}.*RIP: 0010:\w*(?:halt|idle)"
    r"(?:.*\n)*?.*kthread timer wakeup didn't happen"
    r"|NMI backtrace for cpu (\d+) skipped: idling at .*\n"
    r".*kthread timer wakeup didn't happen.*\n"
    r".*Possible timer handling issue on cpu=\1 ")


def lost_timer(console: str) -> bool:
    """Whether the timer of an idle CPU has stopped: the emulator lost it."""
    return bool(_LOST_TIMER.search(console))


def stale_code(console: str) -> bool:
    """Whether a CPU has run code as it was before the kernel changed it.

    That is done by breakpoints, which the kernel knows as long as they are
    there: one that it does not know is the emulator's fault.
    """
    return bool(re.search(r'\bint3: 0000 \[', console))


# Who asked for the memory: a function of the module, or one that has lost its
# name since, as those of a module do when it is unloaded.
_OURS = re.compile(r'\[iommu_policy\]|^ +(\[<\w+>\] )?0x[0-9a-f]{16}$', re.M)


def leaks(text: str) -> list[str]:
    """The entries of kmemleak's file that the project's module is in."""
    entries = re.split(r'^(?=unreferenced object)', text, flags=re.M)[1:]
    return [entry.rstrip() for entry in entries if _OURS.search(entry)]
