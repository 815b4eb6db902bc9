/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "ctl/ctl.h"
#include "ctl/display.h"
#include "ctl/util.h"
#include "policy/policy.h"

static void policy_freep(struct policy **policy)
{
	policy_free(*policy);
}

/* On standard output: the errors are what this verb is asked for. */
static int print_errors(const struct policy_errors *errors)
{
	for (size_t i = 0; i < errors->n_items; i++) {
		_cleanup_free_ char *line = policy_error_format(&errors->items[i]), *escaped = NULL;

		if (line)
			escaped = display_escape(line);
		if (!escaped)
			return complain_memory();
		puts(escaped);
	}
	if (errors->n_dropped > 0)
		printf("... and %zu more errors\n", errors->n_dropped);
	return EXIT_CODE_FAILED;
}

static void print_sound(const struct ctl *ctl, const struct policy *policy)
{
	size_t n_files = 0, n_rules = policy_n_rules(policy);

	if (!ctl->term.legend)
		return;
	for (const char *const *p = policy_files(policy); p && *p; p++)
		n_files++;
	if (n_files == 0)
		printf("No policy files, so nothing is managed.\n");
	else
		printf("%zu %s, %zu %s: no errors.\n", n_files, n_files == 1 ? "file" : "files",
		       n_rules, n_rules == 1 ? "rule" : "rules");
}

int verb_check(struct ctl *ctl, char **args, int n_args)
{
	_cleanup_(policy_errors_clear) struct policy_errors errors = { 0 };
	_cleanup_(policy_freep) struct policy *policy = NULL;
	int r;

	if (n_args > 0)
		r = policy_load_files((const char *const *)args, &policy, &errors);
	else
		r = policy_load(NULL, policy_default_dirs, &policy, &errors);

	if (r == -EBADMSG)
		return print_errors(&errors);
	if (r == -ENOMEM)
		return complain_memory();
	if (r < 0) {
		complain("reading the policy files: %s", strerror(-r));
		return EXIT_CODE_FAILED;
	}
	print_sound(ctl, policy);
	return EXIT_CODE_DONE;
}
