/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_JSON_H
#define CTL_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/ctl.h"

/*
 * Documents for --json, by json-c. Building one can only run out of memory; a
 * builder remembers that until json_print(), so that what adds needs no checks
 * and takes a NULL parent.
 */
struct json_builder {
	bool failed; /* something could not be added: the document is not to be printed */
};

/* A new object or array under KEY of PARENT, or at its end where PARENT is an array (KEY NULL). */
json_object *json_add_object(struct json_builder *b, json_object *parent, const char *key);
json_object *json_add_array(struct json_builder *b, json_object *parent, const char *key);

/*
 * Values. Text is what the daemon or the system said, unescaped; a byte that is
 * no UTF-8 becomes U+FFFD, since JSON has no other way. NULL is null.
 */
void json_add_text(struct json_builder *b, json_object *parent, const char *key, const char *text);
void json_add_number(struct json_builder *b, json_object *parent, const char *key, uint64_t number);
/* A NUMBER with a fraction, in the digits of TEXT. */
void json_add_decimal(struct json_builder *b, json_object *parent, const char *key, double number,
		      const char *text);
void json_add_bool(struct json_builder *b, json_object *parent, const char *key, bool value);
void json_add_null(struct json_builder *b, json_object *parent, const char *key);

/*
 * Prints DOCUMENT, which it frees, in the way that --json asked for, with a
 * newline. Returns an enum exit_code: EXIT_CODE_DONE, or what complain_memory()
 * returns.
 */
int json_print(const struct ctl *ctl, struct json_builder *b, json_object *document);

/* Whether --json was given. */
static inline bool json_wanted(const struct ctl *ctl)
{
	return ctl->arguments.json != JSON_OFF;
}

#endif
