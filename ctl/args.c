/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/args.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <unistd.h>

#include "ctl/options.h"
#include "ctl/util.h"

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

/* getopt_long() gives this for an option; above all letters, so that it is one or the other. */
#define OPTION_VALUE(info) (0x100 + (int)(info)->id)

/* The option that getopt_long() means with VALUE, NULL where it is none of ours. */
static const struct option_info *find_option(int value)
{
	for (const struct option_info *o = options; o->id != OPTION_NONE; o++)
		if (value == OPTION_VALUE(o) || (o->letter && value == o->letter))
			return o;
	return NULL;
}

static int unknown_option(struct arguments *arguments, int argc, char **argv)
{
	/* A known option with a value it does not take; long ones leave their value in optopt. */
	const struct option_info *o = find_option(optopt);

	if (o)
		return problem(arguments, "option --%s takes no value", o->name);
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
	/* Text is what every verb has. */
	if (arguments->json == JSON_OFF)
		arguments->given &= ~(unsigned)VERB_JSON;
	return 0;
}

/* An empty value would be taken for none where it is used. */
static int parse_text(struct arguments *arguments, const struct option_info *o, const char **ret)
{
	if (!*optarg)
		return problem(arguments, "option --%s needs %s, not nothing", o->name, o->value);
	*ret = optarg;
	return 0;
}

static int take_option(struct arguments *ret, const struct option_info *o)
{
	ret->given |= o->verbs;
	switch (o->id) {
	case OPTION_NONE:
		break;
	case OPTION_HELP:
		ret->action = ACTION_HELP;
		break;
	case OPTION_VERSION:
		if (ret->action == ACTION_RUN)
			ret->action = ACTION_VERSION;
		break;
	case OPTION_REBIND:
		ret->rebind = true;
		break;
	case OPTION_FORCE:
		ret->force = true;
		break;
	case OPTION_PERMANENT:
		ret->permanent = true;
		break;
	case OPTION_POLICY_DIR:
		return parse_text(ret, o, &ret->policy_dir);
	case OPTION_ALL:
		ret->all = true;
		break;
	case OPTION_TREE:
		ret->tree = true;
		break;
	case OPTION_JSON:
		return parse_json(ret, optarg);
	case OPTION_HOST:
		return parse_text(ret, o, &ret->host);
	case OPTION_NO_LEGEND:
		ret->no_legend = true;
		break;
	case OPTION_NO_PAGER:
		ret->no_pager = true;
		break;
	case OPTION_NO_ASK_PASSWORD:
		ret->no_ask_password = true;
		break;
	}
	return 0;
}

/* Our table in getopt's words. */
static void describe_options(struct option longs[static OPTION_MAX], char letters[static OPTION_MAX * 2])
{
	*letters++ = ':'; /* a missing value is told from an unknown option */
	for (const struct option_info *o = options; o->id != OPTION_NONE; o++) {
		*longs++ = (struct option){
			.name = o->name,
			.has_arg = !o->value ? no_argument :
				   o->optional ? optional_argument : required_argument,
			.val = OPTION_VALUE(o),
		};
		if (!o->letter)
			continue;
		*letters++ = o->letter;
		if (o->value)
			*letters++ = ':';
	}
	*longs = (struct option){ 0 };
	*letters = '\0';
}

static int parse_options(int argc, char **argv, struct arguments *ret)
{
	struct option longs[OPTION_MAX];
	char letters[OPTION_MAX * 2];
	const struct option_info *o;
	int c, r = 0;

	describe_options(longs, letters);
	optind = 0; /* not 1: glibc then forgets the call before, which tests make */
	opterr = 0;

	while (r == 0 && (c = getopt_long(argc, argv, letters, longs, NULL)) >= 0) {
		if (c == ':') {
			o = find_option(optopt);
			return problem(ret, "option --%s needs %s", o->name, o->value);
		}
		o = find_option(c);
		r = o ? take_option(ret, o) : unknown_option(ret, argc, argv);
	}
	return r;
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
	for (const struct option_info *o = options; o->id != OPTION_NONE; o++)
		if (ret->given & o->verbs & ~v->options)
			return problem(ret, "'%s' does not take --%s", v->name, o->name);
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
