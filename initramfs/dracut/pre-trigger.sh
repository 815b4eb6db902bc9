#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# dracut.modules(7): before udev's trigger, by which drivers are loaded.

/usr/lib/iommu-policyd/initramfs/apply
