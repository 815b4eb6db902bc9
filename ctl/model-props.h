/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_MODEL_PROPS_H
#define CTL_MODEL_PROPS_H

#include "ctl/props.h"

/* The interfaces' properties, for props_read() into the model's structs. */
extern const struct prop model_manager_props[]; /* struct model_manager */
extern const struct prop model_group_props[]; /* struct model_group */
extern const struct prop model_device_props[]; /* struct model_device */

#endif
