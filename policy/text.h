/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_TEXT_H
#define POLICY_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum text_flaw {
	TEXT_CLEAN,
	TEXT_NOT_UTF8,
	TEXT_CONTROL, /* a control character but TAB, or one that turns the direction of writing */
};

/* What is wrong first with the LENGTH bytes of TEXT, and at which offset (AT may be NULL). */
enum text_flaw text_check(const char *text, size_t length, size_t *at);

/*
 * TEXT with every byte of what text_check() objects to, and TAB, as \xNN: fit
 * for one line of a terminal, a journal or a D-Bus string. malloc'd, NULL when
 * out of memory.
 */
char *text_escape(const char *text);

/* The same in place, with ? for each such byte; also what is left of a character that was cut in two. */
void text_replace(char *text);

/* Compares without regard to the case of A to Z, whatever the locale. */
bool text_equal_fold(const char *a, const char *b);

/* yes, true, on, 1 or no, false, off, 0, any letter case. 0 or -EINVAL. */
int text_parse_bool(const char *word, bool *ret);

/* The value of a hexadecimal digit, -1 for anything else. Independent of the locale. */
int text_hex_digit(char c);

#endif
