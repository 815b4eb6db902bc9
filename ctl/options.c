/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/options.h"

#include "ctl/util.h"

const struct option_info options[] = {
	{ OPTION_REBIND, "rebind", 0, NULL, false, VERB_REBIND,
	  "Unbind drivers where that is needed" },
	{ OPTION_FORCE, "force", 0, NULL, false, VERB_FORCE, "Change even what is in use" },
	{ OPTION_PERMANENT, "permanent", 0, NULL, false, VERB_PERMANENT,
	  "Write a policy file, so that it outlives a reboot" },
	{ OPTION_POLICY_DIR, "policy-dir", 0, "DIR", false, VERB_POLICY_DIR,
	  "Policy files of this folder instead of those in force" },
	{ OPTION_TREE, "tree", 0, NULL, false, VERB_TREE, "Groups with their devices below them" },
	{ OPTION_ALL, "all", 0, NULL, false, VERB_ALL, "Also groups with the type that they had at boot" },
	{ OPTION_JSON, "json", 0, "pretty|short|off", true, VERB_JSON,
	  "A document for programs instead of text for people" },
	{ OPTION_HOST, "host", 'H', "[USER@]HOST", false, VERB_HOST,
	  "Ask the daemon of another machine, through ssh" },
	{ OPTION_NO_LEGEND, "no-legend", 0, NULL, false, 0, "No column titles and no summaries" },
	{ OPTION_NO_PAGER, "no-pager", 0, NULL, false, 0, "No pager for long output" },
	{ OPTION_NO_ASK_PASSWORD, "no-ask-password", 0, NULL, false, 0,
	  "Do not ask for passwords where a change needs one" },
	{ OPTION_HELP, "help", 'h', NULL, false, 0, "This, or the help of a verb that is given" },
	{ OPTION_VERSION, "version", 0, NULL, false, 0, "The version" },
	{ 0 },
};

void options_print(FILE *f, unsigned taken)
{
	for (const struct option_info *o = options; o->id != OPTION_NONE; o++) {
		char letter[8] = "", head[64];

		if ((o->verbs & taken) != o->verbs)
			continue;
		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		snprintf(head, sizeof(head), "%s--%s%s%s%s%s", letter, o->name,
			 o->optional ? "[" : "", o->value ? "=" : "", str_or(o->value, ""),
			 o->optional ? "]" : "");
		if (strlen(head) > 22)
			fprintf(f, "  %s\n  %22s  %s\n", head, "", o->summary);
		else
			fprintf(f, "  %-22s  %s\n", head, o->summary);
	}
}
