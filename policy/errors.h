/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_ERRORS_H
#define POLICY_ERRORS_H

#include <stddef.h>

/* One thing wrong in one policy file. LINE 0: the file as a whole; SECTION or KEY NULL: none. */
struct policy_error {
	char *path;
	unsigned line;
	char *section;
	char *key;
	char *message; /* reason and "(expected …)" */
};

/*
 * A bounded list: past POLICY_ERRORS_MAX only the count goes on, so that a
 * file of garbage cannot fill memory or the bus.
 */
#define POLICY_ERRORS_MAX 1000

struct policy_errors {
	struct policy_error *items;
	size_t n_items;
	size_t n_dropped;
};

void policy_errors_clear(struct policy_errors *errors);

/*
 * printf-style; 0 or -ENOMEM. SECTION and KEY may be NULL. What is no printable
 * UTF-8 is kept as \xNN, so that every error is fit for D-Bus.
 */
int policy_errors_add(struct policy_errors *errors, const char *path, unsigned line,
		      const char *section, const char *key, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/*
 * "path:line: [section] key: message", parts that are missing left out.
 * malloc'd, NULL when out of memory.
 */
char *policy_error_format(const struct policy_error *error);

#endif
