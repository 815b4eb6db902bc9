#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # initdir and moddir are dracut's
#
# dracut.modules(7): what pre-trigger needs.

check()
{
	require_binaries /usr/sbin/iommu-policyd || return 1
	. "${dracutsysrootdir-}/usr/lib/iommu-policyd/initramfs/copy-files"
	iommu_policyd_wanted "${dracutsysrootdir-}"
}

depends()
{
	return 0
}

install()
{
	inst_multiple /usr/sbin/iommu-policyd sh sleep mkdir mv rm
	inst_script /usr/lib/iommu-policyd/initramfs/apply
	. "${dracutsysrootdir-}/usr/lib/iommu-policyd/initramfs/copy-files"
	iommu_policyd_copy "$initdir" "${dracutsysrootdir-}"
	inst_hook pre-trigger 05 "$moddir/pre-trigger.sh"
}
