/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_KERNEL_H
#define DAEMON_KERNEL_H

#include <stdbool.h>

/*
 * What the running kernel can do for us, as words for a person and for
 * programs (property KernelFeatures): "iommu", "type-file", "groups-of-many",
 * "live-flush-queue". Informative only: what is tried is decided by the
 * kernel's own answers, since stable kernels take up later changes.
 */
int kernel_features(char ***ret);

/* Whether there is a group that has a type to write (Linux 5.11, drivers/iommu/iommu.c). */
bool kernel_has_type_file(void);

/*
 * Whether drivers_autoprobe is honoured also for devices that are plugged in
 * (Linux 6.19, device_initial_probe() in drivers/base/dd.c). Nothing but the
 * version tells it before one is plugged in.
 */
bool kernel_honours_autoprobe(void);

/* Instead of the running kernel's, for tests; NULL: that. The string must outlive its use. */
void kernel_set_release(const char *release);

#endif
