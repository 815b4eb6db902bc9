# SPDX-License-Identifier: GPL-2.0-or-later
"""What a boot costs: with the daemon and without, with what is in the
initramfs and with that switched off.

Only ratios mean something, as in hotplug.py; nothing passes or fails.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'vm'))

from vmtest import VM, Topology, cache, e1000e, nvme, realroot  # noqa: E402
from vmtest import tree  # noqa: E402

UNIT = 'iommu-policyd.service'
RULES = {'50-all.conf': '[storage]\nmatch-class = 0108\ndomain = identity\n\n'
                        '[8086:10d3]\ndomain = identity\n'}


def _service(enable: list[str]) -> Topology:
    return Topology(ports=['rp1', 'rp2'], policy=RULES, enable=enable,
                    cold=[nvme('disk', 'rp1'), e1000e('nic', 'rp2')])


def _hook(kernel_args: str) -> Topology:
    return Topology(ports=['rp1', 'rp2'], root='initramfs-tools',
                    policy=realroot.POLICY, kernel_args=kernel_args,
                    cold=[nvme('root', 'rp1', size_mb=0, drive='root'),
                          e1000e('nic', 'rp2')], boot_timeout=300)


PAIRS = (
    ('the service', _service([UNIT]), _service([])),
    # The service is off as well: it has nothing to do where the hook has run.
    ('initramfs and service', _hook(''), _hook('iommu_policyd=off')),
)


def _boot(topology: Topology, release: str, folder: Path | None) -> float:
    """Seconds from the kernel's start until the system is up."""
    vm = VM(topology, release, folder, cache.own() / 'logs' / 'bench-boot')
    try:
        vm.wait('systemctl is-active multi-user.target', timeout=180,
                what='the boot to end')
        return int(vm.out(['systemctl', 'show', '-P',
                           'ActiveEnterTimestampMonotonic',
                           'multi-user.target'])) / 1e6
    finally:
        vm.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog='tests/bench/boot.py')
    parser.add_argument('--kernel', default='6.12')
    parser.add_argument('--count', type=int, default=5, help='how often')
    options, _ = parser.parse_known_args()
    folder = tree.build()
    print(f'Boots, kernel {options.kernel}:', flush=True)
    for title, with_it, without in PAIRS:
        found: tuple[list[float], list[float]] = [], []
        for _ in range(options.count):
            for times, topology in zip(found, (with_it, without)):
                times.append(_boot(topology, options.kernel, folder))
        one, other = map(statistics.median, found)
        print(f'{title}: with {one:.2f} s, without {other:.2f} s, ratio '
              f'{one / other:.3f}', flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
