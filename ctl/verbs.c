/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/verbs.h"

#include <stddef.h>

const struct verb verbs[] = {
	{
		.name = "status",
		.pages = true,
		.args = "",
		.options = VERB_JSON | VERB_HOST,
		.summary = "One line a group, and what is amiss (default)",
		.help = "TYPE is the group's default domain now, TARGET what the policy decided (- where\n"
			"no rule names the group). A line under a group says why it is not there yet.\n",
		.run = verb_status,
	},
	{
		.name = "list",
		.pages = true,
		.args = "[groups|devices]",
		.max_args = 1,
		.options = VERB_JSON | VERB_HOST | VERB_TREE,
		.summary = "All groups or all devices, one line each",
		.help = "Without an argument: groups. Flags of devices are removable, vf (a virtual\n"
			"function) and bridge.\n",
		.run = verb_list,
	},
	{
		.name = "show",
		.pages = true,
		.args = "GROUP|DEVICE",
		.min_args = 1,
		.max_args = 1,
		.options = VERB_JSON | VERB_HOST,
		.summary = "Everything about a group or a device",
		.run = verb_show,
	},
	{
		.name = "explain",
		.pages = true,
		.args = "DEVICE",
		.min_args = 1,
		.max_args = 1,
		.options = VERB_JSON | VERB_HOST,
		.summary = "Every rule tried for a device, and what came of it",
		.help = "The last rule that matches wins. The strongest wish in a group wins: blocked,\n"
			"then DMA, then DMA-FQ, then identity.\n",
		.run = verb_explain,
	},
	{
		.name = "check",
		.pages = true,
		.args = "[FILE|FOLDER...]",
		.max_args = -1,
		.options = VERB_JSON,
		.summary = "Look for errors in policy files; needs no daemon",
		.help = "Without an argument: the files that the daemon reads. Prints one line an error,\n"
			"path:line: [section] key: reason, and then exits with 1.\n",
		.run = verb_check,
	},
	{
		.name = "plan",
		.pages = true,
		.args = "",
		.options = VERB_POLICY_DIR | VERB_JSON | VERB_HOST,
		.summary = "What 'apply', or other policy files, would do, and why",
		.help = "With --policy-dir: which groups would get another target or state if the files of\n"
			"that folder were the whole policy. Works without the daemon, too.\n"
			"Ways: live (on the bound device), write (no driver is bound), transaction\n"
			"(drivers are unbound and probed again), wait (for a driver to let go; see\n"
			"'apply --rebind').\n",
		.run = verb_plan,
	},
	{
		.name = "apply",
		.args = "[GROUP|DEVICE]",
		.max_args = 1,
		.options = VERB_REBIND | VERB_FORCE | VERB_JSON | VERB_HOST,
		.summary = "Carry out what is due, in all groups or in one",
		.run = verb_apply,
	},
	{
		.name = "reload",
		.args = "",
		.options = VERB_JSON | VERB_HOST,
		.summary = "Read the policy files again and apply what changed",
		.run = verb_reload,
	},
	{
		.name = "set",
		.args = "GROUP|DEVICE TYPE",
		.min_args = 2,
		.max_args = 2,
		.options = VERB_REBIND | VERB_FORCE | VERB_PERMANENT | VERB_JSON | VERB_HOST,
		.summary = "Put a group into a type until the next reboot",
		.help = "TYPE: identity, DMA, DMA-FQ, auto (the type at boot) or blocked, in any letter\n"
			"case. The next change of the group's policy takes it back, and 'restore' does.\n"
			"With --permanent a policy file keeps it beyond the reboot, until it is removed.\n",
		.run = verb_set,
	},
	{
		.name = "restore",
		.args = "GROUP|DEVICE",
		.min_args = 1,
		.max_args = 1,
		.options = VERB_JSON | VERB_HOST,
		.summary = "Bring back the type that a group had at boot",
		.run = verb_restore,
	},
	{
		.name = "generate",
		.args = "[FILE]",
		.max_args = 1,
		.options = VERB_ALL | VERB_JSON,
		.summary = "A policy that keeps the types that groups have now",
		.help = "Prints rules for the groups that have another type than at boot, or writes them\n"
			"to FILE, which must not exist.\n",
		.run = verb_generate,
	},
	{
		.name = "metrics",
		.args = "[FILE]",
		.max_args = 1,
		.options = VERB_JSON | VERB_HOST,
		.summary = "Numbers for Prometheus, printed or put into FILE",
		.help = "FILE is replaced as a whole: it may be one of node exporter's textfile collector.\n"
			"A daemon that does not run is told as iommu_policy_up 0.\n",
		.run = verb_metrics,
	},
	{
		.name = "log-level",
		.args = "[LEVEL]",
		.max_args = 1,
		.options = VERB_JSON | VERB_HOST,
		.summary = "How much the daemon logs, or to log that much",
		.help = "LEVEL: emerg, alert, crit, err, warning, notice, info or debug; until the daemon\n"
			"is restarted. LogLevel= of iommu-policyd.conf is for good.\n",
		.run = verb_log_level,
	},
	{
		.name = "monitor",
		.args = "",
		.options = VERB_JSON | VERB_HOST,
		.summary = "Follow decisions and changes until Ctrl-C",
		.run = verb_monitor,
	},
	{ 0 },
};
