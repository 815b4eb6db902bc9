# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon costs: in time at a hotplug, and in memory and wake-ups.

Everything runs in a virtual machine under software emulation: seconds mean
little here, so times are shown as a ratio to the same work done by hand in
the same machine. Nothing passes or fails.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'vm'))

from vmtest import VM, Device, Topology, cache, e1000e, nvme, tree  # noqa: E402

TYPE = 'identity'
BOOT_TYPE = 'DMA'
UNIT = 'iommu-policyd'
MODULE = 'iommu_policy'
TOPOLOGY = Topology(
    ports=['rp1'], load=['e1000e', 'nvme'], module=True,
    policy={'50-bench.conf': f'[all]\nmatch-class = 01 02\n'
                             f'match-address = 0000:01:*\ndomain = {TYPE}\n'})
CASES: list[tuple[Device, str]] = [(e1000e('nic', 'rp1'), 'e1000e'),
                                   (nvme('disk', 'rp1'), 'nvme')]


def _compile() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / 'hotplug'
        cache.command('gcc', '-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall',
                      '-Wextra', '-o', program, HERE / 'hotplug.c')
        return program.read_bytes()


def _times(vm: VM, device: Device, words: str, count: int) -> list[int]:
    """Plugs a device in and out; what /tmp/hotplug says of each time."""
    job = vm.start(f'exec /tmp/hotplug {words}')
    vm.wait(lambda: job.peek().stdout == 'ready\n', what='the observer')
    found: list[str] = []
    for number in range(1, count + 1):
        vm.plug(device)
        address = vm.address(device.id)
        # Looking costs the guest time, so it is done seldom.
        found = vm.wait(lambda: len(lines := job.peek().stdout.split()[1:])
                        == number and lines, interval=1, timeout=60,
                        what=f'{device.id} for the {number}th time')
        vm.unplug(device.id)
        vm.wait(lambda: not vm.present(address), what='the device to go')
    job.stop()
    return [int(line) for line in found]


# What acts at a hotplug, and how the machine is brought to that.
_RULE, _AWAY = '/etc/iommu-policyd/policy.d/50-bench.conf', '/run/50-bench.conf'
_NOBODY = f'systemctl stop {UNIT}; modprobe -rq {MODULE}'
_DAEMON = f'if [ -e {_AWAY} ]; then mv {_AWAY} {_RULE}; fi; ' \
          f'systemctl restart {UNIT}; modprobe'
WAYS = {
    'nobody': _NOBODY,
    'by hand': _NOBODY,
    'rebind': f'{_DAEMON} -rq {MODULE}',     # the daemon without the module
    'gate': f'{_DAEMON} {MODULE}',
    'no rule': f'mv {_RULE} {_AWAY}; systemctl restart {UNIT}; '
               f'modprobe {MODULE}',         # through the gate all the same
}
RATIOS = (('gate', 'nobody', 'what gate and change cost'),
          ('no rule', 'nobody', 'what the gate alone costs'),
          ('gate', 'rebind', 'what the gate saves'),
          ('rebind', 'by hand', "what the daemon's care costs"),
          ('gate', 'by hand', ''))


def _words(way: str, address: str, driver: str) -> str:
    if way == 'by hand':
        return f'act {address} {TYPE} {driver}'
    type_ = BOOT_TYPE if way in ('nobody', 'no rule') else TYPE
    return f'watch {address} {type_}'


def _hotplug(vm: VM, device: Device, driver: str, count: int) -> None:
    vm.plug(device)
    address = vm.address(device.id)
    vm.wait(lambda: vm.driver_of(device.id), what='the driver')
    vm.unplug(device.id)
    vm.wait(lambda: not vm.present(address), what='the device to go')

    times: dict[str, list[int]] = {way: [] for way in WAYS}
    # Half of each, and the other half the other way round: a drift hits all.
    for ways, share in ((list(WAYS), count // 2),
                        (list(WAYS)[::-1], count - count // 2)):
        for way in ways:
            vm.run(WAYS[way])
            times[way] += _times(vm, device, _words(way, address, driver),
                                 share)
    vm.run(WAYS['gate'])

    median = {way: statistics.median(found) for way, found in times.items()}
    for way, found in times.items():
        print(f'{driver:8} {way:8} median {median[way] / 1000:7.1f} ms'
              f'   {min(found) / 1000:7.1f} to {max(found) / 1000:7.1f} ms'
              f'   ({len(found)} times)')
    for way, other, meaning in RATIOS:
        print(f'{driver:8} {way:7} / {other:8} '
              f'{median[way] / median[other]:5.2f}   {meaning}'.rstrip(),
              flush=True)


def _status(vm: VM, *names: str) -> dict[str, int]:
    pid = vm.out(['systemctl', 'show', '-P', 'MainPID', UNIT])
    text = vm.out(f'cat /proc/{pid}/status; '
                  f'grep -h ^Pss: /proc/{pid}/smaps_rollup')
    return {name: int(re.findall(rf'(?m)^{name}:\s*(\d+)', text)[0])
            for name in names}


def _switches(vm: VM, seconds: int) -> int:
    """How often the daemon went to sleep again while nothing happened."""
    vm.run(['udevadm', 'settle'])
    vm.run('sleep 5')    # what the start has left behind
    name = 'voluntary_ctxt_switches'
    before = _status(vm, name)[name]
    vm.run(f'sleep {seconds}', timeout=seconds + 60)
    return _status(vm, name)[name] - before


def _idle(vm: VM, seconds: int) -> None:
    memory = ('VmRSS', 'RssAnon', 'RssFile', 'Pss')
    found = _status(vm, *memory)
    print('memory   ' + ', '.join(f'{name} {found[name]} KiB'
                                   for name in memory))
    drop_in = f'/run/systemd/system/{UNIT}.service.d/50-bench.conf'
    for setting, text in (('WatchdogSec=30s, as shipped', ''),
                          ('WatchdogSec=0', '[Service]\nWatchdogSec=0\n')):
        vm.write(drop_in, text)
        vm.run(f'systemctl daemon-reload; systemctl restart {UNIT}')
        print(f'idle     {_switches(vm, seconds)} wake-ups in {seconds} s '
              f'({setting})', flush=True)
    vm.run(f'rm {drop_in}; systemctl daemon-reload; systemctl restart {UNIT}')
    print('         The watchdog is fed after half to three quarters of its '
          'time, once in 15 to\n         22 s: nothing else wakes the daemon.')


def main() -> int:
    parser = argparse.ArgumentParser(prog='tests/bench/run')
    parser.add_argument('--kernel', default='6.12')
    parser.add_argument('--count', type=int, default=10,
                        help='how often each device is plugged in')
    parser.add_argument('--idle', type=int, default=60, help='seconds')
    parser.add_argument('--destdir', type=Path, help='an installed tree')
    options = parser.parse_args()
    program = _compile()
    vm = VM(TOPOLOGY, options.kernel, options.destdir or tree.build(),
            cache.own() / 'logs' / 'bench')
    try:
        print(f'ADD uevent to driver bound, under type {TYPE} but for '
              f'nobody, kernel {vm.out("uname -r")}:', flush=True)
        vm.write('/tmp/hotplug', program, 0o755)
        for device, driver in CASES:
            _hotplug(vm, device, driver, options.count)
        print(f'The idle daemon, with {len(vm.groups())} groups:')
        _idle(vm, options.idle)
    finally:
        vm.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
