/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a policy file: no crash, every message fit for the bus, and the
 * index of what is sound finds what a walk over all rules finds. The files in
 * tests/data/policy are its corpus.
 */
#include <string.h>

#include "policy/file.h"
#include "policy/index.h"
#include "policy/match.h"
#include "policy/text.h"
#include "tests/fuzz/fuzz.h"

static const char *const parents[] = { "0000:00:1c.0", "10000:00:00.0", NULL };

static const struct device_facts devices[] = {
	{
		.address = "0000:01:00.0",
		.vendor = 0x144d,
		.device = 0xa808,
		.class_code = 0x010802,
		.parents = parents,
		.iommu = "dmar0",
	},
	{
		.address = "10000:e1:1f.7",
		.vendor = 0x8086,
		.device = 0x10d3,
		.class_code = 0x020000,
		.removable = true,
		.virtual_function = true,
		.iommu = "smmu3.0x0000000009050000",
	},
	{
		.address = "0000:00:1c.0",
		.vendor = 0x10de,
		.device = 0x2330,
		.class_code = 0x060400,
		.bridge = true,
	},
	{ .address = NULL },
};

static void check_text(const char *text)
{
	if (text)
		require(text_check(text, strlen(text), NULL) == TEXT_CLEAN);
}

static void check_errors(const struct policy_errors *errors)
{
	for (size_t i = 0; i < errors->n_items; i++) {
		char *text = policy_error_format(&errors->items[i]);

		require(text);
		check_text(text);
		require(!strpbrk(text, "\n\t"));
		require(strstr(text, "(expected "));
		require(i == 0 || errors->items[i - 1].line <= errors->items[i].line);
		free(text);
	}
}

static void check_rule(const struct policy_rule *rule)
{
	check_text(rule->name);
	check_text(rule->driver);
	check_text(rule->description);
	require(rule->name && rule->line > 0);
	require(rule->domain > DOMAIN_NONE && rule->domain <= DOMAIN_BLOCKED);
	require(!match_is_empty(rule->match));
}

static void check_matches(const struct rule_list *rules)
{
	struct rule_index index = { 0 };

	require(index_build(&index, rules->items, rules->n) == 0);
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		const struct policy_rule *last = NULL;

		for (size_t k = 0; k < rules->n; k++) {
			char detail[64];
			bool matched = match_test(rules->items[k].match, &devices[i], detail,
						  sizeof(detail));

			require(matched == (*detail == '\0'));
			check_text(detail);
			if (matched)
				last = &rules->items[k];
		}
		require(index_find(&index, rules->items, &devices[i]) == last);
	}
	index_clear(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_errors errors = { 0 };
	struct rule_list rules = { 0 };
	FILE *stream;

	if (size == 0)
		return 0;

	stream = fmemopen((void *)data, size, "r");
	require(stream);
	require(file_parse(stream, "fuzz.conf", &rules, &errors) == 0);
	fclose(stream);

	check_errors(&errors);
	if (errors.n_items == 0) {
		for (size_t i = 0; i < rules.n; i++)
			check_rule(&rules.items[i]);
		check_matches(&rules);
	}

	rule_list_clear(&rules);
	policy_errors_clear(&errors);
	return 0;
}
