/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_ARGS_H
#define CTL_ARGS_H

#include <stdbool.h>

#include "ctl/verbs.h"

/* Whether and how to print documents for programs. */
enum json_mode {
	JSON_OFF,
	JSON_PRETTY, /* over many lines */
	JSON_SHORT, /* in one */
};

enum action {
	ACTION_RUN,
	ACTION_HELP, /* of VERB, or of the whole where that is NULL */
	ACTION_VERSION,
};

struct arguments {
	enum action action;
	const struct verb *verb; /* the first of the table where none was given */
	char **operands; /* what follows the verb, points into argv, NULL-terminated */
	int n_operands;
	unsigned given; /* the enum verb_options that a verb needs for the options given */
	bool rebind;
	bool force;
	bool permanent;
	bool tree;
	bool all;
	bool no_legend;
	bool no_pager;
	bool no_ask_password;
	const char *policy_dir; /* this and the next point into argv, NULL where not given */
	const char *host;
	enum json_mode json;
	char *problem; /* what is wrong, one line, set with -EINVAL only */
};

/*
 * Takes the command line apart and holds it against TABLE (ended by a NULL
 * name). Prints nothing. ARGV is put into another order: options first.
 * Returns 0, -EINVAL (a usage error, see ret->problem) or -ENOMEM; in any case
 * arguments_clear() is due.
 */
int arguments_parse(int argc, char **argv, const struct verb *table, struct arguments *ret);

void arguments_clear(struct arguments *arguments);

#endif
