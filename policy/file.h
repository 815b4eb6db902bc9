/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_FILE_H
#define POLICY_FILE_H

#include <stdio.h>

#include "policy/errors.h"
#include "policy/policy.h"

#define POLICY_FILE_BYTES_MAX (16u << 20)
#define POLICY_RULES_MAX 250000u
#define SECTION_NAME_MAX 64

/* The rules of the files read so far. */
struct rule_list {
	struct policy_rule *items;
	size_t n;
};

void rule_list_clear(struct rule_list *rules);

/*
 * Appends the rules of one file, read from STREAM to its end. PATH is what
 * errors and rules call it; the rules point to it. All that is wrong goes to
 * ERRORS, in the order of the lines. Returns 0, also with errors, or -ENOMEM.
 */
int file_parse(FILE *stream, const char *path, struct rule_list *rules,
	       struct policy_errors *errors);

#endif
