/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_ADDRESS_H
#define CTL_ADDRESS_H

#include <stdint.h>

/* Eight digits of domain, ":BB:DD.F" and the end. */
#define ADDRESS_MAX 18

/*
 * The kernel's spelling of a PCI address ("0000:3b:00.0", lower case, domain
 * of at least four digits) from that or from lspci's short form ("3b:00.0",
 * any letter case). Returns 0 or -EINVAL.
 */
int address_normalize(const char *text, char ret[static ADDRESS_MAX]);

/* Order of addresses as the bus has them: a longer domain is a higher one. */
int address_compare(const char *a, const char *b);

enum target_kind {
	TARGET_GROUP,
	TARGET_DEVICE,
};

/* What a person names on the command line: a group by number, a device by address. */
struct target {
	enum target_kind kind;
	uint32_t group;
	char address[ADDRESS_MAX];
};

/* Returns 0 or -EINVAL where TEXT is neither. */
int target_parse(const char *text, struct target *ret);

#endif
