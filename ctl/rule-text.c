/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/rule-text.h"

#include "ctl/util.h"

const struct device_facts *rule_text_first(const struct group_facts *group)
{
	for (size_t i = 0; i < group->n_devices; i++)
		if (!group->devices[i]->bridge)
			return group->devices[i];
	return NULL;
}

void rule_text_name(const char *address, char *ret, size_t size)
{
	snprintf(ret, size, "%s", address);
	for (char *c = ret; *c; c++)
		if (*c == ':')
			*c = '_';
}

void rule_text_write(FILE *f, const struct rule_text *rule, const struct group_facts *group)
{
	char name[32];

	rule_text_name(rule_text_first(group)->address, name, sizeof(name));
	fprintf(f, "[%s-%s]\n", rule->prefix, name);
	/* A line each: inih takes no long ones, and a group may have hundreds. */
	for (size_t i = 0; i < group->n_devices; i++)
		if (!group->devices[i]->bridge)
			fprintf(f, "match-address = %s\n", group->devices[i]->address);
	fprintf(f, "domain = %s\n", domain_to_string(rule->domain));
	if (rule->rebind)
		fputs("rebind = always\n", f);
	if (rule->force)
		fputs("force = yes\n", f);
}
