/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/address.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "policy/text.h"

/* The letters that addresses are made of, a bit each: 16 digits, ':' and '.'. */
enum {
	SYMBOL_DIGITS = 0xffff,
	SYMBOL_COLON = 1 << 16,
	SYMBOL_DOT = 1 << 17,
	SYMBOL_ALL = (1 << 18) - 1,
};

enum { DOMAIN_DIGITS_MIN = 4, DOMAIN_DIGITS_MAX = 8 };

static int parse_hex(const char **p, unsigned least, unsigned most, uint64_t *ret)
{
	unsigned digits = 0;
	uint64_t value = 0;

	for (; text_hex_digit(**p) >= 0; (*p)++, digits++) {
		if (digits == most)
			return -EINVAL;
		value = value << 4 | (unsigned)text_hex_digit(**p);
	}

	*ret = value;
	return digits < least ? -EINVAL : (int)digits;
}

int address_parse(const char *word, uint64_t *ret)
{
	uint64_t domain, bus, slot, function;
	int digits;

	digits = parse_hex(&word, DOMAIN_DIGITS_MIN, DOMAIN_DIGITS_MAX, &domain);
	if (digits < 0 || (digits > DOMAIN_DIGITS_MIN && domain >> (4 * (digits - 1)) == 0))
		return -EINVAL;
	if (*word++ != ':' || parse_hex(&word, 2, 2, &bus) < 0)
		return -EINVAL;
	if (*word++ != ':' || parse_hex(&word, 2, 2, &slot) < 0 || slot > 0x1f)
		return -EINVAL;
	if (*word++ != '.' || parse_hex(&word, 1, 1, &function) < 0 || function > 7)
		return -EINVAL;
	if (*word != '\0')
		return -EINVAL;

	*ret = domain << 16 | bus << 8 | slot << 3 | function;
	return 0;
}

static uint32_t symbol(char c)
{
	int digit = text_hex_digit(c);

	if (digit >= 0)
		return 1u << digit;
	return c == ':' ? SYMBOL_COLON : c == '.' ? SYMBOL_DOT : 0;
}

/* What stands between '[' and ']'; *P is left behind the latter. 0 where it is malformed. */
static uint32_t parse_set(const char **p)
{
	const char *s = *p;
	uint32_t set = 0;
	bool negated = *s == '!' || *s == '^';

	if (negated)
		s++;

	while (*s != ']') {
		uint32_t low = symbol(*s++), high = low;

		if (!low)
			return 0;

		if (s[0] == '-' && s[1] != ']') {
			bool letter = low >= 1u << 10;

			high = symbol(s[1]);
			if (high < low || low > SYMBOL_DIGITS || high > SYMBOL_DIGITS ||
			    letter != (high >= 1u << 10))
				return 0;
			s += 2;
		}

		set |= (high << 1) - low;
	}

	*p = s + 1;
	if (!set)
		return 0;
	return negated ? SYMBOL_ALL & ~set : set;
}

/* One element of a glob: the letters it stands for. 0 where it is malformed. */
static uint32_t parse_element(const char **p, bool *star)
{
	char c = *(*p)++;

	*star = c == '*';
	if (c == '*' || c == '?')
		return SYMBOL_ALL;
	return c == '[' ? parse_set(p) : symbol(c);
}

/* What may stand at each place of an address with a domain of DIGITS digits; returns how many. */
static unsigned places_of(unsigned digits, uint32_t places[static DOMAIN_DIGITS_MAX + 8])
{
	unsigned n = 0;

	for (unsigned i = 0; i < digits; i++)
		places[n++] =
			i == 0 && digits > DOMAIN_DIGITS_MIN ? SYMBOL_DIGITS & ~1u : SYMBOL_DIGITS;
	places[n++] = SYMBOL_COLON;
	places[n++] = SYMBOL_DIGITS;
	places[n++] = SYMBOL_DIGITS;
	places[n++] = SYMBOL_COLON;
	places[n++] = 0x3; /* slots end at 1f */
	places[n++] = SYMBOL_DIGITS;
	places[n++] = SYMBOL_DOT;
	places[n++] = 0xff; /* functions end at 7 */
	return n;
}

/*
 * Walks the glob with the set of all places it may have come to, a bit each: a
 * star reaches every later place, an element steps over the places whose
 * letters it shares.
 */
static bool can_match(const char *glob, const uint32_t *places, unsigned n_places)
{
	uint32_t at = 1;

	while (*glob && at) {
		uint32_t next = 0;
		bool star;
		uint32_t set = parse_element(&glob, &star);

		if (star) {
			next = (1u << (n_places + 1)) - (at & -at);
		} else {
			for (unsigned i = 0; i < n_places; i++)
				if (at & 1u << i && places[i] & set)
					next |= 1u << (i + 1);
		}
		at = next;
	}

	return at & 1u << n_places;
}

int address_glob_check(const char *glob)
{
	uint32_t places[DOMAIN_DIGITS_MAX + 8];
	bool star;

	for (const char *p = glob; *p;)
		if (!parse_element(&p, &star))
			return -EINVAL;

	for (unsigned digits = DOMAIN_DIGITS_MIN; digits <= DOMAIN_DIGITS_MAX; digits++)
		if (can_match(glob, places, places_of(digits, places)))
			return 0;

	return -ENXIO;
}

bool address_glob_match(const char *glob, const char *address)
{
	return fnmatch(glob, address, FNM_CASEFOLD | FNM_NOESCAPE) == 0;
}

bool address_glob_is_exact(const char *glob)
{
	return !strpbrk(glob, "*?[");
}
