/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/verbs.h"

#include <stddef.h>

#define OPTIONS_HELP                                                                  \
	"  --rebind  unbind drivers where needed, as if each rule said rebind = always\n" \
	"  --force   change even what is in use, as if each rule said force = yes\n"

const struct verb verbs[] = {
	{ "status", "", 0, 0, 0, "One line a group, and what is amiss (default)",
	  "TYPE is the group's default domain now, TARGET what the policy decided (- where no\n"
	  "rule names the group). A line under a group says why it is not there yet.\n",
	  verb_status },
	{ "list", "[groups|devices]", 0, 1, 0, "All groups or all devices, one line each",
	  "Without an argument: groups. Flags of devices: removable, vf (virtual function), bridge.\n", verb_list },
	{ "show", "GROUP|DEVICE", 1, 1, 0, "Everything about a group or a device", NULL, verb_show },
	{ "explain", "DEVICE", 1, 1, 0, "Every rule tried for a device, and what came of it",
	  "The last rule that matches wins. The strongest wish in a group wins: blocked, then\n"
	  "DMA, then DMA-FQ, then identity.\n",
	  verb_explain },
	{ "check", "[FILE...]", 0, -1, 0, "Look for errors in policy files; needs no daemon",
	  "Without FILE: the files that the daemon reads. Prints one line an error,\n"
	  "path:line: [section] key: reason, and then exits with 1.\n",
	  verb_check },
	{ "plan", "", 0, 0, 0, "What 'apply' would do now, and why",
	  "Ways: live (on the bound device), write (no driver is bound), transaction (drivers are\n"
	  "unbound and probed again), wait (for a driver to let go; see apply --rebind).\n",
	  verb_plan },
	{ "apply", "[GROUP|DEVICE]", 0, 1, VERB_REBIND | VERB_FORCE,
	  "Carry out what is due, in all groups or in one", OPTIONS_HELP, verb_apply },
	{ "reload", "", 0, 0, 0, "Read the policy files again and apply what changed", NULL, verb_reload },
	{ "set", "GROUP|DEVICE TYPE", 2, 2, VERB_REBIND | VERB_FORCE, "Put a group into a type until the next reboot",
	  "TYPE: identity, DMA, DMA-FQ, auto (the type at boot) or blocked, in any letter case.\n"
	  "The next change of the group's policy takes it back, and 'restore' does.\n" OPTIONS_HELP,
	  verb_set },
	{ "restore", "GROUP|DEVICE", 1, 1, 0, "Bring back the type that a group had at boot", NULL, verb_restore },
	{ "monitor", "", 0, 0, 0, "Follow decisions and changes until Ctrl-C", NULL, verb_monitor },
	{ 0 },
};
