# SPDX-License-Identifier: GPL-2.0-or-later
"""What 'iommu-policyctl status' costs on a machine of 260 groups, beside two
calls of busctl(1), in turns in one virtual machine. Nothing passes or fails.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'vm'))

from vmtest import VM, Topology, cache, sriov_nvme, tree  # noqa: E402

FUNCTIONS = 127     # of each of two disks


TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], subsystems=['sub-a', 'sub-b'],
    cold=[sriov_nvme('a', 'rp1', FUNCTIONS, 'sub-a'),
          sriov_nvme('b', 'rp2', FUNCTIONS, 'sub-b')], load=['nvme'])

CALL = 'busctl call org.iommupolicy1 /org/iommupolicy1 ' \
       'org.freedesktop.DBus.ObjectManager GetManagedObjects'
GET = 'busctl get-property org.iommupolicy1 /org/iommupolicy1 ' \
      'org.iommupolicy1.Manager Version'
WAYS = {
    'status': 'iommu-policyctl status',
    'status --json': 'iommu-policyctl status --json',
    'two busctl: all objects': f'{CALL}; {CALL}',
    'two busctl: one property': f'{GET}; {GET}',
}

# Run in the guest: asking for each run from outside would cost more than it.
PROGRAM = '''
import json, subprocess, sys, time
ways, count = json.load(sys.stdin), int(sys.argv[1])
found = {name: [] for name in ways}
for _ in range(count):
    for name, command in ways.items():
        begin = time.perf_counter()
        subprocess.run(['sh', '-c', f'{{ {command}; }} > /dev/null'],
                       check=True)
        found[name].append(time.perf_counter() - begin)
print(json.dumps(found))
'''


def main() -> int:
    parser = argparse.ArgumentParser(prog='tests/bench/status.py')
    parser.add_argument('--kernel', default='6.12')
    parser.add_argument('--count', type=int, default=20)
    parser.add_argument('--destdir', type=Path, help='an installed tree')
    options, _ = parser.parse_known_args()
    vm = VM(TOPOLOGY, options.kernel, options.destdir or tree.build(),
            cache.own() / 'logs' / 'bench-status')
    try:
        for name in ('a', 'b'):
            folder = f'/sys/bus/pci/devices/{vm.address(name)}'
            vm.run(f'echo 0 > {folder}/sriov_drivers_autoprobe && '
                   f'echo {FUNCTIONS} > {folder}/sriov_numvfs', timeout=300)
        vm.wait(lambda: len(json.loads(vm.out(
            'iommu-policyctl list --json=short'))) >= 2 * FUNCTIONS,
            what='all groups', timeout=300)
        vm.write('/tmp/bench.py', PROGRAM)
        found = json.loads(vm.run(
            ['python3', '/tmp/bench.py', str(options.count)],
            input=json.dumps(WAYS), timeout=1200).stdout)
        median = {name: statistics.median(times)
                  for name, times in found.items()}
        print(f'{len(vm.groups())} groups:')
        for name, value in median.items():
            print(f'{name:26} median {value * 1000:7.1f} ms   '
                  f'{value / median["status"]:5.2f} of status')
    finally:
        vm.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
