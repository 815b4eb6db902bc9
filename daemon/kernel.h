/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_KERNEL_H
#define DAEMON_KERNEL_H

/*
 * What the running kernel can do for us, as words for a person and for
 * programs (property KernelFeatures): "iommu", "type-file", "groups-of-many",
 * "live-flush-queue". Informative only: what is tried is decided by the
 * kernel's own answers, since stable kernels take up later changes.
 */
int kernel_features(char ***ret);

#endif
