# SPDX-License-Identifier: GPL-2.0-or-later
"""Stops the daemon's next worker at, or soon after, the beginning of a step.

catch-worker.py GROUP STEP... stops it when its record names one of these, with
"started" for one that has no record yet. Prints {"pid": …, "step": …} when it
stands still, with the step that its record names then; "pid" is null where the
worker has been quicker. Nothing of the worker's is touched: it stands at a
place where it may as well have lost its processor for that long.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time

RECORD = f'/run/iommu-policyd/transaction/{sys.argv[1]}'


def workers(daemon: str) -> set[int]:
    with open(f'/proc/{daemon}/task/{daemon}/children') as file:
        return set(map(int, file.read().split()))


def step() -> str:
    try:
        with open(RECORD) as file:
            found = re.search('^step=(.*)$', file.read(), re.M)
    except FileNotFoundError:
        return 'started'
    return found[1] if found else 'started'


def state(pid: int) -> str:
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rsplit(')', 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return 'Z'


def main() -> None:
    daemon = subprocess.run(
        ['systemctl', 'show', '-P', 'MainPID', 'iommu-policyd.service'],
        capture_output=True, text=True, check=True).stdout.strip()
    before = workers(daemon)
    print('ready', flush=True)
    until = time.monotonic() + 60
    while not (fresh := workers(daemon) - before):
        if time.monotonic() > until:
            sys.exit('no worker was started')
    pid, = fresh
    while step() not in sys.argv[2:] and state(pid) not in 'ZX':
        pass
    try:
        os.kill(pid, signal.SIGSTOP)
    except ProcessLookupError:
        pass
    # In the kernel, it stops on its way out.
    while (now := state(pid)) not in 'TZX':
        time.sleep(0.01)
    print(json.dumps({'pid': pid if now == 'T' else None, 'step': step()}))


main()
