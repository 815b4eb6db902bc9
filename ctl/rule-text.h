/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_RULE_TEXT_H
#define CTL_RULE_TEXT_H

#include <stdio.h>

#include "policy/decide.h"

/* A rule for one group as it is plugged in now. */
struct rule_text {
	const char *prefix; /* of the rule's name; the first device's address follows */
	enum domain domain;
	bool rebind; /* rebind = always */
	bool force;
};

/* The device that stands for the group: its first that is no bridge, NULL where there is none. */
const struct device_facts *rule_text_first(const struct group_facts *group);

/*
 * Writes the section to F: it matches each device of the group that is no bridge,
 * by its whole address, so that no other device gets a vote by it.
 */
void rule_text_write(FILE *f, const struct rule_text *rule, const struct group_facts *group);

/* ADDRESS fit for names of files and rules: 0000_3b_00.0 for 0000:3b:00.0. */
void rule_text_name(const char *address, char *ret, size_t size);

#endif
