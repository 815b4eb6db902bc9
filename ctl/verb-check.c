/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <sys/stat.h>

#include "ctl/json.h"
#include "ctl/policy-read.h"
#include "ctl/util.h"
#include "policy/search.h"

static int print_sound(const struct ctl *ctl, const struct policy *policy)
{
	size_t n_files = 0, n_rules = policy_n_rules(policy);

	for (const char *const *p = policy_files(policy); p && *p; p++)
		n_files++;
	if (json_wanted(ctl)) {
		struct json_builder b = { 0 };
		json_object *document = json_object_new_object();
		json_object *files;

		json_add_array(&b, document, "errors");
		json_add_number(&b, document, "errors_not_shown", 0);
		files = json_add_array(&b, document, "files");
		for (const char *const *p = policy_files(policy); p && *p; p++)
			json_add_text(&b, files, NULL, *p);
		json_add_number(&b, document, "rules", n_rules);
		return json_print(ctl, &b, document);
	}
	if (!ctl->term.legend)
		return EXIT_CODE_DONE;
	if (n_files == 0)
		printf("No policy files, so nothing is managed.\n");
	else
		printf("%zu %s, %zu %s: no errors.\n", n_files, n_files == 1 ? "file" : "files",
		       n_rules, n_rules == 1 ? "rule" : "rules");
	return EXIT_CODE_DONE;
}

/* A folder stands for the files that it has, in their order. 0 or -ENOMEM. */
static int add_operand(const char *path, struct path_list *files, struct policy_errors *errors)
{
	const char *const folders[] = { path, NULL };
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return search_files(NULL, folders, files, errors);
	return path_list_add(files, path);
}

/* What is wrong with the folders comes first, since it says why files are missing below. */
static int check_operands(char **args, int n_args, struct policy **policy,
			  struct policy_errors *errors)
{
	_cleanup_(path_list_clear) struct path_list files = { 0 };
	const char **paths;
	int r = 0;

	for (int i = 0; i < n_args && r == 0; i++)
		r = add_operand(args[i], &files, errors);
	paths = r == 0 ? calloc(files.n + 1, sizeof(*paths)) : NULL;
	if (!paths)
		return -ENOMEM;
	for (size_t i = 0; i < files.n; i++)
		paths[i] = files.items[i];
	r = policy_load_files(paths, policy, errors);
	free(paths);
	return r;
}

int verb_check(struct ctl *ctl, char **args, int n_args)
{
	_cleanup_(policy_errors_clear) struct policy_errors errors = { 0 };
	_cleanup_(policy_freep) struct policy *policy = NULL;
	int r;

	if (n_args > 0)
		r = check_operands(args, n_args, &policy, &errors);
	else
		r = policy_load(NULL, policy_default_dirs, &policy, &errors);
	return r < 0 ? policy_read_failed(ctl, r, &errors) : print_sound(ctl, policy);
}
