# SPDX-License-Identifier: GPL-2.0-or-later
"""One QEMU process: started from a topology, watched, and put away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import (arch, cache, cpio, firmware, foreignimage, image, kernel,
               kernellog, module, otherdebian, pace, realroot)
from .channel import Channel
from .qmp import Qmp
from .topology import Device, Topology

POLICY = 'etc/iommu-policyd/policy.d'
UNIT = 'iommu-policyd.service'

# The kernel's complaints go to the console at once, the rest stays in memory:
# every character costs emulation time.
CMDLINE = ('loglevel=5 panic=-1 systemd.show_status=auto '
           'systemd.unit=multi-user.target net.ifnames=0 '
           'systemd.journald.forward_to_console=0 '
           'lsm=lockdown init_on_alloc=0 mitigations=off')

# And what is for one kind of processor.
# no_timer_check: on a busy host the emulated timer fails the kernel's test of it now and then.
# nokaslr: else page tables are switched on every system call.
KIND_CMDLINE = {arch.X86: 'no_timer_check', arch.ARM: 'nokaslr'}

# What guards an emulated CPU only costs: each of these makes QEMU look at every
# page or switch page tables on every system call. The Arm CPU is one that has
# no such features yet.
CPU = {arch.X86: 'max,la57=off,smap=off,smep=off,pku=off',
       arch.ARM: 'cortex-a72'}


# What the initrd's program says first.
INIT = 'vm-init: begins'


class EmulatorFailed(Exception):
    """No verdict about what was tested: QEMU was ended by a signal, the kernel
    panicked before its first process ran, the timer of a CPU has stopped, or
    one has run code that was no longer there.
    """


class Machine:
    """QEMU with its console log, its QMP and the line to the agent."""

    def __init__(self, topology: Topology, release: str, tree: Path | None,
                 logs: Path) -> None:
        self.topology = topology
        self.arch = arch.of(topology.iommu)
        self.logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        self.console = logs / 'console.log'
        self.folder = Path(tempfile.mkdtemp(prefix='iommu-vm-'))
        self._nodes: set[str] = set()
        self._stopping = False
        try:
            self._start(kernel.get(release, self.arch),
                        self._root(otherdebian.of(release)), tree)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    # -- what the guest finds ------------------------------------------

    def _root(self, suite: str) -> Path:
        if self.arch.foreign:
            return foreignimage.get(suite, self.arch)
        return image.get(suite)

    def _extra(self, guest: kernel.Kernel, tree: Path | None) -> bytes:
        archive = cpio.Cpio()
        archive.directory('extra')
        if tree:
            archive.tree(tree, 'extra')
        if self.topology.module:
            module.add(archive, guest, 'extra')
        if pace.slowness(guest.release) > 1:
            archive.file('extra/etc/systemd/system/service.d/slow.conf',
                         pace.unit(guest.release))
        for name, text in self.topology.policy.items():
            archive.file(f'extra/{POLICY}/{name}', text)
        for path, data in self.topology.files.items():
            archive.file(f'extra/{path.lstrip("/")}', data)
        if self.topology.load:
            archive.file('extra/etc/modules-load.d/scenario.conf',
                         ''.join(f'{name}\n' for name in self.topology.load))
        if self.topology.bus == 'broker':
            archive.symlink('extra/etc/systemd/system/dbus.service',
                            '/usr/lib/systemd/system/dbus-broker.service')
        units = self.topology.enable
        if units is None:
            units = [UNIT] if tree and list(tree.glob(
                f'**/systemd/system/{UNIT}')) else []
        if self.topology.iommu == 'virtio':
            archive.file('boot-first', 'order.virtio\n')
        archive.file('enable', ''.join(f'{unit}\n' for unit in units))
        return archive.finish()

    def _initrd(self, guest: kernel.Kernel, tree: Path | None) -> Path:
        blob = guest.initrd.read_bytes() + self._extra(guest, tree)
        if self.topology.acpi_tables:
            # Must come first and uncompressed: the kernel reads it before it
            # has an initramfs.
            tables = cpio.Cpio()
            for name, data in self.topology.acpi_tables.items():
                tables.file(f'kernel/firmware/acpi/{name}', data)
            blob = tables.finish() + blob
        path = self.folder / 'initrd'
        path.write_bytes(blob)
        return path

    def _real_root(self, guest: kernel.Kernel,
                   tree: Path | None) -> tuple[Path, Path]:
        top = self.topology
        files = {f'/{POLICY}/{name}': text
                 for name, text in top.policy.items()}
        made = realroot.get(top.root, guest, tree, {**top.files, **files})
        return realroot.for_machine(made, self.folder, top.initramfs)

    # -- the process ---------------------------------------------------

    def disk(self, device: Device) -> dict[str, object]:
        """The block node for a device's disk; the file is made if new."""
        path = self.folder / f'{device.id}.img'
        if not path.exists():
            with open(path, 'wb') as handle:
                handle.truncate(device.size_mb << 20)
        self._nodes.add(device.id)
        return {'driver': 'raw', 'node-name': f'disk-{device.id}',
                'file': {'driver': 'file', 'filename': str(path)}}

    def _words(self, guest: kernel.Kernel, root: Path,
               initrd: Path, qmp: int, agent: int) -> list[str]:
        top = self.topology
        words = [*self._board(), '-accel', f'tcg,thread={top.tcg_thread}',
                 '-cpu', CPU[self.arch],
                 '-m', f'{pace.memory(guest.release, top.ram_mb)}M',
                 '-smp', str(top.cpus),
                 '-nodefaults', '-display', 'none', '-no-reboot',
                 '-no-user-config', *top.iommu_words(),
                 '-kernel', str(guest.vmlinuz), '-initrd', str(initrd),
                 '-append', self.cmdline(),
                 '-chardev', f'file,id=console,path={self.console}',
                 '-serial', 'chardev:console',
                 '-chardev', f'socket,id=agent,fd={agent}',
                 *self._agent(),
                 '-chardev', f'socket,id=qmp,fd={qmp}',
                 '-mon', 'chardev=qmp,mode=control']
        disks = () if top.root else (root, guest.modules)
        if top.root:
            words += ['-drive', f'file={root},format=raw,if=none,id=root']
        for port, path in enumerate(disks):
            # QEMU has no read-only IDE disk; with snapshot the shared image
            # is opened read-only and writes, if any, go to a temporary file.
            disk = 'virtio-blk-device' if self.arch is arch.ARM \
                else f'ide-hd,bus=ide.{port}'
            words += ['-drive', f'file={path},format=raw,if=none,snapshot=on,'
                                f'id=system{port}',
                      '-device', f'{disk},drive=system{port}']
        for name in top.subsystems:
            words += ['-device', f'nvme-subsys,id={name}']
        for device in [*top.port_devices(), *top.cold]:
            if device.size_mb:
                words += ['-blockdev', json.dumps(self.disk(device))]
            words += ['-device', json.dumps(device.arguments())]
        return words + list(top.qemu_args)

    def _board(self) -> list[str]:
        """The machine but for what is plugged into it."""
        iommu = self.topology.iommu
        if self.arch is arch.X86:
            split = ',kernel-irqchip=split' if iommu == 'intel' else ''
            return ['qemu-system-x86_64', '-machine', f'q35{split}']
        # The kernel has ACPI from a firmware only. With a device tree, which
        # QEMU hands it otherwise, a root port and what is behind it share a
        # group.
        return ['qemu-system-aarch64', '-machine',
                'virt,iommu=smmuv3,gic-version=3', '-bios',
                str(firmware.get()), '-global',
                'virtio-mmio.force-legacy=false']

    def _agent(self) -> list[str]:
        """Where the agent's line ends."""
        if self.arch is arch.X86:
            return ['-serial', 'chardev:agent']
        return ['-device', 'virtio-serial-device',
                '-device', 'virtconsole,chardev=agent']

    def cmdline(self) -> str:
        mode = {'intel': 'intel_iommu=on'}.get(self.topology.iommu, '')
        if self.topology.root:
            mode += ' root=/dev/nvme0n1 rw rootfstype=ext4'
        return ' '.join(f'console={self.arch.console} {CMDLINE} '
                        f'{KIND_CMDLINE[self.arch]} {mode} '
                        f'{self.topology.kernel_args}'.split())

    def _start(self, guest: kernel.Kernel, root: Path,
               tree: Path | None) -> None:
        if self.topology.root:
            root, initrd = self._real_root(guest, tree)
        else:
            initrd = self._initrd(guest, tree)
        qmp, qmp_far = socket.socketpair()
        agent, agent_far = socket.socketpair()
        words = self._words(guest, root, initrd, qmp_far.fileno(),
                            agent_far.fileno())
        (self.logs / 'command').write_text(' '.join(words) + '\n')
        with open(self.logs / 'qemu.log', 'w') as errors:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=errors,
                stderr=subprocess.STDOUT,
                pass_fds=(qmp_far.fileno(), agent_far.fileno()))
        qmp_far.close()
        agent_far.close()
        self.started = time.monotonic()
        self.qmp = Qmp(qmp)
        self.channel = Channel(agent)
        try:
            self.qmp.command('qmp_capabilities')
        except (OSError, TimeoutError) as error:
            self.stop()
            self.check()
            raise RuntimeError(f'QEMU did not start: {error}\n'
                               f'{self.errors()}') from error

    # -- watching and ending -------------------------------------------

    def errors(self) -> str:
        return (self.logs / 'qemu.log').read_text(errors='replace')

    def console_tail(self, lines: int = 40) -> str:
        text = self.console_text()
        return '\n'.join(text.splitlines()[-lines:])

    def console_text(self) -> str:
        try:
            return self.console.read_text(errors='replace')
        except FileNotFoundError:
            return ''

    def alive(self) -> bool:
        return self.process.poll() is None and not self._stopping

    def crashed(self) -> int:
        """The signal that ended QEMU of itself, or 0."""
        if self._stopping and not getattr(self, '_crash', 0):
            return 0
        try:
            # The sockets close a moment before the process is reaped.
            code = self.process.wait(
                5 if self.channel.closed or self.qmp.closed else 0)
        except subprocess.TimeoutExpired:
            return 0
        self._crash = -code if code < 0 else 0
        return self._crash

    def check(self) -> None:
        """Raises EmulatorFailed if that is what happened."""
        number = self.crashed()
        if number:
            name = signal.Signals(number).name
            raise EmulatorFailed(
                f'QEMU was ended by {name}\n{self.errors()}')
        text = self.console_text()
        # A system of its own has an init of its own, which says nothing.
        if 'Kernel panic' in text and INIT not in text \
                and not self.topology.root:
            raise EmulatorFailed('a panic before the first process:\n' +
                                 self.console_tail())
        if kernellog.lost_timer(text):
            raise EmulatorFailed('the timer of a CPU has stopped:\n' +
                                 self.console_tail())
        if kernellog.stale_code(text):
            raise EmulatorFailed('a breakpoint that was gone:\n' +
                                 self.console_tail())

    def stop(self) -> None:
        """Ends QEMU, however it is, and drops its disks."""
        self.crashed()
        self._stopping = True
        if self.process.poll() is None:
            try:
                self.qmp.command('quit', timeout=5)
                self.process.wait(5)
            except (OSError, TimeoutError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self.qmp.close()
        self.channel.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __del__(self) -> None:
        process = getattr(self, 'process', None)
        if process and process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
