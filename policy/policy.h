/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/domain.h"
#include "policy/errors.h"
#include "policy/facts.h"

enum rebind {
	REBIND_HOTPLUG, /* the default: only a device that has just been plugged in */
	REBIND_NEVER,
	REBIND_ALWAYS,
};

const char *rebind_to_string(enum rebind rebind);

struct match; /* a rule's compiled match keys, private to policy/ */

struct policy_rule {
	const char *name; /* the section's name */
	const char *path; /* file, as opened */
	unsigned line; /* of the section's header, from 1 */
	size_t position; /* in the order of evaluation, from 0 */
	enum domain domain; /* never DOMAIN_NONE */
	enum rebind rebind;
	bool force;
	const char *driver; /* NULL where the rule names none */
	const char *description; /* NULL where it has none */
	struct match *match;
};

struct policy; /* immutable once loaded */

/* The search path of design section 2, first wins, NULL-terminated. */
extern const char *const policy_default_dirs[];

/*
 * Reads every *.conf of DIRS (NULL-terminated, first folder wins for a name).
 * ROOT is put before each folder, "" or NULL for none (plan --policy-dir and
 * tests). All errors are added to ERRORS.
 *
 * Returns 0 and *RET (owned by the caller) when the whole is sound, also when
 * no file is there; -EBADMSG when there is any error in ERRORS (*RET is NULL);
 * -ENOMEM.
 */
int policy_load(const char *root, const char *const *dirs, struct policy **ret,
		struct policy_errors *errors);

/* The same for the named files, in the order given (check FILE…, the kept copy). */
int policy_load_files(const char *const *paths, struct policy **ret, struct policy_errors *errors);

struct policy *policy_free(struct policy *policy); /* returns NULL */

size_t policy_n_rules(const struct policy *policy);
const struct policy_rule *policy_rule(const struct policy *policy, size_t position);

/*
 * Paths of the files that were read, in the order of reading; masked and empty
 * ones are not among them. NULL-terminated, owned by POLICY.
 */
const char *const *policy_files(const struct policy *policy);

/*
 * The last rule that matches, or NULL. PCI-ID patterns are looked up through
 * an index, so the time does not grow with the number of rules that name
 * other IDs. A bridge is matched only by rules that name it by class, by
 * address or by an ID without '*'.
 */
const struct policy_rule *policy_match(const struct policy *policy,
				       const struct device_facts *device);

/*
 * Every rule in the order of evaluation, with whether it matched and, where it
 * did not, which key said no ("match-class: 020000 is not 0108"; "" where it
 * matched). DETAIL is valid during the call only. A negative return of CB ends it and is returned.
 */
typedef int (*policy_trace_cb)(const struct policy_rule *rule, bool matched, const char *detail,
			       void *userdata);
int policy_trace(const struct policy *policy, const struct device_facts *device, policy_trace_cb cb,
		 void *userdata);

#endif
