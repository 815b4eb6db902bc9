/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/plan.h"
#include "ctl/util.h"

int verb_plan(struct ctl *ctl, char **args _unused_, int n_args _unused_)
{
	_cleanup_(plan_clear) struct plan plan = { 0 };
	const char *folder = ctl->arguments.policy_dir;
	int code;

	if (folder && ctl->arguments.host) {
		complain("--policy-dir looks at files and devices of this machine: with -H, run it there (ssh)");
		return EXIT_CODE_USAGE;
	}
	code = folder ? plan_load_folder(ctl, folder, &plan) : plan_load(ctl, &plan);
	return code != 0 ? code : plan_print(ctl, &plan);
}
