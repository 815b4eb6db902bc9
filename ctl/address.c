/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/address.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Between MIN and MAX hex digits up to, and not over, the character END. */
static bool read_hex(const char **text, size_t min, size_t max, char end, uint32_t *ret)
{
	uint32_t value = 0;
	size_t n = 0;

	for (; isxdigit((unsigned char)**text); (*text)++) {
		int c = tolower((unsigned char)**text);

		if (++n > max)
			return false;
		value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	if (n < min || **text != end)
		return false;
	*ret = value;
	return true;
}

int address_normalize(const char *text, char ret[static ADDRESS_MAX])
{
	uint32_t domain = 0, bus, device, function;
	const char *p = text;

	/* Two colons: there is a domain in front. More of them fail below. */
	if (strchr(text, ':') != strrchr(text, ':')) {
		if (!read_hex(&p, 4, 8, ':', &domain))
			return -EINVAL;
		p++;
	}
	if (!read_hex(&p, 2, 2, ':', &bus))
		return -EINVAL;
	p++;
	if (!read_hex(&p, 2, 2, '.', &device) || device > 0x1f)
		return -EINVAL;
	p++;
	if (!read_hex(&p, 1, 1, '\0', &function) || function > 7)
		return -EINVAL;

	/* The masks repeat what was checked above, for the compiler's idea of the length. */
	snprintf(ret, ADDRESS_MAX, "%04x:%02x:%02x.%x", domain, bus & 0xff, device & 0x1f,
		 function & 7);
	return 0;
}

int address_compare(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	if (n != m)
		return n < m ? -1 : 1;
	return strcmp(a, b);
}

static int parse_group(const char *text, uint32_t *ret)
{
	uint64_t value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > UINT32_MAX)
			return -EINVAL;
	}
	*ret = (uint32_t)value;
	return 0;
}

int target_parse(const char *text, struct target *ret)
{
	*ret = (struct target){ 0 };

	if (parse_group(text, &ret->group) >= 0) {
		ret->kind = TARGET_GROUP;
		return 0;
	}
	if (address_normalize(text, ret->address) >= 0) {
		ret->kind = TARGET_DEVICE;
		return 0;
	}
	return -EINVAL;
}
