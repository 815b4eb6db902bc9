# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/demo: one device, one rule, and what a person gets to see of it."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from . import apt, cache, image, kernel, tree
from .bus import SERVICE, device_path, group_path
from .topology import Topology, e1000e, nvme
from .vm import VM

NAME = '50-storage-network.conf'
POLICY = '''\
# This network card moves a lot of data and is trusted: no translation.
[8086:10d3]
domain      = identity
description = line rate on the storage network
'''

TOPOLOGY = Topology(ports=['rp1', 'rp2'], cold=[nvme('disk', 'rp2')],
                    policy={NAME: POLICY}, load=['e1000e'])

# The fields of an entry that are ours; the journal adds two dozen more.
FIELDS = ('MESSAGE,MESSAGE_ID,PRIORITY,IOMMU_GROUP,DEVICE,TYPE_FROM,TYPE_TO,'
          'STATE,REASON,CONFIG_FILE,CONFIG_LINE,DURATION_USEC')
APPLIED = 'd78709716d1f491bb84d3223daaaec5d'


def _paint(code: str, text: str) -> str:
    return f'\033[{code}m{text}\033[0m' if sys.stdout.isatty() else text


def _heading(text: str) -> None:
    print(f'\n{_paint("1;34", f"== {text}")}', flush=True)


def _show(vm: VM, command: str) -> str:
    """Runs a command as somebody at the guest's shell would see it."""
    print(_paint('1', f'\n# {command}'), flush=True)
    # A wide terminal, so that nothing is cut off.
    result = vm.run(f'export COLUMNS=200 SYSTEMD_PAGER=; {command}',
                    check=False)
    print((result.stdout + result.stderr).rstrip('\n'), flush=True)
    return result.stdout


def _prepare(release: str) -> None:
    """Everything that a boot needs and is not there yet, side by side."""
    # What may want apt's lists goes first: only one may fetch them.
    apt.sources()
    apt.kernel_package(release)
    with ThreadPoolExecutor() as pool:
        for job in [pool.submit(image.get), pool.submit(kernel.get, release),
                    pool.submit(tree.build)]:
            job.result()


def _before(vm: VM) -> None:
    _heading('The machine, and its policy')
    _show(vm, 'uname -r')
    _show(vm, f'cat /etc/iommu-policyd/policy.d/{NAME}')
    _show(vm, 'iommu-policyctl check')
    _show(vm, 'iommu-policyctl status')


def _plug(vm: VM) -> tuple[int, str, bool]:
    _heading('A network card is plugged in (from outside, by QMP)')
    device = e1000e('nic', 'rp1')
    words = ', '.join(f'{key}={value}' for key, value in
                      device.arguments().items())
    print(_paint('1', f'\nQMP> device_add {words}'), flush=True)
    started = time.monotonic()
    vm.plug(device)
    vm.wait(lambda: vm.group_of('nic') is not None, what='the group')
    number, address = vm.group_of('nic'), vm.address('nic')
    assert number is not None
    try:
        vm.wait(lambda: vm.busctl_get(f'group/{number}', 'Group', 'State')
                == 'compliant' and vm.driver_of('nic') == 'e1000e',
                what='the change')
        print(f'(done {time.monotonic() - started:.1f} s later)')
        good = vm.type_of('nic') == 'identity'
    except AssertionError as error:
        print(error)
        good = False
    _show(vm, f'cat /sys/kernel/iommu_groups/{number}/type')
    _show(vm, f'readlink /sys/bus/pci/devices/{address}/driver')
    _show(vm, 'iommu-policyctl status')
    _show(vm, f'iommu-policyctl explain {address}')
    return number, address, good


def _journal(vm: VM) -> None:
    _heading('The journal')
    _show(vm, 'journalctl -u iommu-policyd -o short')
    _show(vm, f'journalctl MESSAGE_ID={APPLIED} -n 1 -o verbose '
              f'--output-fields={FIELDS}')


def _bus(vm: VM, number: int, address: str) -> None:
    _heading('D-Bus')
    path = group_path(number)
    _show(vm, f'busctl tree {SERVICE}')
    _show(vm, f'busctl introspect {SERVICE} {path} {SERVICE}.Group')
    _show(vm, f'busctl get-property {SERVICE} {path} {SERVICE}.Group '
              'Type State Rules')
    _show(vm, f'busctl get-property {SERVICE} {device_path(address)} '
              f'{SERVICE}.Device Driver Group')


def main() -> int:
    parser = argparse.ArgumentParser(prog='scripts/demo')
    parser.add_argument('--kernel', default=kernel.DEFAULT,
                        choices=kernel.KNOWN)
    options = parser.parse_args()
    started = time.monotonic()
    _prepare(options.kernel)
    print('Booting Debian in a virtual machine with an Intel IOMMU '
          '(software emulation) …', flush=True)
    vm = VM(TOPOLOGY, options.kernel, tree.build(),
            cache.own() / 'logs' / 'demo')
    try:
        _before(vm)
        number, address, good = _plug(vm)
        _journal(vm)
        _bus(vm, number, address)
    finally:
        vm.close()
    took = time.monotonic() - started
    _heading(f'Group {number} is identity because {NAME} says so '
             f'({took:.0f} s in all)' if good else
             f'Group {number} did NOT become identity ({took:.0f} s in all)')
    print('A guest of your own: tests/vm/run --shell')
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
