/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOMMU_POLICY_MESSAGE_H
#define IOMMU_POLICY_MESSAGE_H

#include <net/genetlink.h>

#include "gate.h"
#include "group.h"

/*
 * What the module sends. Events are made where the state changes, with
 * policy_mutex held, so that they come in the order of the changes. A message
 * for which there is no memory, or no room at its receiver, is lost.
 */
extern struct genl_family policy_family;

void message_done(const struct request *request, const struct result *result);

/* GROUP: its number, -1 for none. */
void message_event_group(enum iommu_policy_event event, int group);
void message_event_device(enum iommu_policy_event event, const struct device *dev, int group);
/* OWNER: -1 for none. */
void message_event_owner(int group, int owner);

/* Puts the reply to GROUP_GET into SKB. With policy_mutex held. 0 or -EMSGSIZE. */
int message_put_group(struct sk_buff *skb, struct iommu_group *group, bool devices, bool regions);
/* The same for INFO_GET. */
int message_put_info(struct sk_buff *skb, const struct gate_state *gate);

#endif
