# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scenario's machine is made of: ports, devices, and what is on disk.

A device sits at a fixed place, so its address in the guest follows from where
it was put and from the numbers that the firmware gave to the buses above it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence


@dataclass(frozen=True)
class Device:
    """A PCI device as QEMU makes it.

    `size_mb` gives it a disk of its own, an empty file that stays with the
    machine under the device's `id`: what is plugged out and in again keeps its
    data. `bus` is a root port, another bridge's id, or pcie.0. `properties`
    have QEMU's names, some of which have an underscore.
    """

    driver: str
    id: str
    bus: str
    slot: int = 0
    function: int = 0
    size_mb: int = 0
    properties: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """The members of QMP's device_add, and of -device as JSON."""
        found: dict[str, Any] = {
            'driver': self.driver, 'id': self.id, 'bus': self.bus,
            'addr': f'{self.slot:x}.{self.function:x}'}
        if self.size_mb:
            found['drive'] = f'disk-{self.id}'
        found.update(self.properties)
        return found


def nic(name: str, bus: str, model: str = 'e1000e', slot: int = 0,
        function: int = 0, **properties: Any) -> Device:
    """A network card. Its option ROM is left out: it slows the firmware."""
    return Device(model, name, bus, slot, function, 0,
                  {'romfile': '', **properties})


def e1000e(name: str, bus: str, **properties: Any) -> Device:
    return nic(name, bus, 'e1000e', **properties)


def e1000(name: str, bus: str, **properties: Any) -> Device:
    """A conventional PCI card, to be put behind a bridge."""
    return nic(name, bus, 'e1000', **properties)


def nvme(name: str, bus: str, size_mb: int = 64, slot: int = 0,
         function: int = 0, **properties: Any) -> Device:
    return Device('nvme', name, bus, slot, function, size_mb,
                  {'serial': name, **properties})


def sriov_nvme(name: str, bus: str, functions: int,
               subsystem: str = 'ss') -> Device:
    """A controller without a disk that can have `functions` virtual ones: each
    needs two queues and an interrupt. Its subsystem is the topology's."""
    queues = 2 * functions + 6
    return Device('nvme', name, bus, 0, 0, 0, {
        'serial': name, 'subsys': subsystem, 'sriov_max_vfs': functions,
        'sriov_vq_flexible': 2 * functions, 'sriov_vi_flexible': functions,
        'max_ioqpairs': queues, 'msix_qsize': queues})


def virtio_blk(name: str, bus: str, size_mb: int = 64, slot: int = 0,
               function: int = 0, **properties: Any) -> Device:
    """A virtio disk whose DMA does go through the IOMMU."""
    return Device('virtio-blk-pci', name, bus, slot, function, size_mb,
                  {'iommu_platform': True, 'disable-legacy': 'on',
                   'serial': name, **properties})


def pci_bridge(name: str, bus: str, slot: int = 0,
               **properties: Any) -> Device:
    """A PCIe-to-PCI bridge: all that is behind it shares one group."""
    return Device('pcie-pci-bridge', name, bus, slot, 0, 0, properties)


def pair(first: str, second: str, bus: str) -> list[Device]:
    """One card of two functions: two devices in one group.

    Plug function 0 in last: that is when the guest looks. Both say that they
    are one of several, as real cards do: at hotplug Linux decides about the
    group before it has marked function 1 itself, and would make two groups.
    """
    return [e1000e(second, bus, function=1, multifunction=True),
            e1000e(first, bus, multifunction=True)]


# Up to this many root ports get a slot each, more of them share slots.
_SLOTS = 16
_FIRST_SLOT = 8


@dataclass
class Topology:
    """Everything that a scenario's machine differs by from another's.

    ports         names of the root ports, each of them can be hot-plugged
    cold          devices that are there at boot (bridges included)
    iommu         intel, amd, virtio, or smmuv3, with an Arm processor;
                  anything else: none
    caching_mode  on: the boot default is DMA (strict); off: DMA-FQ
    subsystems    ids of nvme subsystems, for the devices that are in one
    policy        files of /etc/iommu-policyd/policy.d, by name
    files         other files laid down before boot, by absolute path
    enable        units to enable; None: the daemon's, if it is there
    load          modules that are loaded early in the boot
    tcg_thread    single: the CPUs take turns. QEMU before 8.2 dies when a CPU
                  reads from a device while another moves that device's memory
                  (tcg_commit() in softmmu/physmem.c).
    module        whether the project's kernel module and the test client for
                  it are there; `load` or the scenario loads it
    bus           'broker': dbus-broker instead of dbus-daemon
    configure     options of the daemon's configure, as --enable-failpoints
    root          boots from a root file system on a disk, by an initramfs
                  that initramfs-tools or dracut has made; the disk is the
                  block node 'root' for a cold device
    initramfs     with `root`: programs to be others there, by absolute path
    wait          'running': until systemd is done; 'agent': at once
    expect_kernel regular expressions of kernel complaints that are expected
    expect_failed units of ours that are expected to fail
    """

    ports: Sequence[str] = ('rp1', 'rp2', 'rp3', 'rp4')
    cold: Sequence[Device] = ()
    iommu: str = 'intel'
    caching_mode: bool = True
    iommu_args: str = ''
    ram_mb: int = 1024
    cpus: int = 2
    tcg_thread: str = 'multi'
    kernel_args: str = ''
    qemu_args: Sequence[str] = ()
    subsystems: Sequence[str] = ()
    policy: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    acpi_tables: Mapping[str, bytes] = field(default_factory=dict)
    enable: Sequence[str] | None = None
    load: Sequence[str] = ()
    module: bool = False
    bus: str = 'daemon'
    configure: Sequence[str] = ()
    root: str = ''
    initramfs: Mapping[str, str] = field(default_factory=dict)
    wait: str = 'running'
    boot_timeout: float = 180
    expect_kernel: Sequence[str] = ()
    expect_failed: Sequence[str] = ()

    def port_places(self) -> dict[str, tuple[int, int]]:
        """Slot and function on pcie.0 of each root port."""
        spread = len(self.ports) <= _SLOTS
        return {name: (_FIRST_SLOT + index, 0) if spread
                else (_FIRST_SLOT + index // 8, index % 8)
                for index, name in enumerate(self.ports)}

    def port_devices(self) -> list[Device]:
        places = self.port_places()
        shared = {slot for slot, function in places.values() if function}
        return [Device('pcie-root-port', name, 'pcie.0', slot, function, 0,
                       {'chassis': index + 1, 'slot': index + 1,
                        **({'multifunction': True}
                           if slot in shared and not function else {})})
                for index, (name, (slot, function))
                in enumerate(places.items())]

    def iommu_words(self) -> list[str]:
        extra = f',{self.iommu_args}' if self.iommu_args else ''
        if self.iommu == 'intel':
            mode = 'on' if self.caching_mode else 'off'
            return ['-device', 'intel-iommu,intremap=on,'
                               f'caching-mode={mode}{extra}']
        if self.iommu == 'amd':
            return ['-device', f'amd-iommu,intremap=on{extra}']
        if self.iommu == 'virtio':
            return ['-device', f'virtio-iommu-pci,addr=1e{extra}']
        return []
