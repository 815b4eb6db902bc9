/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/match.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/array.h"
#include "policy/text.h"

static void globs_clear(struct globs *globs)
{
	for (size_t i = 0; i < globs->n; i++)
		free(globs->items[i]);
	free(globs->items);
}

static int globs_add(struct globs *globs, const char *word)
{
	char **items = array_grow(globs->items, globs->n, sizeof(*items));
	char *copy;

	if (!items)
		return -ENOMEM;
	globs->items = items;

	copy = strdup(word);
	if (!copy)
		return -ENOMEM;
	items[globs->n++] = copy;
	return 0;
}

struct match *match_free(struct match *match)
{
	if (match) {
		free(match->ids);
		free(match->classes);
		globs_clear(&match->addresses);
		globs_clear(&match->parents);
		globs_clear(&match->iommus);
		free(match);
	}

	return NULL;
}

static bool has_keys_besides_ids(const struct match *match)
{
	return match->n_classes > 0 || match->addresses.n > 0 || match->parents.n > 0 ||
	       match->iommus.n > 0 || match->removable != MATCH_ANY ||
	       match->virtual_function != MATCH_ANY;
}

bool match_is_empty(const struct match *match)
{
	return !match->has_section_id && match->n_ids == 0 && !has_keys_besides_ids(match);
}

bool match_is_one_id_key(const struct match *match)
{
	return match->has_section_id != (match->n_ids > 0) && !has_keys_besides_ids(match);
}

int match_add_id(struct match *match, const char *word)
{
	struct pci_id *ids, id;
	int r;

	r = pci_id_parse(word, &id);
	if (r < 0)
		return r;

	ids = array_grow(match->ids, match->n_ids, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	match->ids = ids;
	ids[match->n_ids++] = id;
	return 0;
}

int match_add_class(struct match *match, const char *word)
{
	struct class_prefix *classes, class = { 0 };
	size_t digits = strlen(word);

	if (digits < 2 || digits > 6 || digits % 2 != 0)
		return -EINVAL;

	for (size_t i = 0; i < digits; i++) {
		int digit = text_hex_digit(word[i]);

		if (digit < 0)
			return -EINVAL;
		class.code = class.code << 4 | (unsigned)digit;
	}
	class.bytes = (unsigned)digits / 2;

	classes = array_grow(match->classes, match->n_classes, sizeof(*classes));
	if (!classes)
		return -ENOMEM;
	match->classes = classes;
	classes[match->n_classes++] = class;
	return 0;
}

static int add_address_glob(struct globs *globs, const char *word)
{
	int r = address_glob_check(word);

	return r < 0 ? r : globs_add(globs, word);
}

int match_add_address(struct match *match, const char *word)
{
	return add_address_glob(&match->addresses, word);
}

int match_add_parent(struct match *match, const char *word)
{
	return add_address_glob(&match->parents, word);
}

/*
 * Names of IOMMUs come from their drivers (dmar0, ivhd0, smmu3.0x…, the name
 * of a platform device), so only the alphabet is checked, and that a '[' has
 * its ']': fnmatch() would take a lone one literally.
 */
int match_add_iommu(struct match *match, const char *word)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:,@+-*?[]!^";
	bool inside = false;

	if (word[strspn(word, alphabet)] != '\0')
		return -EINVAL;

	for (const char *p = word; *p; p++) {
		if (*p == '[' && inside)
			return -EINVAL;
		if (*p == ']' && (!inside || p[-1] == '[' || p[-1] == '!' || p[-1] == '^'))
			return -EINVAL;
		if (*p == '[' || *p == ']')
			inside = !inside;
	}

	return inside ? -EINVAL : globs_add(&match->iommus, word);
}

uint32_t class_prefix_of(uint32_t class_code, unsigned bytes)
{
	return (class_code & 0xffffff) >> (8 * (3 - bytes));
}

/* Text that grows in a buffer of the caller's and is cut off at its end. */
struct detail {
	char *text; /* may be NULL */
	size_t size;
	size_t length;
};

static void __attribute__((format(printf, 2, 3)))
say(struct detail *detail, const char *format, ...)
{
	va_list ap;
	int n;

	if (!detail->text || detail->length + 1 >= detail->size)
		return;

	va_start(ap, format);
	n = vsnprintf(detail->text + detail->length, detail->size - detail->length, format, ap);
	va_end(ap);

	if (n < 0)
		return;
	detail->length += (size_t)n;
	if (detail->length < detail->size)
		return;

	detail->length = detail->size - 1;
	if (detail->size > 3)
		memcpy(detail->text + detail->size - 4, "...", 4);
}

/* " is not A" for one alternative, " is none of A, B" for several: called before the Ith of N. */
static void say_not(struct detail *detail, size_t i, size_t n)
{
	say(detail, "%s", i > 0 ? ", " : n > 1 ? " is none of " : " is not ");
}

static void say_device_id(struct detail *detail, const char *key, const struct device_facts *device)
{
	say(detail, "%s: %04x:%04x:%04x:%04x", key, device->vendor, device->device,
	    device->subvendor, device->subdevice);
}

static void say_ids(struct detail *detail, const struct pci_id *ids, size_t n)
{
	for (size_t i = 0; detail->text && i < n; i++) {
		char buffer[PCI_ID_FORMAT_SIZE];

		pci_id_format(&ids[i], buffer);
		say_not(detail, i, n);
		say(detail, "%s", buffer);
	}
}

/* *NAMED is set where a pattern without '*' matches. */
static bool test_ids(const struct pci_id *ids, size_t n, const struct device_facts *device,
		     bool *named)
{
	bool matched = false;

	for (size_t i = 0; i < n; i++)
		if (pci_id_match(&ids[i], device)) {
			matched = true;
			if (!pci_id_has_star(&ids[i]))
				*named = true;
		}

	return matched;
}

static bool test_classes(const struct match *match, const struct device_facts *device,
			 struct detail *detail)
{
	for (size_t i = 0; i < match->n_classes; i++)
		if (class_prefix_of(device->class_code, match->classes[i].bytes) ==
		    match->classes[i].code)
			return true;

	say(detail, "match-class: %06x", device->class_code & 0xffffff);
	for (size_t i = 0; detail->text && i < match->n_classes; i++) {
		say_not(detail, i, match->n_classes);
		say(detail, "%0*x", (int)match->classes[i].bytes * 2, match->classes[i].code);
	}
	return false;
}

static void say_globs(struct detail *detail, const struct globs *globs)
{
	for (size_t i = 0; detail->text && i < globs->n; i++) {
		say_not(detail, i, globs->n);
		say(detail, "%s", globs->items[i]);
	}
}

static bool test_globs(const struct globs *globs, const char *text)
{
	for (size_t i = 0; i < globs->n; i++)
		if (address_glob_match(globs->items[i], text))
			return true;

	return false;
}

static bool test_address(const struct match *match, const struct device_facts *device,
			 struct detail *detail)
{
	if (device->address && test_globs(&match->addresses, device->address))
		return true;

	say(detail, "match-address: %s",
	    device->address ? device->address : "a device without an address");
	say_globs(detail, &match->addresses);
	return false;
}

static bool test_parents(const struct match *match, const struct device_facts *device,
			 struct detail *detail)
{
	size_t n = 0;

	for (; device->parents && device->parents[n]; n++)
		if (test_globs(&match->parents, device->parents[n]))
			return true;

	if (n == 0) {
		say(detail, "match-parent: there is no bridge above");
		return false;
	}

	say(detail, "match-parent: no bridge above (");
	for (size_t i = 0; i < n; i++)
		say(detail, "%s%s", i > 0 ? ", " : "", device->parents[i]);
	say(detail, ")");
	say_globs(detail, &match->parents);
	return false;
}

static bool test_iommu(const struct match *match, const struct device_facts *device,
		       struct detail *detail)
{
	if (device->iommu && test_globs(&match->iommus, device->iommu))
		return true;

	say(detail, "match-iommu: %s", device->iommu ? device->iommu : "a device without an IOMMU");
	say_globs(detail, &match->iommus);
	return false;
}

static bool test_flag(enum match_flag flag, bool fact, const char *key, const char *what,
		      struct detail *detail)
{
	if (flag == MATCH_ANY || (flag == MATCH_YES) == fact)
		return true;

	say(detail, "%s: the device is %s%s", key, fact ? "" : "not ", what);
	return false;
}

bool match_test(const struct match *match, const struct device_facts *device, char *detail_text,
		size_t size)
{
	struct detail detail = { .text = size > 0 ? detail_text : NULL, .size = size };
	bool named = match->n_classes > 0 || match->addresses.n > 0;

	if (detail.text)
		*detail.text = '\0';

	if (match->has_section_id && !test_ids(&match->section_id, 1, device, &named)) {
		say_device_id(&detail, "section", device);
		say_ids(&detail, &match->section_id, 1);
		return false;
	}
	if (match->n_ids > 0 && !test_ids(match->ids, match->n_ids, device, &named)) {
		say_device_id(&detail, "match-id", device);
		say_ids(&detail, match->ids, match->n_ids);
		return false;
	}
	if (match->n_classes > 0 && !test_classes(match, device, &detail))
		return false;
	if (match->addresses.n > 0 && !test_address(match, device, &detail))
		return false;
	if (match->parents.n > 0 && !test_parents(match, device, &detail))
		return false;
	if (!test_flag(match->removable, device->removable, "match-removable", "removable",
		       &detail))
		return false;
	if (!test_flag(match->virtual_function, device->virtual_function, "match-virtual-function",
		       "a virtual function", &detail))
		return false;
	if (match->iommus.n > 0 && !test_iommu(match, device, &detail))
		return false;

	if (device->bridge && !named) {
		say(&detail,
		    "the device is a bridge, which only match-class, match-address or an ID without '*' names");
		return false;
	}

	return true;
}
