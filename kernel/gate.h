/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOMMU_POLICY_GATE_H
#define IOMMU_POLICY_GATE_H

#include "group.h"

struct gate_state {
	bool armed;
	struct holder holder; /* portid 0: sticky, and its socket is closed */
	u32 flags; /* IOMMU_POLICY_GATE_F_* */
	u32 timeout_ms;
	u32 n_held;
};

/* All with policy_mutex held. */

/* See GATE_ARM, GATE_DISARM and GATE_RELEASE in the uapi header. */
int gate_arm(const struct holder *holder, u32 flags, u32 timeout_ms);
int gate_disarm(u32 portid);
/* Takes REQUEST over if it returns 0. */
int gate_release(struct request *request);

void gate_get(struct gate_state *ret);
bool gate_has_device(const struct device *dev);

void gate_device_added(struct device *dev);
void gate_device_removed(struct device *dev);

/* PORTID's socket is closed. */
void gate_end_socket(u32 portid);
/* The module ends: disarmed, whosever it is. */
void gate_end(void);

#endif
