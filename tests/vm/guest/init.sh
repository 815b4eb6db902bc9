#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The initrd's only program: puts the guest's root together and hands over to
# systemd. Two disks, which are no PCI devices of their own, hold the system and
# the modules; a tmpfs above them takes all that is written, and /extra, which
# comes with each boot, is copied there (the daemon, its policy, the scenario's
# files).

export PATH=/bin
/bin/busybox mkdir -p /bin
/bin/busybox --install -s /bin

die()
{
	echo "vm-init: $*"
	poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
# The harness tells a panic of the bare kernel by the absence of this.
echo "vm-init: begins"

for list in $(cat /boot-first 2>/dev/null) order; do
	while read -r module; do
		insmod "/boot-modules/$module" || die "cannot load $module"
	done < "/boot-modules/$list"
done

read -r one other < /disks
# The disks appear when their links are up, some time after the driver.
tries=0
until [ -b "/dev/$one" ] && [ -b "/dev/$other" ]; do
	tries=$((tries + 1))
	[ $tries -lt 600 ] || die "the disks did not appear"
	usleep 50000
done
# Links come up side by side, so either disk may be the first.
system=/dev/$one modules=/dev/$other
mount -t erofs -o ro "$system" /lower || die "cannot mount $system"
if [ ! -d /lower/etc ]; then
	umount /lower
	system=/dev/$other modules=/dev/$one
	mount -t erofs -o ro "$system" /lower || die "cannot mount $system"
fi
mount -t erofs -o ro "$modules" /modules || die "cannot mount $modules"

mount -t tmpfs -o mode=755 tmpfs /upper
mkdir /upper/data /upper/work
cp -a /extra/. /upper/data/ || die "cannot copy the scenario's files"
mount -t overlay -o lowerdir=/modules:/lower,upperdir=/upper/data,workdir=/upper/work \
	overlay /root || die "cannot stack the root"

# Units are enabled as a package would do it: by their [Install] section.
for unit in $(cat /enable 2>/dev/null); do
	chroot /root systemctl enable "$unit" || echo "vm-init: no unit $unit"
done

umount /proc /sys
mount --move /dev /root/dev
exec switch_root /root /sbin/init
