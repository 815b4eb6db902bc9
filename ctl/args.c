/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/args.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <unistd.h>

#include "ctl/util.h"

enum {
	ARG_VERSION = 0x100,
	ARG_REBIND,
	ARG_FORCE,
	ARG_NO_LEGEND,
	ARG_JSON,
};

static const struct option options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, ARG_VERSION },
	{ "rebind", no_argument, NULL, ARG_REBIND },
	{ "force", no_argument, NULL, ARG_FORCE },
	{ "no-legend", no_argument, NULL, ARG_NO_LEGEND },
	{ "json", optional_argument, NULL, ARG_JSON },
	{ 0 },
};

static int problem(struct arguments *arguments, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int problem(struct arguments *arguments, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&arguments->problem, format, args);
	va_end(args);
	if (n < 0) {
		arguments->problem = NULL;
		return -ENOMEM;
	}
	return -EINVAL;
}

/* Edits (insert, delete, replace, swap of neighbours) from A to B, for words of a verb's length. */
static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	size_t d[n + 1][m + 1];

	for (size_t i = 0; i <= n; i++)
		for (size_t j = 0; j <= m; j++) {
			size_t best;

			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[n][m];
}

/* The verb that was probably meant, or NULL. */
static const struct verb *nearest(const char *word, const struct verb *table)
{
	const struct verb *best = NULL;
	size_t least = 3;

	if (strlen(word) > 32)
		return NULL;
	for (const struct verb *v = table; v->name; v++) {
		size_t d = distance(word, v->name);

		if (d < least && d < strlen(v->name) / 2 + 1) {
			least = d;
			best = v;
		}
	}
	return best;
}

static int unknown_option(struct arguments *arguments, int argc, char **argv)
{
	/* A known option with a value it does not take; long ones leave their value in optopt. */
	for (const struct option *o = options; o->name; o++)
		if (optopt >= ARG_VERSION && optopt == o->val)
			return problem(arguments, "option --%s takes no value", o->name);
	if (optopt == 'h')
		return problem(arguments, "option --help takes no value");
	if (optopt > 0)
		return problem(arguments, "unknown option -%c", optopt);
	return problem(arguments, "unknown option %s",
		       optind > 0 && optind <= argc ? argv[optind - 1] : "");
}

/* Alone it is for whoever looks: a person at a terminal, a program behind a pipe. */
static int parse_json(struct arguments *arguments, const char *word)
{
	if (!word)
		arguments->json = isatty(STDOUT_FILENO) ? JSON_PRETTY : JSON_SHORT;
	else if (streq(word, "pretty"))
		arguments->json = JSON_PRETTY;
	else if (streq(word, "short"))
		arguments->json = JSON_SHORT;
	else if (streq(word, "off"))
		arguments->json = JSON_OFF;
	else
		return problem(arguments, "--json takes pretty, short or off, not '%s'", word);
	return 0;
}

static int parse_options(int argc, char **argv, struct arguments *ret)
{
	int c, r;

	optind = 0; /* not 1: glibc then forgets the call before, which tests make */
	opterr = 0;

	while ((c = getopt_long(argc, argv, ":h", options, NULL)) >= 0)
		switch (c) {
		case 'h':
			ret->action = ACTION_HELP;
			break;
		case ARG_VERSION:
			if (ret->action == ACTION_RUN)
				ret->action = ACTION_VERSION;
			break;
		case ARG_REBIND:
			ret->rebind = true;
			break;
		case ARG_FORCE:
			ret->force = true;
			break;
		case ARG_NO_LEGEND:
			ret->no_legend = true;
			break;
		case ARG_JSON:
			r = parse_json(ret, optarg);
			if (r < 0)
				return r;
			break;
		default:
			return unknown_option(ret, argc, argv);
		}
	return 0;
}

static int find_verb(const char *word, const struct verb *table, struct arguments *ret)
{
	const struct verb *meant;

	for (const struct verb *v = table; v->name; v++)
		if (streq(v->name, word)) {
			ret->verb = v;
			return 0;
		}

	meant = nearest(word, table);
	return meant ? problem(ret, "unknown verb '%s', did you mean '%s'?", word, meant->name)
		     : problem(ret, "unknown verb '%s'", word);
}

static int check_counts(struct arguments *ret)
{
	const struct verb *v = ret->verb;

	if (ret->n_operands < v->min_args)
		return problem(ret, "'%s' needs %s", v->name, v->args);
	if (v->max_args >= 0 && ret->n_operands > v->max_args)
		return v->max_args == 0
			       ? problem(ret, "'%s' takes no arguments", v->name)
			       : problem(ret, "too many arguments for '%s', which takes %s",
					 v->name, v->args);
	if (ret->rebind && !(v->options & VERB_REBIND))
		return problem(ret, "'%s' does not take --rebind", v->name);
	if (ret->force && !(v->options & VERB_FORCE))
		return problem(ret, "'%s' does not take --force", v->name);
	return 0;
}

int arguments_parse(int argc, char **argv, const struct verb *table, struct arguments *ret)
{
	int r;

	*ret = (struct arguments){ 0 };
	r = parse_options(argc, argv, ret);
	if (r < 0)
		return r;
	if (ret->action == ACTION_VERSION)
		return 0;

	ret->operands = argv + optind;
	ret->n_operands = argc - optind;

	if (ret->n_operands > 0) {
		r = find_verb(ret->operands[0], table, ret);
		if (r < 0)
			return r;
		ret->operands++;
		ret->n_operands--;
	} else if (ret->action == ACTION_RUN) {
		ret->verb = table;
	}
	return ret->action == ACTION_RUN ? check_counts(ret) : 0;
}

void arguments_clear(struct arguments *arguments)
{
	free(arguments->problem);
	*arguments = (struct arguments){ 0 };
}
