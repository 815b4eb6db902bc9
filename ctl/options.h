/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "ctl/verbs.h"

enum option_id {
	OPTION_NONE,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_REBIND,
	OPTION_FORCE,
	OPTION_PERMANENT,
	OPTION_POLICY_DIR,
	OPTION_TREE,
	OPTION_ALL,
	OPTION_JSON,
	OPTION_HOST,
	OPTION_NO_LEGEND,
	OPTION_NO_PAGER,
	OPTION_NO_ASK_PASSWORD,
};

#define OPTION_MAX (OPTION_NO_ASK_PASSWORD + 1) /* entries of the table with its end */

/* One option: all that its parsing and its help need to know. */
struct option_info {
	enum option_id id;
	const char *name; /* the long one, without dashes */
	char letter; /* the short one, '\0' for none */
	const char *value; /* what help calls the value, NULL where there is none */
	bool optional; /* the value may be left out */
	unsigned verbs; /* the enum verb_options that a verb must have; 0: every verb takes it */
	const char *summary;
};

/* Ended by OPTION_NONE; in the order of the help. */
extern const struct option_info options[];

/* "  --force   Change even what ..." for each option that a verb with the enum verb_options TAKEN takes. */
void options_print(FILE *f, unsigned taken);

#endif
