/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOMMU_POLICY_BRACKET_H
#define IOMMU_POLICY_BRACKET_H

#include "group.h"

/*
 * Around a write to the type file. Kernels before 6.4 drop the group's mutex in
 * the middle of it, and a device that comes or goes then makes them use freed
 * memory. All with policy_mutex held but bracket_wait().
 */

/* See BRACKET_BEGIN and BRACKET_END in the uapi header. */
int bracket_begin(struct policy_group *g, const struct holder *holder, bool live);
int bracket_end(struct policy_group *g, u32 portid);

/* Ends it, however it is. */
void bracket_drop(struct policy_group *g);

/* Waits for the bracket of GROUP, or with NULL for all of them, to end; not for ever. Without policy_mutex. */
void bracket_wait(const struct iommu_group *group);

#endif
