/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/index.h"

#include <errno.h>
#include <stdlib.h>

#include "policy/address.h"
#include "policy/array.h"
#include "policy/match.h"

/* The kinds below PCI_ID_MASKS are the masks of PCI ID patterns. */
enum {
	KIND_ADDRESS = PCI_ID_MASKS,
	KIND_PARENT,
	KIND_CLASS, /* and the two behind it: prefixes of one, two and three bytes */
};

struct index_entry {
	uint64_t key;
	uint16_t kind;
	bool sure; /* the rule asks for nothing but the key, so that it need not be visited */
	uint32_t position; /* of the rule */
};

/* The run of entries that share a kind and a key; N is 0 where the slot is empty. */
struct index_slot {
	uint32_t first;
	uint32_t n;
};

static uint64_t hash(uint32_t kind, uint64_t key)
{
	/* The finalizer of MurmurHash3: every bit of the key reaches the low ones. */
	key ^= (uint64_t)kind << 59 ^ (uint64_t)kind << 7;
	key ^= key >> 33;
	key *= 0xff51afd7ed558ccdULL;
	key ^= key >> 33;
	key *= 0xc4ceb9fe1a85ec53ULL;
	return key ^ key >> 33;
}

static int add(struct rule_index *index, uint32_t kind, uint64_t key, size_t position, bool sure)
{
	struct index_entry *entries =
		array_grow(index->entries, index->n_entries, sizeof(*entries));

	if (!entries)
		return -ENOMEM;

	index->entries = entries;
	entries[index->n_entries++] = (struct index_entry){
		.key = key,
		.kind = (uint16_t)kind,
		.sure = sure,
		.position = (uint32_t)position,
	};
	index->kinds |= 1u << kind;
	return 0;
}

static int add_ids(struct rule_index *index, const struct pci_id *ids, size_t n, size_t position,
		   bool sure)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = add(index, ids[i].mask, ids[i].value, position, sure);
	return r;
}

static int add_classes(struct rule_index *index, const struct match *match, size_t position)
{
	int r = 0;

	for (size_t i = 0; i < match->n_classes && r == 0; i++)
		r = add(index, KIND_CLASS + match->classes[i].bytes - 1, match->classes[i].code,
			position, false);
	return r;
}

static bool all_exact(const struct globs *globs)
{
	for (size_t i = 0; i < globs->n; i++)
		if (!address_glob_is_exact(globs->items[i]))
			return false;

	return globs->n > 0;
}

static int add_addresses(struct rule_index *index, uint32_t kind, const struct globs *globs,
			 size_t position)
{
	int r = 0;

	for (size_t i = 0; i < globs->n && r == 0; i++) {
		uint64_t key = 0;

		r = address_parse(globs->items[i], &key);
		if (r == 0)
			r = add(index, kind, key, position, false);
	}
	return r;
}

static int add_rest(struct rule_index *index, size_t position)
{
	size_t *rest = array_grow(index->rest, index->n_rest, sizeof(*rest));

	if (!rest)
		return -ENOMEM;

	index->rest = rest;
	rest[index->n_rest++] = position;
	return 0;
}

static int add_rule(struct rule_index *index, const struct match *match, size_t position)
{
	bool sure = match_is_one_id_key(match);

	if (all_exact(&match->addresses))
		return add_addresses(index, KIND_ADDRESS, &match->addresses, position);
	if (match->has_section_id)
		return add_ids(index, &match->section_id, 1, position, sure);
	if (match->n_ids > 0)
		return add_ids(index, match->ids, match->n_ids, position, sure);
	if (all_exact(&match->parents))
		return add_addresses(index, KIND_PARENT, &match->parents, position);
	if (match->n_classes > 0)
		return add_classes(index, match, position);
	return add_rest(index, position);
}

static int compare_entries(const void *a, const void *b)
{
	const struct index_entry *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (x->position != y->position)
		return x->position < y->position ? -1 : 1;
	return 0;
}

static bool same_list(const struct index_entry *a, const struct index_entry *b)
{
	return a->kind == b->kind && a->key == b->key;
}

static int build_slots(struct rule_index *index)
{
	size_t n_slots = 16;

	while (n_slots < index->n_entries * 2)
		n_slots *= 2;

	index->slots = calloc(n_slots, sizeof(*index->slots));
	if (!index->slots)
		return -ENOMEM;
	index->n_slots = n_slots;

	for (size_t i = 0, n; i < index->n_entries; i += n) {
		const struct index_entry *entry = &index->entries[i];
		size_t slot = hash(entry->kind, entry->key) & (n_slots - 1);

		for (n = 1; i + n < index->n_entries && same_list(entry, entry + n);)
			n++;

		while (index->slots[slot].n > 0)
			slot = (slot + 1) & (n_slots - 1);
		index->slots[slot] = (struct index_slot){ .first = (uint32_t)i, .n = (uint32_t)n };
	}

	return 0;
}

int index_build(struct rule_index *index, const struct policy_rule *rules, size_t n_rules)
{
	for (size_t i = 0; i < n_rules; i++) {
		int r = add_rule(index, rules[i].match, i);

		if (r < 0)
			return r;
	}

	if (index->n_entries == 0)
		return 0;
	if (index->n_entries >= UINT32_MAX)
		return -ENOMEM;

	qsort(index->entries, index->n_entries, sizeof(*index->entries), compare_entries);
	return build_slots(index);
}

void index_clear(struct rule_index *index)
{
	free(index->entries);
	free(index->slots);
	free(index->rest);
	*index = (struct rule_index){ 0 };
}

/* What a look-up carries from list to list: a rule before the best cannot win any more. */
struct lookup {
	const struct rule_index *index;
	const struct policy_rule *rules;
	const struct device_facts *device;
	size_t next; /* 1 + position of the best so far, 0 for none */
};

/*
 * False once the rule at POSITION, and with it all before it in its list, need
 * not be looked at. SURE: it is known to match.
 */
static bool try_rule(struct lookup *lookup, size_t position, bool sure)
{
	if (position < lookup->next)
		return false;
	if (!sure && !match_test(lookup->rules[position].match, lookup->device, NULL, 0))
		return true;

	lookup->next = position + 1;
	return false;
}

/* The list of KIND and KEY, from its end. */
static void try_list(struct lookup *lookup, uint32_t kind, uint64_t key)
{
	const struct rule_index *index = lookup->index;
	const struct index_entry wanted = { .kind = (uint16_t)kind, .key = key };
	const bool bridge = lookup->device->bridge;
	const struct index_entry *entry;
	const struct index_slot *slot;
	size_t at;

	if (!(index->kinds & 1u << kind))
		return;

	for (at = hash(kind, key);; at++) {
		slot = &index->slots[at & (index->n_slots - 1)];
		if (slot->n == 0)
			return;
		entry = &index->entries[slot->first];
		if (same_list(entry, &wanted))
			break;
	}

	for (size_t i = slot->n; i-- > 0;)
		if (!try_rule(lookup, entry[i].position, entry[i].sure && !bridge))
			break;
}

const struct policy_rule *index_find(const struct rule_index *index,
				     const struct policy_rule *rules,
				     const struct device_facts *device)
{
	struct lookup lookup = { .index = index, .rules = rules, .device = device };
	const uint64_t id = pci_id_pack(device);
	uint64_t address;

	for (uint32_t mask = 0; mask < PCI_ID_MASKS; mask++)
		try_list(&lookup, mask, pci_id_mask(id, mask));

	if (device->address && address_parse(device->address, &address) == 0)
		try_list(&lookup, KIND_ADDRESS, address);

	for (size_t i = 0; device->parents && device->parents[i]; i++)
		if (address_parse(device->parents[i], &address) == 0)
			try_list(&lookup, KIND_PARENT, address);

	for (unsigned bytes = 1; bytes <= 3; bytes++)
		try_list(&lookup, KIND_CLASS + bytes - 1,
			 class_prefix_of(device->class_code, bytes));

	for (size_t i = index->n_rest; i-- > 0;)
		if (!try_rule(&lookup, index->rest[i], false))
			break;

	return lookup.next > 0 ? &rules[lookup.next - 1] : NULL;
}
