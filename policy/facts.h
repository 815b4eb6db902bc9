/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_FACTS_H
#define POLICY_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/domain.h"

/*
 * What a rule may be matched against: only what does not change while the
 * device is plugged in. The strings belong to whoever filled the struct in.
 */
struct device_facts {
	const char *address; /* "DDDD:BB:DD.F", lower case; VMD's domains have five digits */
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code; /* 24 bits: base class, subclass, programming interface */
	const char *const *parents; /* bridges above, nearest first, NULL-terminated; may be NULL */
	const char *iommu; /* "dmar0", "ivhd0", "smmu3.0x…"; NULL where there is none */
	bool bridge; /* PCI bridge or host bridge (class 06xx or a type 1 header) */
	bool removable; /* attribute removable = "removable" */
	bool untrusted; /* the kernel treats it as external; restricted as removable is */
	bool virtual_function;
};

/* A group as the vote needs to know it. */
struct group_facts {
	const struct device_facts *const *devices;
	size_t n_devices;
	enum domain current; /* DOMAIN_NONE where the kernel's word is unknown */
	enum domain boot; /* type when first seen since boot; DOMAIN_NONE where unknown */
	bool requires_direct; /* has a "direct" reserved region (not direct-relaxable) */
};

#endif
