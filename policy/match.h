/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_MATCH_H
#define POLICY_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/facts.h"
#include "policy/pci-id.h"

/* The first bytes of a class code: base class, subclass, programming interface. */
struct class_prefix {
	uint32_t code; /* as many bytes as there are, in the low bits */
	unsigned bytes; /* 1 to 3 */
};

struct globs {
	char **items;
	size_t n;
};

enum match_flag {
	MATCH_ANY, /* the key is not given */
	MATCH_NO,
	MATCH_YES,
};

/* A rule's conditions. All given keys must hold; the values of one key are alternatives. */
struct match {
	bool has_section_id; /* the section's name is a PCI ID pattern */
	struct pci_id section_id;
	struct pci_id *ids;
	size_t n_ids;
	struct class_prefix *classes;
	size_t n_classes;
	struct globs addresses;
	struct globs parents;
	struct globs iommus;
	enum match_flag removable;
	enum match_flag virtual_function;
};

struct match *match_free(struct match *match);

/* True where nothing is asked for. */
bool match_is_empty(const struct match *match);

/* True where a device with one of the rule's IDs, unless it is a bridge, needs nothing else. */
bool match_is_one_id_key(const struct match *match);

/*
 * Each adds one value to a key. 0, -ENOMEM, -EINVAL where the value is
 * malformed, and for addresses -ENXIO where no device could have it.
 */
int match_add_id(struct match *match, const char *word);
int match_add_class(struct match *match, const char *word);
int match_add_address(struct match *match, const char *word);
int match_add_parent(struct match *match, const char *word);
int match_add_iommu(struct match *match, const char *word);

uint32_t class_prefix_of(uint32_t class_code, unsigned bytes);

/*
 * Whether DEVICE meets the conditions. A bridge must in addition be named: by
 * class, by address, or by an ID without '*'; it would otherwise get a vote
 * from a rule that was written for what is behind it.
 *
 * Where DETAIL is not NULL, it gets SIZE bytes of text: the key that said no
 * and why, or "".
 */
bool match_test(const struct match *match, const struct device_facts *device, char *detail,
		size_t size);

#endif
