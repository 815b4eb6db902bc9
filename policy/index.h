/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_INDEX_H
#define POLICY_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

/*
 * Finds the rules that may match a device without looking at the others. Each
 * rule is filed under one of its keys, the one that is likely to leave out
 * most devices: whole addresses, else PCI IDs, else whole parents, else
 * classes. What has none of them is in a list that every look-up walks.
 */
struct rule_index {
	struct index_entry *entries; /* ordered by kind, key and position */
	size_t n_entries;
	struct index_slot *slots; /* the hash table, with open addressing */
	size_t n_slots; /* a power of two */
	uint32_t kinds; /* a bit for each kind that has entries */
	size_t *rest; /* positions of the rules that are filed nowhere, ascending */
	size_t n_rest;
};

/* 0 or -ENOMEM. To be cleared also after an error. */
int index_build(struct rule_index *index, const struct policy_rule *rules, size_t n_rules);

void index_clear(struct rule_index *index);

/* The last of RULES that matches, or NULL. */
const struct policy_rule *index_find(const struct rule_index *index,
				     const struct policy_rule *rules,
				     const struct device_facts *device);

#endif
