/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"

#include "config.h"

#include <errno.h>
#include <locale.h>
#include <stdarg.h>

#include "ctl/agent.h"
#include "ctl/display.h"
#include "ctl/options.h"
#include "ctl/pager.h"
#include "ctl/util.h"

void complain(const char *format, ...)
{
	va_list args;

	/* What was printed before comes first, also where both go to one file. */
	fflush(stdout);
	fputs("iommu-policyctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

int complain_memory(void)
{
	complain("out of memory");
	return EXIT_CODE_FAILED;
}

int ctl_parse_target(const char *text, struct target *ret)
{
	_cleanup_free_ char *escaped = NULL;

	if (target_parse(text, ret) >= 0)
		return 0;
	escaped = display_escape(text);
	complain(
		"'%s' is neither a group's number nor a PCI address (such as 0000:3b:00.0 or 3b:00.0)",
		str_or(escaped, "?"));
	return EXIT_CODE_USAGE;
}

static void print_help(void)
{
	unsigned any = 0;

	printf("Usage: iommu-policyctl [OPTION...] [VERB [ARGUMENT...]]\n\n"
	       "Shows and changes what the IOMMU policy does to this machine's groups.\n\nVerbs:\n");
	for (const struct verb *v = verbs; v->name; v++) {
		char head[64];

		snprintf(head, sizeof(head), "%s%s%s", v->name, *v->args ? " " : "", v->args);
		if (strlen(head) > 22)
			printf("  %s\n  %22s  %s\n", head, "", v->summary);
		else
			printf("  %-22s  %s\n", head, v->summary);
		any |= v->options;
	}
	printf("\nOptions (a verb's own help says which of them it takes):\n");
	options_print(stdout, any);
	printf("\nA GROUP is a number, a DEVICE a PCI address: 0000:3b:00.0, or 3b:00.0 for short.\n"
	       "Exit status: 0 done, 1 failed, 2 usage, 3 pending, 4 refused.\n"
	       "See iommu-policyctl(8).\n");
}

static void print_verb_help(const struct verb *verb)
{
	printf("Usage: iommu-policyctl %s [OPTION...]%s%s\n\n%s.\n", verb->name,
	       *verb->args ? " " : "", verb->args, verb->summary);
	if (verb->help)
		printf("\n%s", verb->help);
	printf("\nOptions:\n");
	options_print(stdout, verb->options);
}

static int complain_usage(const struct arguments *arguments)
{
	_cleanup_free_ char *escaped = display_escape(arguments->problem);

	if (!escaped)
		return complain_memory();
	complain("%s (see 'iommu-policyctl%s%s --help')", escaped, arguments->verb ? " " : "",
		 arguments->verb ? arguments->verb->name : "");
	return EXIT_CODE_USAGE;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct arguments *arguments = &ctl->arguments;
	int r = arguments_parse(argc, argv, verbs, arguments);

	if (r == -EINVAL)
		return complain_usage(arguments);
	if (r < 0)
		return complain_memory();

	switch (arguments->action) {
	case ACTION_HELP:
		if (arguments->verb)
			print_verb_help(arguments->verb);
		else
			print_help();
		return EXIT_CODE_DONE;
	case ACTION_VERSION:
		printf("iommu-policyctl %s\n", PACKAGE_VERSION);
		return EXIT_CODE_DONE;
	case ACTION_RUN:
		break;
	}
	term_detect(&ctl->term);
	if (arguments->no_legend)
		ctl->term.legend = false;
	if (arguments->verb->pages)
		pager_open(ctl);
	return arguments->verb->run(ctl, arguments->operands, arguments->n_operands);
}

int ctl_main(int argc, char **argv)
{
	struct ctl ctl = { 0 };
	int code;

	setlocale(LC_ALL, "");
	code = run(&ctl, argc, argv);

	/* A full disk behind '>' must not look like success. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_CODE_DONE && ctl.pager <= 0) {
		complain("writing the output: %s", strerror(errno));
		code = EXIT_CODE_FAILED;
	}
	agent_close(&ctl);
	/* ssh has our standard error, too: the pager would wait for its end. */
	sd_bus_flush_close_unref(ctl.bus);
	pager_close(&ctl);
	arguments_clear(&ctl.arguments);
	return code;
}
