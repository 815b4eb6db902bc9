# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/vm/run --shell: a guest to look at by hand."""

from __future__ import annotations

import argparse
import sys

from . import arch, cache, iommus, otherdebian, tree
from .qmp import QmpError
from .topology import Device, Topology, e1000e, nvme
from .vm import VM

HELP = '''\
A line is run in the guest by bash. A line that begins with a colon is for
the machine around it:
  :plug e1000e|nvme|DRIVER ID PORT     :unplug ID
  :groups                              :console
  :quit (or end of input)'''


def _plug(vm: VM, driver: str, name: str, port: str) -> None:
    make = {'e1000e': e1000e, 'nvme': nvme}.get(driver)
    vm.plug(make(name, port) if make else Device(driver, name, port))


def _line(vm: VM, line: str) -> None:
    words = line.split()
    if words[0] == ':plug':
        _plug(vm, *words[1:])
    elif words[0] == ':unplug':
        vm.unplug(*words[1:], timeout=15)
    elif words[0] == ':groups':
        for group, devices in sorted(vm.groups().items()):
            print(f'{group:3} {vm.type_of(group):8} ' + ' '.join(
                f'{device}={vm.driver_of(device) or "-"}'
                for device in devices))
    elif words[0] == ':console':
        print(vm.machine.console_tail(80))
    elif words[0].startswith(':'):
        print(HELP)
    else:
        result = vm.run(line, check=False, timeout=600)
        sys.stdout.write(result.stdout)
        sys.stderr.write(result.stderr)
        if result.status:
            print(f'[exit status {result.status}]', file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(prog='tests/vm/run --shell')
    parser.add_argument('--kernel', default='6.12')
    parser.add_argument('--iommu', default=iommus.DEFAULT,
                        choices=list(iommus.ALL))
    parser.add_argument('--lazy', action='store_true',
                        help='boot default DMA-FQ and not DMA')
    parser.add_argument('--module', action='store_true',
                        help='with iommu_policy.ko, and policy-client')
    parser.add_argument('--append', default='', help='kernel parameters')
    parser.add_argument('command', nargs='*',
                        help='run this, and end with its exit status')
    options = parser.parse_args()
    topology = Topology(caching_mode=not options.lazy,
                        kernel_args=options.append, module=options.module,
                        cold=[nvme('n0', 'rp1'), e1000e('e0', 'rp2')])
    reason = iommus.ALL[options.iommu].why_not(options.kernel)
    if reason:
        parser.error(f'--iommu {options.iommu}: {reason}')
    topology = iommus.on(topology, options.iommu)
    vm = VM(topology, options.kernel, tree.build(
        suite=otherdebian.of(options.kernel), arch=arch.of(topology.iommu)),
            cache.own() / 'logs' / 'shell')
    try:
        if options.command:
            result = vm.run(' '.join(options.command), check=False,
                            timeout=600)
            sys.stdout.write(result.stdout)
            sys.stderr.write(result.stderr)
            return result.status
        print(f'up in {vm.ready_after:.0f} s: ports rp1 to rp4, nvme n0 in '
              f'rp1, e1000e e0 in rp2; logs in {vm.logs}\n{HELP}')
        while True:
            try:
                line = input('guest# ').strip()
                if line == ':quit':
                    return 0
                if line:
                    _line(vm, line)
            except EOFError:
                return 0
            except (OSError, AssertionError, QmpError, TypeError,
                    LookupError) as error:
                print(f'{error}', file=sys.stderr)
    finally:
        vm.close()


if __name__ == '__main__':
    sys.exit(main())
