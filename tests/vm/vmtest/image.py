# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's root: a small Debian with systemd, as a read-only erofs image.

It holds nothing of the daemon. Each boot lays a tmpfs over it, and whatever
`make install` made is unpacked there.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import apt, cache

PACKAGES = (
    'systemd', 'systemd-sysv', 'udev', 'dbus', 'kmod', 'mount', 'util-linux',
    'iproute2', 'pciutils', 'e2fsprogs', 'procps', 'libcap2-bin', 'fdisk',
    'libinih1', 'libnl-3-200', 'libnl-genl-3-200', 'libnl-route-3-200',
    'libudev1', 'libsystemd0', 'libjson-c5', 'dbus-broker', 'polkitd',
    'pkexec', 'openssh-server', 'openssh-client', 'zsh', 'bash-completion',
    'less', 'passwd', 'dmsetup', 'mdadm', 'btrfs-progs', 'nftables',
    'python3', 'strace', 'gdb-minimal',
)

# Everything that takes time at boot or wakes up later, and tests nothing.
MASKED = (
    'getty@tty1.service', 'getty.target', 'serial-getty@ttyS0.service',
    'serial-getty@ttyAMA0.service', 'serial-getty@hvc0.service',
    'apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer',
    'e2scrub_all.timer', 'e2scrub_reap.service', 'fstrim.timer',
    'mdcheck_start.timer', 'mdcheck_continue.timer', 'mdmonitor.service',
    'mdmonitor-oneshot.timer', 'systemd-tmpfiles-clean.timer',
    'systemd-networkd.service', 'systemd-networkd.socket',
    'systemd-timesyncd.service', 'systemd-pcrphase.service',
    'systemd-pcrphase-sysinit.service', 'systemd-random-seed.service',
    'systemd-update-utmp.service', 'systemd-update-utmp-runlevel.service',
    'systemd-hwdb-update.service', 'ldconfig.service',
    'systemd-firstboot.service', 'systemd-machine-id-commit.service',
    'systemd-journal-flush.service', 'systemd-sysusers.service',
    'systemd-logind.service', 'nftables.service', 'dm-event.socket',
    'systemd-remount-fs.service', 'systemd-boot-system-token.service',
    'systemd-network-generator.service', 'proc-sys-fs-binfmt_misc.automount',
    'dev-hugepages.mount', 'systemd-ask-password-console.path',
    'systemd-ask-password-wall.path', 'systemd-repart.service',
    'systemd-pstore.service', 'console-getty.service',
    'modprobe@drm.service', 'modprobe@efi_pstore.service',
    'ssh.service', 'ssh.socket',
    'modprobe@fuse.service', 'sys-fs-fuse-connections.mount',
)

# The guest has no secrets and one identity, so that boots are alike.
_MACHINE_ID = '1033333333333333333333333333d033'

_FILES = {
    'etc/hostname': 'guest\n',
    'etc/hosts': '127.0.0.1 localhost guest\n',
    'etc/fstab': '',
    'etc/machine-id': f'{_MACHINE_ID}\n',
    # Everything, at once, in memory: the scenario reads it before the end.
    'etc/systemd/journald.conf':
        '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n'
        'RuntimeMaxUse=128M\nAudit=no\n',
    # What fails shall fail while somebody is still looking.
    'etc/systemd/system.conf':
        '[Manager]\nDefaultTimeoutStartSec=60s\nDefaultTimeoutStopSec=30s\n'
        'LogColor=no\n',
}


def _prepare(tree: Path) -> None:
    for name, text in _FILES.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    units = tree / 'etc' / 'systemd' / 'system'
    for unit in MASKED:
        link = units / unit
        link.unlink(missing_ok=True)
        link.symlink_to('/dev/null')

    # dbus-broker's package makes it the system's bus; here it is on demand.
    (units / 'dbus.service').unlink()

    agent = tree / 'usr' / 'local' / 'lib' / 'vm-agent'
    shutil.copy(cache.GUEST_FILES / 'agent.py', agent)
    agent.chmod(0o755)
    shutil.copy(cache.GUEST_FILES / 'vm-agent.service', units)
    wants = units / 'sysinit.target.wants'
    wants.mkdir(exist_ok=True)
    (wants / 'vm-agent.service').symlink_to('../vm-agent.service')

    for waste in ('var/lib/apt/lists', 'var/cache', 'usr/share/doc',
                  'usr/share/locale', 'usr/share/man', 'boot'):
        shutil.rmtree(tree / waste, ignore_errors=True)
        (tree / waste).mkdir(parents=True)
    # systemd compares these with /usr to learn of an update: there is none.
    for stamp in ('etc/.updated', 'var/.updated'):
        (tree / stamp).touch()


# Options for mmdebstrap.
NO_DOCUMENTS = [f'--dpkgopt=path-exclude=/usr/share/{name}/*'
                 for name in ('doc', 'man', 'locale')]


def _build(suite: str, work: Path) -> None:
    if os.geteuid():
        raise RuntimeError('building the guest image needs root')
    tree = work / 'tree'
    apt.bootstrap(suite, tree, PACKAGES, *NO_DOCUMENTS)
    _prepare(tree)
    cache.command('mkfs.erofs', '-zlz4', work / 'root.erofs', tree)
    shutil.rmtree(tree)


def get(suite: str = '') -> Path:
    """The root image, made when it is not there yet."""
    here = Path(__file__)
    suite = suite or apt.suite()
    folder = cache.cached(
        'guest' if suite == apt.suite() else f'guest-{suite}',
        [suite, here, cache.GUEST_FILES / 'agent.py',
         cache.GUEST_FILES / 'vm-agent.service'],
        lambda work: _build(suite, work))
    return folder / 'root.erofs'
