/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_NAMES_H
#define CTL_NAMES_H

#include <stddef.h>

#include "ctl/model.h"

/*
 * The words of the system's pci.ids for MODEL's devices, as udev's hardware
 * database has them, into vendor_name, device_name and class_name. What it
 * does not know stays "", and everything where there is no database. 0 or
 * -ENOMEM.
 */
int names_fill(struct model *model);

/* What udev's database is asked for a device: the kernel's modalias of it. */
#define NAMES_MODALIAS_MAX 64
void names_modalias(const struct model_device *device, char ret[static NAMES_MODALIAS_MAX]);

#endif
