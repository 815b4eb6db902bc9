# SPDX-License-Identifier: GPL-2.0-or-later
"""Many groups at once: 127 virtual functions to their type against a C loop
that only writes, and N disks one after the other and side by side.

Only ratios mean something, as in hotplug.py; nothing passes or fails.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'vm'))

from vmtest import VM, Topology, cache, nvme  # noqa: E402
from vmtest import sriov_nvme, tree  # noqa: E402

UNIT = 'iommu-policyd'
COUNT = 127
DISKS = [f'n{number}' for number in range(1, 9)]
TOPOLOGY = Topology(
    ports=['rp1', *(f'rp-{name}' for name in DISKS)], load=['nvme'],
    cold=[sriov_nvme('pf', 'rp1', COUNT),
          *(nvme(name, f'rp-{name}') for name in DISKS)],
    subsystems=['ss'],
    policy={'50-functions.conf': '[functions]\nmatch-parent = 0000:00:08.0\n'
            'match-virtual-function = yes\ndomain = identity\n'})


def _compile() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / 'groups'
        cache.command('gcc', '-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall',
                      '-Wextra', '-o', program, HERE / 'groups.c')
        return program.read_bytes()


def _functions(vm: VM, times: int) -> None:
    folder = f'/sys/bus/pci/devices/{vm.address("pf")}'
    vm.wait(lambda: vm.driver_of('pf') == 'nvme', what='nvme')
    vm.run(f'echo 0 > {folder}/sriov_drivers_autoprobe')
    found: dict[str, list[int]] = {'make': [], 'write': [], 'wait': []}
    for _ in range(times):
        for how, verb in (('make', 'stop'), ('write', 'stop'),
                          ('wait', 'start')):
            vm.run(f'systemctl {verb} {UNIT}')
            found[how].append(int(vm.out(
                f'/tmp/groups {how} identity {folder} {COUNT}',
                timeout=180)))
            vm.run(f'echo 0 > {folder}/sriov_numvfs', timeout=120)
    none, loop, daemon = (statistics.median(found[how]) / 1e6
                          for how in ('make', 'write', 'wait'))
    print(f'{COUNT} virtual functions made and each to its type: made alone '
          f'{none:.2f} s, C loop {loop:.2f} s, daemon {daemon:.2f} s, ratio '
          f'{daemon / loop:.2f}', flush=True)


def _disks(vm: VM, times: int) -> None:
    """N transactions, each with a driver that lets go and comes back."""
    addresses = {name: vm.address(name) for name in DISKS}
    for name in DISKS:
        vm.wait(lambda: vm.driver_of(name) == 'nvme', what='nvme')
    found: dict[tuple[int, int], list[float]] = {}
    for workers in (1, 8):
        vm.write('/etc/iommu-policyd/iommu-policyd.conf.d/bench.conf',
                 f'[Daemon]\nMaxWorkers={workers}\n')
        vm.run(f'systemctl restart {UNIT}')
        for _ in range(times):
            for many in (1, len(DISKS)):
                for domain in ('identity', 'DMA'):
                    wanted = [addresses[name] for name in DISKS[:many]]
                    vm.write('/tmp/rule', f'[disks]\ndomain = {domain}\n'
                             'rebind = always\nmatch-address = '
                             f'{" ".join(wanted)}\n')
                    vm.write('/tmp/change', 'cp /tmp/rule /etc/iommu-policyd/'
                             'policy.d/60-disks.conf && busctl call '
                             'org.iommupolicy1 /org/iommupolicy1 '
                             'org.iommupolicy1.Manager Reload >/dev/null\n')
                    found.setdefault((workers, many), []).append(int(vm.out(
                        f'/tmp/groups change {domain} /tmp/change '
                        f'{" ".join(wanted)}', timeout=180)) / 1e6)
    one = statistics.median(found[8, 1])
    for workers in (1, 8):
        many = statistics.median(found[workers, len(DISKS)])
        print(f'{len(DISKS)} disks with rebind, MaxWorkers={workers}: '
              f'{many:.1f} s, {many / one:.1f} times one disk\'s', flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog='tests/bench/groups.py')
    parser.add_argument('--kernel', default='6.12')
    parser.add_argument('--count', type=int, default=3, help='how often')
    options, _ = parser.parse_known_args()
    program = _compile()
    vm = VM(TOPOLOGY, options.kernel, tree.build(),
            cache.own() / 'logs' / 'bench-groups')
    try:
        vm.write('/tmp/groups', program, 0o755)
        print(f'Many groups, kernel {vm.out("uname -r")}:', flush=True)
        _functions(vm, options.count)
        _disks(vm, options.count)
    finally:
        vm.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
