# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness that runs scenarios on real kernels; see ../README.md."""

from .channel import GuestGone
from .machine import EmulatorFailed
from .topology import (Device, Topology, e1000, e1000e, nic, nvme, pair,
                       pci_bridge, sriov_nvme, virtio_blk)
from .vm import VM, CommandFailed, Job, Result, plugged

__all__ = ['VM', 'CommandFailed', 'Device', 'EmulatorFailed', 'GuestGone',
           'Job', 'Result', 'Topology', 'e1000', 'e1000e', 'nic', 'nvme', 'pair',
           'pci_bridge', 'plugged', 'sriov_nvme', 'virtio_blk']
