# SPDX-License-Identifier: GPL-2.0-or-later
"""What a boot costs: with the daemon and without, and with and without what is
in the initramfs, which grows by it.

Only ratios mean something, as in hotplug.py; nothing passes or fails.
"""

from __future__ import annotations

import argparse
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


def _service(enable: list[str]) -> Topology:
    return Topology(ports=['rp1', 'rp2'], policy=RULES, enable=enable,
                    cold=[nvme('disk', 'rp1'), e1000e('nic', 'rp2')])


def _root(tool: str) -> Topology:
    return Topology(ports=['rp1', 'rp2'], root=tool, policy=realroot.POLICY,
                    cold=[nvme('root', 'rp1', size_mb=0, drive='root'),
                          e1000e('nic', 'rp2')], boot_timeout=300)


def _stripped(daemon: Path, folder: Path) -> Path:
    """As a package has it."""
    copy = folder / 'tree'
    shutil.copytree(daemon, copy, symlinks=True)
    cache.command('strip', copy / 'usr/sbin/iommu-policyd')
    return copy


def _seconds(topology: Topology, release: str, daemon: Path | None) -> float:
    """From the kernel's start until the system is up."""
    vm = VM(topology, release, daemon, cache.own() / 'logs' / 'bench-boot')
    try:
        vm.wait('systemctl is-active multi-user.target', timeout=180,
                what='the boot to end')
        return int(vm.out(['systemctl', 'show', '-P',
                           'ActiveEnterTimestampMonotonic',
                           'multi-user.target'])) / 1e6
    finally:
        vm.close(look=False)


def _boots(title: str, count: int, release: str,
           ways: tuple[tuple[Topology, Path | None], ...]) -> None:
    """Times of two ways to boot that take turns."""
    found: tuple[list[float], ...] = ([], [])
    for _ in range(count):
        for times, (topology, daemon) in zip(found, ways):
            times.append(_seconds(topology, release, daemon))
    one, other = map(statistics.median, found)
    ratio = statistics.median(map(lambda pair: pair[0] / pair[1],
                                  zip(*found)))
    print(f'{title}: with {one:.2f} s, without {other:.2f} s, ratio '
          f'{ratio:.3f} ({", ".join(f"{a / b:.2f}" for a, b in zip(*found))})',
          flush=True)


def _size(tool: str, release: str, daemon: Path | None) -> int:
    return realroot.get(tool, kernel.get(release), daemon,
                        POLICY)[1].stat().st_size


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
