/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>

#include "policy/array.h"
#include "policy/file.h"
#include "policy/index.h"
#include "policy/match.h"
#include "policy/search.h"

struct policy {
	struct rule_list rules;
	struct path_list paths; /* every path that was looked at: rules and FILES point here */
	const char **files; /* those that were read, NULL-terminated */
	struct rule_index index;
};

const char *const policy_default_dirs[] = {
	"/etc/iommu-policyd/policy.d",
	"/run/iommu-policyd/policy.d",
	"/usr/local/lib/iommu-policyd/policy.d",
	"/usr/lib/iommu-policyd/policy.d",
	NULL,
};

const char *rebind_to_string(enum rebind rebind)
{
	switch (rebind) {
	case REBIND_HOTPLUG:
		return "hotplug";
	case REBIND_NEVER:
		return "never";
	case REBIND_ALWAYS:
		return "always";
	}

	return "";
}

struct policy *policy_free(struct policy *policy)
{
	if (policy) {
		index_clear(&policy->index);
		rule_list_clear(&policy->rules);
		free(policy->files);
		path_list_clear(&policy->paths);
		free(policy);
	}

	return NULL;
}

/* Reads all of POLICY's paths, also after errors, so that all of them are told. */
static int read_files(struct policy *policy, struct policy_errors *errors)
{
	size_t n_files = 0;

	policy->files = calloc(policy->paths.n + 1, sizeof(*policy->files));
	if (!policy->files)
		return -ENOMEM;

	for (size_t i = 0; i < policy->paths.n; i++) {
		FILE *stream;
		int r;

		r = search_open(policy->paths.items[i], &stream, errors);
		if (r < 0)
			return r;
		if (!stream)
			continue;

		r = file_parse(stream, policy->paths.items[i], &policy->rules, errors);
		fclose(stream);
		if (r < 0)
			return r;
		policy->files[n_files++] = policy->paths.items[i];
	}

	return 0;
}

/* Takes POLICY, whose paths are set, over. */
static int finish_load(struct policy *policy, struct policy **ret, struct policy_errors *errors)
{
	int r;

	r = read_files(policy, errors);
	if (r == 0 && (errors->n_items > 0 || errors->n_dropped > 0))
		r = -EBADMSG;
	if (r == 0)
		r = index_build(&policy->index, policy->rules.items, policy->rules.n);
	if (r < 0) {
		policy_free(policy);
		return r;
	}

	*ret = policy;
	return 0;
}

int policy_load(const char *root, const char *const *dirs, struct policy **ret,
		struct policy_errors *errors)
{
	struct policy *policy;
	int r;

	*ret = NULL;
	policy = calloc(1, sizeof(*policy));
	if (!policy)
		return -ENOMEM;

	r = search_files(root, dirs, &policy->paths, errors);
	if (r < 0) {
		policy_free(policy);
		return r;
	}

	return finish_load(policy, ret, errors);
}

int policy_load_files(const char *const *paths, struct policy **ret, struct policy_errors *errors)
{
	struct policy *policy;

	*ret = NULL;
	policy = calloc(1, sizeof(*policy));
	if (!policy)
		return -ENOMEM;

	for (size_t i = 0; paths[i]; i++)
		if (path_list_add(&policy->paths, paths[i]) < 0) {
			policy_free(policy);
			return -ENOMEM;
		}

	return finish_load(policy, ret, errors);
}

size_t policy_n_rules(const struct policy *policy)
{
	return policy->rules.n;
}

const struct policy_rule *policy_rule(const struct policy *policy, size_t position)
{
	return position < policy->rules.n ? &policy->rules.items[position] : NULL;
}

const char *const *policy_files(const struct policy *policy)
{
	return policy->files;
}

const struct policy_rule *policy_match(const struct policy *policy,
				       const struct device_facts *device)
{
	return index_find(&policy->index, policy->rules.items, device);
}

int policy_trace(const struct policy *policy, const struct device_facts *device, policy_trace_cb cb,
		 void *userdata)
{
	for (size_t i = 0; i < policy->rules.n; i++) {
		const struct policy_rule *rule = &policy->rules.items[i];
		char detail[512];
		bool matched = match_test(rule->match, device, detail, sizeof(detail));
		int r = cb(rule, matched, detail, userdata);

		if (r < 0)
			return r;
	}

	return 0;
}
