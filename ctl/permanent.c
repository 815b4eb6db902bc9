/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/permanent.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/display.h"
#include "ctl/failure.h"
#include "ctl/machine.h"
#include "ctl/model.h"
#include "ctl/policy-read.h"
#include "ctl/rule-text.h"
#include "ctl/util.h"
#include "policy/search.h"

/* The first line of its files: what begins otherwise is somebody else's and stays. */
#define MARK "# Made by iommu-policyctl set --permanent, which replaces it as a whole.\n"

static char *write_text(const struct ctl *ctl, enum domain domain, const struct group_facts *facts)
{
	struct rule_text rule = {
		.prefix = "set",
		.domain = domain,
		.rebind = ctl->arguments.rebind,
		.force = ctl->arguments.force,
	};
	char *text = NULL;
	size_t size;
	FILE *f;

	f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	fputs(MARK "# Without the line above it is yours. Remove the file to take the decision back.\n", f);
	rule_text_write(f, &rule, facts);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The files that the daemon would read, with the draft where its name will be. */
static int list_with_draft(const struct draft *draft, struct path_list *ret,
			   struct policy_errors *errors)
{
	_cleanup_(path_list_clear) struct path_list found = { 0 };
	bool added = false;
	int r = search_files(NULL, policy_default_dirs, &found, errors);

	for (size_t i = 0; i < found.n && r == 0; i++) {
		int order = strcmp(last_part(found.items[i]), last_part(draft->path));

		if (order >= 0 && !added) {
			r = path_list_add(ret, draft->temporary);
			added = true;
		}
		if (order != 0 && r == 0)
			r = path_list_add(ret, found.items[i]);
	}
	if (r == 0 && !added)
		r = path_list_add(ret, draft->temporary);
	return r;
}

static int load_with_draft(const struct ctl *ctl, const struct draft *draft,
			   struct policy **ret)
{
	_cleanup_(policy_errors_clear) struct policy_errors errors = { 0 };
	_cleanup_(path_list_clear) struct path_list files = { 0 };
	_cleanup_free_ const char **paths = NULL;
	int r;

	r = list_with_draft(draft, &files, &errors);
	if (r == 0)
		paths = calloc(files.n + 1, sizeof(*paths));
	if (!paths)
		return complain_memory();
	memcpy(paths, files.items, files.n * sizeof(*paths));
	r = policy_load_files(paths, ret, &errors);
	if (r == -ENOMEM)
		return complain_memory();
	if (r < 0)
		return failure_complain(
			ctl, EXIT_CODE_FAILED, 0,
			"the policy files have errors, so the daemon would not read another one; nothing was done (see: iommu-policyctl check)");
	return 0;
}

/*
 * A later rule takes one of the devices away: which, so that it can be changed.
 * Bridges are not named by the file; what they vote for counts in the decision.
 */
static int complain_overruled(const struct ctl *ctl, const struct draft *draft,
			      const struct policy *policy, const struct group_facts *facts)
{
	for (size_t i = 0; i < facts->n_devices; i++) {
		const struct device_facts *device = facts->devices[i];
		const struct policy_rule *rule =
			device->bridge ? NULL : policy_match(policy, device);
		_cleanup_free_ char *name = NULL, *path = NULL;

		if (!rule || streq(rule->path, draft->temporary))
			continue;
		name = display_escape(rule->name);
		path = display_escape(rule->path);
		if (!name || !path)
			return complain_memory();
		return failure_complain(
			ctl, EXIT_CODE_REFUSED, 0,
			"nothing was done: for %s, [%s] (%s:%u) would go before a file of the name %s; change that rule instead",
			device->address, name, path, rule->line, last_part(draft->path));
	}
	return EXIT_CODE_DONE;
}

/* The policy was read from the hidden file, which will be gone: TEXT with the name that it would have. */
static char *name_draft(const struct draft *draft, const char *text)
{
	const char *at = text ? strstr(text, draft->temporary) : NULL;
	char *ret;

	if (!at)
		return text ? strdup(text) : NULL;
	return asprintf(&ret, "%.*s%s%s", (int)(at - text), text, draft->path,
			at + strlen(draft->temporary)) < 0 ? NULL : ret;
}

int permanent_judge(const struct ctl *ctl, const struct draft *draft, const struct policy *policy,
		    const struct group_facts *facts, enum domain domain)
{
	enum domain wanted = domain == DOMAIN_AUTO ? facts->boot : domain;
	struct decision decision;
	int code;

	code = complain_overruled(ctl, draft, policy, facts);
	if (code != 0)
		return code;
	if (policy_decide(policy, facts, NULL, &decision) < 0)
		return complain_memory();
	if (decision.verdict != VERDICT_TARGET || decision.target != wanted) {
		_cleanup_free_ char *named = name_draft(draft, decision.reason);
		_cleanup_free_ char *reason = display_escape(named);

		code = failure_complain(ctl, EXIT_CODE_REFUSED, 0, "nothing was done: %s",
					str_or(reason, "the policy says otherwise"));
	}
	decision_clear(&decision);
	return code;
}

static int check_decision(const struct ctl *ctl, const struct draft *draft,
			  const struct group_facts *facts, enum domain domain)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	int code = load_with_draft(ctl, draft, &policy);

	return code != 0 ? code : permanent_judge(ctl, draft, policy, facts, domain);
}

static int make_folder(const struct ctl *ctl, const char *path)
{
	if (mkdir(path, 0755) < 0) {
		if (errno == EEXIST)
			return 0;
		return failure_complain(ctl, EXIT_CODE_FAILED, errno,
					"cannot make the folder %s: %s", path, strerror(errno));
	}
	/* Nobody else may put files there, and everybody may read them. */
	(void)!chmod(path, 0755);
	fprintf(stderr, "Created the folder %s.\n", path);
	return 0;
}

static int make_folders(const struct ctl *ctl)
{
	_cleanup_free_ char *parent = strdup(policy_default_dirs[0]);
	int code;

	if (!parent)
		return complain_memory();
	*strrchr(parent, '/') = '\0';
	code = make_folder(ctl, parent);
	return code != 0 ? code : make_folder(ctl, policy_default_dirs[0]);
}

static int prepare(struct ctl *ctl, const struct machine_group *group, enum domain domain,
		   struct draft *draft)
{
	const struct group_facts *facts = machine_group_facts(group);
	const struct device_facts *first = rule_text_first(facts);
	_cleanup_free_ char *path = NULL, *text = NULL;
	char name[32];
	int code;

	if (!first)
		return failure_complain(
			ctl, EXIT_CODE_REFUSED, 0,
			"group %u has no PCI device but bridges: write a rule that names one by its address, see iommu-policy.conf(5)",
			machine_group_id(group));
	rule_text_name(first->address, name, sizeof(name));
	if (asprintf(&path, "%s/90-set-%s.conf", policy_default_dirs[0], name) < 0)
		path = NULL;
	text = write_text(ctl, domain, facts);
	if (!path || !text)
		return complain_memory();
	code = make_folders(ctl);
	if (code == 0)
		code = draft_write(ctl, draft, path, text, DRAFT_OVER_OWN);
	return code != 0 ? code : check_decision(ctl, draft, facts, domain);
}

int permanent_check(const struct ctl *ctl)
{
	if (ctl->arguments.host) {
		complain("--permanent writes a file of this machine: with -H, run it there (ssh)");
		return EXIT_CODE_USAGE;
	}
	if (geteuid() != 0)
		return failure_complain(ctl, EXIT_CODE_FAILED, EACCES,
					"--permanent writes to %s: do it as root",
					policy_default_dirs[0]);
	return 0;
}

int permanent_prepare(struct ctl *ctl, uint32_t group, enum domain domain, struct draft *ret)
{
	_cleanup_(machine_clear) struct machine machine = { 0 };
	_cleanup_(model_clear) struct model model = { 0 };
	const struct model_group *known;
	struct machine_group *here;
	int r;

	*ret = (struct draft){ 0 };
	r = model_load(ctl, MODEL_OBJECTS | MODEL_MANAGER, &model);
	if (r != 0)
		return r;
	r = machine_load(ctl, &machine);
	if (r != 0)
		return r;
	known = model_find_group(&model, group);
	here = machine_group(&machine, group);
	if (!known || !here)
		return failure_complain(ctl, EXIT_CODE_FAILED, ENOENT,
					"there is no group %u (see: iommu-policyctl list)", group);
	machine_know(here, domain_from_string(known->type), domain_from_string(known->boot_type));
	return prepare(ctl, here, domain, ret);
}

/* What was meant for now is in force for each later change, too, in which nobody may think of it. */
static void warn_lasting(const struct ctl *ctl, const char *path)
{
	bool rebind = ctl->arguments.rebind, force = ctl->arguments.force;

	if (rebind || force)
		complain("%s has %s%s%s: later changes of the group %s%s%s, too; take that out of the file if it was meant for now only",
			 path, rebind ? "rebind = always" : "", rebind && force ? " and " : "",
			 force ? "force = yes" : "", rebind ? "unbind its drivers" : "",
			 rebind && force ? " and " : "",
			 force ? "do not look whether it is in use" : "");
}

int permanent_commit(const struct ctl *ctl, struct draft *draft)
{
	/* The change has its document, and there is one a command: the exit status tells the rest. */
	struct ctl quiet = *ctl;
	int code;

	quiet.arguments.json = JSON_OFF;
	code = draft_commit(&quiet, draft);
	if (code != 0)
		return code;
	if (ctl->term.legend && ctl->arguments.json == JSON_OFF)
		printf("%s %s.\n", draft->replaces ? "Replaced" : "Wrote", draft->path);
	warn_lasting(ctl, draft->path);
	return code;
}
