/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_DOMAIN_H
#define POLICY_DOMAIN_H

#include <stdbool.h>

/*
 * What a rule may ask for and what a group may have. The order is the order of
 * protection, weakest first, so that "stronger" is a comparison; the words
 * before DOMAIN_IDENTITY are wishes that name no type of their own.
 *
 * The kernel's words are those of Documentation/ABI/testing/
 * sysfs-kernel-iommu_groups; "blocked" is ours (no driver, no DMA).
 */
enum domain {
	DOMAIN_NONE, /* no wish, or a type this program does not know */
	DOMAIN_KEEP, /* whatever the group has now */
	DOMAIN_AUTO, /* the type that the group had when first seen since boot */
	DOMAIN_IDENTITY,
	DOMAIN_DMA_FQ,
	DOMAIN_DMA,
	DOMAIN_BLOCKED,
};

/* The word as the kernel and the policy files spell it, "" for DOMAIN_NONE. Static storage. */
const char *domain_to_string(enum domain domain);

/* Any letter case. DOMAIN_NONE where the word is none of the six. */
enum domain domain_from_string(const char *word);

/* True for what a group can actually be put into: identity, DMA-FQ, DMA, blocked. */
bool domain_is_type(enum domain domain);

#endif
