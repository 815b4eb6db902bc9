/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/match.h"
#include "policy/text.h"

/* One line of a section, on its way to what the key means. */
struct assignment {
	struct section *section;
	unsigned line;
	const char *key;
	const char *value;
};

#define reject(assignment, ...)                                                                    \
	policy_errors_add((assignment)->section->errors, (assignment)->section->rule.path,         \
			  (assignment)->line, (assignment)->section->rule.name, (assignment)->key, \
			  __VA_ARGS__)

static int set_string(const char **to, const char *value)
{
	*to = strdup(value);
	return *to ? 0 : -ENOMEM;
}

/* Several values are parted by blanks; each is tried, so that each error is told. */
static int each_word(const struct assignment *a, int (*add)(struct match *match, const char *word),
		     const char *what, const char *expected)
{
	char *words, *word, *state = NULL;
	int r = 0;

	words = strdup(a->value);
	if (!words)
		return -ENOMEM;

	for (word = strtok_r(words, " \t", &state); word && r == 0;
	     word = strtok_r(NULL, " \t", &state)) {
		r = add(a->section->rule.match, word);
		if (r == -EINVAL)
			r = reject(a, "\"%s\" is no %s (expected %s)", word, what, expected);
		else if (r == -ENXIO)
			r = reject(a, "\"%s\" cannot match the address of any device (expected %s)",
				   word, expected);
	}

	free(words);
	return r;
}

#define ADDRESS_EXPECTED "a glob on DDDD:BB:DD.F, such as 0000:3b:00.*"

static int on_match_id(const struct assignment *a)
{
	return each_word(a, match_add_id, "PCI ID pattern",
			 "vendor:device[:subvendor:subdevice], each 1 to 4 hex digits or *");
}

static int on_match_class(const struct assignment *a)
{
	return each_word(a, match_add_class, "class code", "2, 4 or 6 hex digits, such as 0108");
}

static int on_match_address(const struct assignment *a)
{
	return each_word(a, match_add_address, "address glob", ADDRESS_EXPECTED);
}

static int on_match_parent(const struct assignment *a)
{
	return each_word(a, match_add_parent, "address glob", ADDRESS_EXPECTED);
}

static int on_match_iommu(const struct assignment *a)
{
	return each_word(a, match_add_iommu, "IOMMU name glob",
			 "a name or a glob, such as dmar0 or smmu3.*");
}

static int parse_bool(const struct assignment *a, bool *ret)
{
	if (text_parse_bool(a->value, ret) == 0)
		return 0;

	return reject(a, "\"%s\" is neither yes nor no (expected yes or no)", a->value);
}

static int parse_flag(const struct assignment *a, enum match_flag *ret)
{
	bool value = false;
	int r = parse_bool(a, &value);

	*ret = value ? MATCH_YES : MATCH_NO;
	return r;
}

static int on_match_removable(const struct assignment *a)
{
	return parse_flag(a, &a->section->rule.match->removable);
}

static int on_match_virtual_function(const struct assignment *a)
{
	return parse_flag(a, &a->section->rule.match->virtual_function);
}

static int on_domain(const struct assignment *a)
{
	a->section->rule.domain = domain_from_string(a->value);
	if (a->section->rule.domain != DOMAIN_NONE)
		return 0;

	return reject(a,
		      "\"%s\" is no domain (expected identity, DMA, DMA-FQ, auto, blocked or keep)",
		      a->value);
}

static int on_rebind(const struct assignment *a)
{
	for (enum rebind rebind = REBIND_HOTPLUG; rebind <= REBIND_ALWAYS; rebind++)
		if (text_equal_fold(a->value, rebind_to_string(rebind))) {
			a->section->rule.rebind = rebind;
			return 0;
		}

	return reject(a, "\"%s\" does not say when (expected never, hotplug or always)", a->value);
}

/* The kernel compares driver_override with the driver's name byte by byte: case counts. */
static int on_driver(const struct assignment *a)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t length = strspn(a->value, alphabet);

	if (a->value[length] != '\0' || length > DRIVER_NAME_MAX)
		return reject(a,
			      "\"%s\" is no driver name (expected 1 to %d letters, digits, - or _)",
			      a->value, DRIVER_NAME_MAX);

	return set_string(&a->section->rule.driver, a->value);
}

static int on_force(const struct assignment *a)
{
	return parse_bool(a, &a->section->rule.force);
}

static int on_description(const struct assignment *a)
{
	return set_string(&a->section->rule.description, a->value);
}

enum { KEY_SEVERAL = 1 }; /* values and appearances */

static const struct key {
	const char *name;
	int (*parse)(const struct assignment *a);
	unsigned flags;
} keys[] = {
	{ "match-id", on_match_id, KEY_SEVERAL },
	{ "match-class", on_match_class, KEY_SEVERAL },
	{ "match-address", on_match_address, KEY_SEVERAL },
	{ "match-parent", on_match_parent, KEY_SEVERAL },
	{ "match-removable", on_match_removable, 0 },
	{ "match-virtual-function", on_match_virtual_function, 0 },
	{ "match-iommu", on_match_iommu, KEY_SEVERAL },
	{ "domain", on_domain, 0 },
	{ "rebind", on_rebind, 0 },
	{ "driver", on_driver, 0 },
	{ "force", on_force, 0 },
	{ "description", on_description, 0 },
};

_Static_assert(sizeof(keys) / sizeof(keys[0]) == N_KEYS, "N_KEYS is the number of keys");

#define KEYS_EXPECTED                                                                              \
	"domain, rebind, driver, force, description, match-id, match-class, match-address, "       \
	"match-parent, match-removable, match-virtual-function or match-iommu"

/*
 * How many letters have to be put in, left out, exchanged or swapped with
 * their neighbour to make B of A, without regard to case (the "optimal string
 * alignment" distance). SIZE_MAX where A is too long to be a misspelt key.
 */
static size_t distance(const char *a, const char *b)
{
	enum { MAX = 40 };
	size_t rows[3][MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2];
	size_t n_a = strlen(a), n_b = strlen(b);

	if (n_a > MAX || n_b > MAX)
		return SIZE_MAX;

	for (size_t k = 0; k <= n_b; k++)
		last[k] = before[k] = k;

	for (size_t i = 1; i <= n_a; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t k = 1; k <= n_b; k++) {
			char x[2] = { a[i - 1] }, y[2] = { b[k - 1] };
			size_t least = last[k - 1] + !text_equal_fold(x, y);

			if (last[k] + 1 < least)
				least = last[k] + 1;
			if (row[k - 1] + 1 < least)
				least = row[k - 1] + 1;
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
			    before[k - 2] + 1 < least)
				least = before[k - 2] + 1;
			row[k] = least;
		}

		before = last;
		last = row;
		row = spare;
	}

	return last[n_b];
}

static const struct key *nearest_key(const char *name)
{
	const struct key *nearest = NULL;
	size_t least = strlen(name) / 4 + 1; /* what differs more is another word */

	for (size_t i = 0; i < N_KEYS; i++) {
		size_t d = distance(name, keys[i].name);

		if (d <= least && (!nearest || d < least)) {
			nearest = &keys[i];
			least = d;
		}
	}

	return nearest;
}

static int unknown_key(const struct assignment *a)
{
	const struct key *nearest = nearest_key(a->key);

	if (*a->key == '\0')
		return policy_errors_add(a->section->errors, a->section->rule.path, a->line,
					 a->section->rule.name, NULL,
					 "there is no key before the = (expected KEY = VALUE)");
	if (nearest) {
		/* What is misspelt is not missing as well: that is one error, not two. */
		a->section->damaged = true;
		return reject(a, "unknown key (expected %s?)", nearest->name);
	}

	return reject(a, "unknown key (expected " KEYS_EXPECTED ")");
}

int section_add_key(struct section *section, unsigned line, const char *key, const char *value)
{
	const struct assignment a = {
		.section = section, .line = line, .key = key, .value = value
	};
	size_t i = 0;

	if (!section->open)
		return reject(&a, "a key before the first section (expected a [section] above it)");

	while (i < N_KEYS && strcmp(keys[i].name, key) != 0)
		i++;
	if (i == N_KEYS)
		return unknown_key(&a);

	if (section->given[i] && !(keys[i].flags & KEY_SEVERAL))
		return reject(&a, "given twice (expected once; it is on line %u already)",
			      section->given[i]);
	if (!section->given[i])
		section->given[i] = line;

	if (*value == '\0')
		return reject(&a, "there is no value (expected %s = VALUE)", key);

	return keys[i].parse(&a);
}

static unsigned given(const struct section *section, const char *key)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (strcmp(keys[i].name, key) == 0)
			return section->given[i];

	return 0;
}

static bool any_match_given(const struct section *section)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (section->given[i] && strncmp(keys[i].name, "match-", strlen("match-")) == 0)
			return true;

	return section->rule.match->has_section_id;
}

int section_check(struct section *section)
{
	const struct policy_rule *rule = &section->rule;
	int r;

	if (!section->damaged && !given(section, "domain")) {
		r = policy_errors_add(
			section->errors, rule->path, rule->line, rule->name, NULL,
			"a section without domain (expected domain = identity, DMA, DMA-FQ, auto, "
			"blocked or keep)");
		if (r < 0)
			return r;
	}

	if (!section->damaged && !any_match_given(section)) {
		r = policy_errors_add(
			section->errors, rule->path, rule->line, rule->name, NULL,
			"nothing says which devices are meant (expected a match key, or a PCI ID "
			"pattern such as 144d:* for the section's name)");
		if (r < 0)
			return r;
	}

	if (rule->domain == DOMAIN_BLOCKED && rule->driver)
		return policy_errors_add(
			section->errors, rule->path, given(section, "driver"), rule->name, "driver",
			"a blocked device has no driver (expected no driver beside domain = "
			"blocked)");

	return 0;
}
