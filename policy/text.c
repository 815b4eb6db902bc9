/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/text.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One character of UTF-8 (RFC 3629: shortest form, no surrogates). Its length, or 0. */
static size_t decode(const unsigned char *s, size_t length, uint32_t *ret)
{
	size_t n;
	uint32_t c, least;

	if (s[0] < 0x80) {
		*ret = s[0];
		return 1;
	}

	if ((s[0] & 0xe0) == 0xc0) {
		n = 2;
		c = s[0] & 0x1f;
		least = 0x80;
	} else if ((s[0] & 0xf0) == 0xe0) {
		n = 3;
		c = s[0] & 0x0f;
		least = 0x800;
	} else if ((s[0] & 0xf8) == 0xf0) {
		n = 4;
		c = s[0] & 0x07;
		least = 0x10000;
	} else {
		return 0;
	}

	if (n > length)
		return 0;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}

	if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;

	*ret = c;
	return n;
}

/*
 * Besides C0, DEL and C1: line separators, and the marks that make a line look
 * different from what it says by turning its direction round.
 */
static bool is_control(uint32_t c)
{
	return (c < 0x20 && c != '\t') || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

enum text_flaw text_check(const char *text, size_t length, size_t *at)
{
	const unsigned char *s = (const unsigned char *)text;

	for (size_t i = 0, n; i < length; i += n) {
		uint32_t c = 0;

		n = decode(s + i, length - i, &c);
		if (n > 0 && !is_control(c))
			continue;
		if (at)
			*at = i;
		return n == 0 ? TEXT_NOT_UTF8 : TEXT_CONTROL;
	}

	return TEXT_CLEAN;
}

char *text_escape(const char *text)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *s = (const unsigned char *)text;
	size_t length = strlen(text);
	char *ret, *out;

	if (length > (SIZE_MAX - 1) / 4)
		return NULL;

	out = ret = malloc(length * 4 + 1);
	if (!ret)
		return NULL;

	for (size_t i = 0, n; i < length; i += n) {
		uint32_t c = 0;

		n = decode(s + i, length - i, &c);
		if (n > 0 && !is_control(c) && c != '\t') {
			memcpy(out, s + i, n);
			out += n;
			continue;
		}

		if (n == 0)
			n = 1;
		for (size_t k = 0; k < n; k++) {
			*out++ = '\\';
			*out++ = 'x';
			*out++ = digits[s[i + k] >> 4];
			*out++ = digits[s[i + k] & 15];
		}
	}

	*out = '\0';
	return ret;
}

void text_replace(char *text)
{
	unsigned char *s = (unsigned char *)text;
	size_t length = strlen(text);

	for (size_t i = 0, n; i < length; i += n) {
		uint32_t c = 0;

		n = decode(s + i, length - i, &c);
		if (n > 0 && !is_control(c) && c != '\t')
			continue;
		if (n == 0)
			n = 1;
		memset(s + i, '?', n);
	}
}

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool text_equal_fold(const char *a, const char *b)
{
	while (*a && fold(*a) == fold(*b)) {
		a++;
		b++;
	}

	return fold(*a) == fold(*b);
}

int text_parse_bool(const char *word, bool *ret)
{
	static const char *const words[2][4] = {
		{ "no", "false", "off", "0" },
		{ "yes", "true", "on", "1" },
	};

	for (size_t value = 0; value < 2; value++)
		for (size_t i = 0; i < 4; i++)
			if (text_equal_fold(word, words[value][i])) {
				*ret = value;
				return 0;
			}

	return -EINVAL;
}

int text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = fold(c);
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}
