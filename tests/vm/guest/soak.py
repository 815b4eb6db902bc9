# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that may be done to the daemon in a machine, at random.

soak.py SEED SECONDS STAYING WORDS... STAYING are the addresses of what nobody
plugs out, with commas between, and the words any of these:

  kill      the daemon is restarted, and killed
  module    the kernel module is loaded and unloaded
  types     types are written by hand, beside the daemon. Not with kernels
            before 6.4, which do not survive that while devices go.

What an action says does not matter, and most of them may fail: what is asked
for may be gone, or somebody else's. Prints how often each was done, and how
often with success, as JSON.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

SEED, SECONDS = int(sys.argv[1]), float(sys.argv[2])
STAYING, WORDS = sys.argv[3].split(','), set(sys.argv[4:])
UNIT = 'iommu-policyd.service'
NAME = 'org.iommupolicy1'
ROOT = '/org/iommupolicy1'
POLICY = '/etc/iommu-policyd/policy.d'
DEVICES = '/sys/bus/pci/devices'
GROUPS = '/sys/kernel/iommu_groups'
DRIVERS = ('nvme', 'e1000e')
TYPES = ('identity', 'DMA', 'DMA-FQ', 'auto')
DONE, WELL = Counter(), Counter()


def call(*words: str) -> bool:
    """Runs a command; one that the kernel keeps is left to itself."""
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    try:
        return child.wait(60) == 0
    except subprocess.TimeoutExpired:
        child.kill()
        return False


def put(path: str, text: str) -> bool:
    try:
        with open(path, 'w') as file:
            file.write(text)
    except OSError:
        return False
    return True


def endpoints() -> list[str]:
    """Those of the scenario: neither bridges nor the chipset's own."""
    found = []
    for name in sorted(os.listdir(DEVICES)):
        try:
            with open(f'{DEVICES}/{name}/class') as file:
                kind = file.read()[:6]
        except OSError:
            continue
        if kind in ('0x0108', '0x0200') and not name.startswith('0000:00:'):
            found.append(name)
    return found


class Actor(threading.Thread):
    """One who does its actions, one after the other, with a pause."""

    def __init__(self, number: int, pause: float) -> None:
        super().__init__()
        self.dice = random.Random(SEED * 16 + number)
        self.pause = pause

    def method(self, *words: str) -> bool:
        return call('busctl', '--timeout=30', 'call', NAME, ROOT,
                    f'{NAME}.Manager', *words)

    def device(self) -> str:
        return self.dice.choice(endpoints() or ['none'])

    def group(self) -> str:
        return self.dice.choice(sorted(os.listdir(GROUPS)) or ['0'])

    def actions(self) -> list:
        return [getattr(self, name) for name in sorted(dir(self))
                if name.startswith('do_')]

    def run(self) -> None:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            action = self.dice.choice(self.actions())
            name = action.__name__.removeprefix('do_')
            DONE[name] += 1
            WELL[name] += bool(action())
            time.sleep(self.dice.random() * self.pause)


class Administrator(Actor):
    """Writes policies, good and broken, and asks for changes."""

    def do_policy(self) -> bool:
        rules = []
        for name, kind in (('disk', '0108'), ('nic', '0200')):
            if self.dice.random() < 0.8:
                rules.append(
                    f'[{name}]\nmatch-class = {kind}\n'
                    f'domain = {self.dice.choice(TYPES + ("keep", "blocked"))}'
                    f'\nrebind = {self.dice.choice(("always", "hotplug"))}\n')
        return put(f'{POLICY}/60-soak.conf', '\n'.join(rules))

    def do_broken(self) -> bool:
        path = f'{POLICY}/70-broken.conf'
        what = self.dice.randrange(4)
        if what == 0:
            return put(path, '[x]\nmatch-class = nope\ndomain = best\n')
        if what == 1:
            return put(path, self.dice.randbytes(500).decode('latin-1'))
        if what == 2:
            return call('ln', '-sfn', '/run/nowhere', path)
        return call('chmod', '666', path)

    def do_mended(self) -> bool:
        return call('rm', '-f', f'{POLICY}/70-broken.conf')

    def do_reload(self) -> bool:
        return call('systemctl', 'reload', UNIT)

    def do_reload_by_bus(self) -> bool:
        return self.method('Reload')

    def do_apply(self) -> bool:
        return self.method('Apply', 'a{sv}', '1', 'rebind', 'b', 'true')

    def do_apply_group(self) -> bool:
        return self.method('ApplyGroup', 'ua{sv}', self.group(), '0')

    def do_set_type(self) -> bool:
        return self.method(
            'SetGroupType', 'usa{sv}', self.group(),
            self.dice.choice(TYPES + ('blocked',)), '1', 'rebind', 'b',
            self.dice.choice(('true', 'false')))

    def do_restore(self) -> bool:
        return self.method('Restore', 'u', self.group())


class Hand(Actor):
    """Does by hand, beside the daemon, what the daemon does."""

    def do_unbind(self) -> bool:
        device = self.device()
        return put(f'{DEVICES}/{device}/driver/unbind', device)

    def do_bind(self) -> bool:
        driver = self.dice.choice(DRIVERS)
        return put(f'/sys/bus/pci/drivers/{driver}/bind', self.device())

    def do_probe(self) -> bool:
        return put('/sys/bus/pci/drivers_probe', self.device())

    def do_remove(self) -> bool:
        # A device that is plugged out at the same time is freed under this
        # write, of which the kernel dies (remove_store() in
        # drivers/pci/pci-sysfs.c holds no reference).
        return put(f'{DEVICES}/{self.dice.choice(STAYING)}/remove', '1')

    def do_rescan(self) -> bool:
        return put('/sys/bus/pci/rescan', '1')

    def do_trigger(self) -> bool:
        return call('udevadm', 'trigger', '--subsystem-match=pci')

    def do_type(self) -> bool:
        if 'types' not in WORDS:
            return self.do_rescan()
        return put(f'{GROUPS}/{self.group()}/type', self.dice.choice(TYPES))


class Reader(Actor):
    """Asks for everything, as fast as it is answered."""

    def do_objects(self) -> bool:
        return call('busctl', 'call', NAME, ROOT,
                    'org.freedesktop.DBus.ObjectManager', 'GetManagedObjects')

    def do_status(self) -> bool:
        return call('iommu-policyctl', 'status')

    def do_explain(self) -> bool:
        return call('iommu-policyctl', 'explain', self.device())

    def do_plan(self) -> bool:
        return self.method('Plan')


class Violence(Actor):
    """Ends the daemon, and takes the module away."""

    def actions(self) -> list:
        return [getattr(self, f'do_{name}') for word, name in (
            ('kill', 'restart'), ('kill', 'kill'), ('kill', 'kill_worker'),
            ('module', 'module_load'), ('module', 'module_unload'))
            if word in WORDS]

    def do_restart(self) -> bool:
        # What counts is that it can be started again, not how often in a row.
        call('systemctl', 'reset-failed', UNIT)
        return call('systemctl', 'restart', UNIT)

    def do_kill(self) -> bool:
        call('systemctl', 'reset-failed', UNIT)
        return call('systemctl', 'kill', '--kill-whom=main', '-s', 'KILL',
                    UNIT)

    def do_kill_worker(self) -> bool:
        said = subprocess.run(['systemctl', 'show', '-P', 'MainPID', UNIT],
                              capture_output=True, text=True).stdout.strip()
        try:
            with open(f'/proc/{said}/task/{said}/children') as file:
                children = file.read().split()
            if children:
                os.kill(int(children[0]), signal.SIGKILL)
        except (OSError, ValueError):
            return False
        return bool(children)

    def do_module_load(self) -> bool:
        return call('modprobe', 'iommu_policy')

    def do_module_unload(self) -> bool:
        return call('modprobe', '-r', 'iommu_policy')


def main() -> None:
    actors = [Administrator(1, 0.3), Hand(2, 0.3), Reader(3, 0.0)]
    if WORDS & {'kill', 'module'}:
        # systemd takes five starts within ten seconds for a failure.
        actors.append(Violence(4, 4))
    for actor in actors:
        actor.start()
    for actor in actors:
        actor.join()
    print(json.dumps({name: [DONE[name], WELL[name]] for name in
                      sorted(DONE)}))


main()
