/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_VERBS_H
#define CTL_VERBS_H

#include <stdbool.h>

struct ctl;

/* Options that some verbs take; those that are not here all of them do. */
enum verb_options {
	VERB_REBIND = 1 << 0, /* --rebind */
	VERB_FORCE = 1 << 1, /* --force */
	VERB_PERMANENT = 1 << 2, /* --permanent */
	VERB_POLICY_DIR = 1 << 3, /* --policy-dir=DIR */
	VERB_TREE = 1 << 4, /* --tree */
	VERB_JSON = 1 << 5, /* --json: it prints a document */
	VERB_HOST = 1 << 6, /* -H: all that it needs comes from the daemon */
	VERB_ALL = 1 << 7, /* --all */
};

struct verb {
	const char *name;
	const char *args; /* as help shows them, "" for none */
	int min_args, max_args; /* max_args < 0: any number */
	bool pages; /* what it prints may be long, and it asks nothing */
	unsigned options; /* enum verb_options that it takes */
	const char *summary; /* one line of the list of verbs */
	const char *help; /* what --help after the verb adds */
	int (*run)(struct ctl *ctl, char **args, int n_args); /* returns an enum exit_code */
};

/* Ended by a NULL name; the first is what runs when no verb is given. */
extern const struct verb verbs[];

int verb_status(struct ctl *ctl, char **args, int n_args);
int verb_list(struct ctl *ctl, char **args, int n_args);
int verb_show(struct ctl *ctl, char **args, int n_args);
int verb_explain(struct ctl *ctl, char **args, int n_args);
int verb_check(struct ctl *ctl, char **args, int n_args);
int verb_plan(struct ctl *ctl, char **args, int n_args);
int verb_apply(struct ctl *ctl, char **args, int n_args);
int verb_reload(struct ctl *ctl, char **args, int n_args);
int verb_set(struct ctl *ctl, char **args, int n_args);
int verb_restore(struct ctl *ctl, char **args, int n_args);
int verb_log_level(struct ctl *ctl, char **args, int n_args);
int verb_generate(struct ctl *ctl, char **args, int n_args);
int verb_metrics(struct ctl *ctl, char **args, int n_args);
int verb_monitor(struct ctl *ctl, char **args, int n_args);

#endif
