# SPDX-License-Identifier: GPL-2.0-or-later
"""What a boot costs: with the daemon and without, and with and without what is
in the initramfs, which grows by it.

Only ratios mean something, as in hotplug.py; nothing passes or fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'vm'))

from vmtest import VM, Topology, cache, e1000e, kernel  # noqa: E402
from vmtest import nvme, realroot, tree  # noqa: E402
from vmtest.machine import POLICY, UNIT  # noqa: E402

RULES = {'50-all.conf': '[storage]\nmatch-class = 0108\ndomain = identity\n\n'
                        '[8086:10d3]\ndomain = identity\n'}

STORAGE = {f'/{POLICY}/50-root.conf': '[storage]\nmatch-class = 0108\n'
                                      'domain = identity\n'}


def _service(enable: list[str]) -> Topology:
    return Topology(ports=['rp1', 'rp2'], policy=RULES, enable=enable,
                    cold=[nvme('disk', 'rp1'), e1000e('nic', 'rp2')])


def _root(tool: str) -> Topology:
    return Topology(ports=['rp1', 'rp2'], root=tool, files=STORAGE,
                    cold=[nvme('root', 'rp1', size_mb=0, drive='root'),
                          e1000e('nic', 'rp2')], boot_timeout=300)


def _stripped(daemon: Path, folder: Path) -> Path:
    """As a package has it."""
    copy = folder / 'tree'
    shutil.copytree(daemon, copy, symlinks=True)
    cache.command('strip', copy / 'usr/sbin/iommu-policyd')
    return copy


def _used(process: int) -> float:
    """Seconds of CPU time, of which other work on the computer takes none."""
    fields = Path(f'/proc/{process}/stat').read_text().rsplit(')')[-1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def _boot(topology: Topology, release: str,
          daemon: Path | None) -> tuple[float, float]:
    """Seconds until the system is up: by the kernel's clock, and of QEMU."""
    vm = VM(topology, release, daemon, cache.own() / 'logs' / 'bench-boot')
    try:
        used = _used(vm.machine.process.pid)
        return int(vm.out(['systemctl', 'show', '-P',
                           'ActiveEnterTimestampMonotonic',
                           'multi-user.target'])) / 1e6, used
    finally:
        vm.close(look=False)


def _boots(title: str, count: int, release: str,
           ways: tuple[tuple[Topology, Path | None], ...]) -> None:
    """Two ways to boot, which take turns."""
    found = [[_boot(topology, release, daemon) for topology, daemon in ways]
             for _ in range(count)]
    for number, what in enumerate(('until it is up', 'CPU time')):
        pairs = [(one[number], other[number]) for one, other in found]
        one, other = map(statistics.median, zip(*pairs))
        ratios = [one / other for one, other in pairs]
        print(f'{title}, {what}: with {one:.1f} s, without {other:.1f} s, '
              f'ratio {statistics.median(ratios):.2f} '
              f'({min(ratios):.2f} to {max(ratios):.2f})', flush=True)


def _size(tool: str, release: str, daemon: Path | None) -> int:
    return realroot.get(tool, kernel.get(release), daemon,
                        STORAGE)[1].stat().st_size


def main() -> int:
    parser = argparse.ArgumentParser(prog='tests/bench/boot.py')
    parser.add_argument('--kernel', default='6.12')
    parser.add_argument('--count', type=int, default=5, help='how often')
    options, _ = parser.parse_known_args()
    release = options.kernel
    daemon = tree.build()
    assert daemon
    print(f'Boots, kernel {release}:', flush=True)
    _boots('the service', options.count, release,
           ((_service([UNIT]), daemon), (_service([]), daemon)))
    with tempfile.TemporaryDirectory() as folder:
        daemon = _stripped(daemon, Path(folder))
        for tool in realroot.TOOLS:
            more = _size(tool, release, daemon)
            less = _size(tool, release, None)
            print(f'{tool}: {more} bytes with the hook, {less} without, '
                  f'{more - less} more, ratio {more / less:.3f}', flush=True)
            _boots(f'{tool} and the service', options.count, release,
                   ((_root(tool), daemon), (_root(tool), None)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
