/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_KEYS_H
#define POLICY_KEYS_H

#include <stdbool.h>

#include "policy/errors.h"
#include "policy/policy.h"

/* How many keys the language has. */
#define N_KEYS 12

#define DRIVER_NAME_MAX 63

/* A section while it is being read. */
struct section {
	struct policy_rule rule; /* owns what it points to, but for the path */
	bool open; /* a header has been seen */
	bool damaged; /* something in it could not be read, so what is missing cannot be told */
	unsigned given[N_KEYS]; /* line of each key's first appearance, 0 for none */
	struct policy_errors *errors;
};

/* KEY = VALUE, at LINE. What is wrong goes to the section's errors. Returns 0 or -ENOMEM. */
int section_add_key(struct section *section, unsigned line, const char *key, const char *value);

/* What is wrong with the section as a whole, once its end is reached. Returns 0 or -ENOMEM. */
int section_check(struct section *section);

#endif
