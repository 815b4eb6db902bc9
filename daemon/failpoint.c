/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/failpoint.h"

#ifdef ENABLE_FAILPOINTS

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/types.h>

#include "daemon/state-file.h"
#include "daemon/util.h"

/*
 * What to do where: words of the form [PHASE:]NAME[#N][@GROUP]=ACTION in the
 * environment or in a file. NAME may be "*" for any; N is which time, 1 if not
 * given. Read when a process begins.
 */
#define VARIABLE "IOMMU_POLICYD_FAILPOINTS"
#define FILE_NAME RUN_DIR "/failpoints"
/* "GROUP PHASE NAME" a line for each that is met, if the file is there. */
#define TRACE_NAME RUN_DIR "/failpoints.trace"

#define SPECS_MAX 64

struct spec {
	char *phase, *name, *group; /* NULL: any */
	const char *action;
	unsigned number;
	unsigned met;
};

static struct spec specs[SPECS_MAX];
static size_t n_specs;
static const char *current_phase;
static unsigned current_group;

/* Cuts TEXT at the first C, and returns what is behind it. */
static char *cut(char *text, char c)
{
	char *at = strchr(text, c);

	if (at)
		*at++ = '\0';
	return at;
}

static void add_spec(char *word)
{
	struct spec *spec = &specs[n_specs];
	char *number, *rest;

	*spec = (struct spec){ .action = cut(word, '='), .number = 1 };
	if (!spec->action)
		abort(); /* a test that asks for nothing tests nothing */
	spec->group = cut(word, '@');
	number = cut(word, '#');
	if (number)
		spec->number = (unsigned)strtoul(number, NULL, 10);
	rest = cut(word, ':');
	spec->phase = rest ? word : NULL;
	spec->name = rest ? rest : word;
	n_specs++;
}

static void read_specs(void)
{
	static char *text; /* the specs point into it */
	const char *variable = getenv(VARIABLE);
	char *state = NULL;

	n_specs = 0;
	free(text);
	text = NULL;
	if (variable)
		text = strdup(variable);
	else if (read_file_at(AT_FDCWD, FILE_NAME, 1 << 16, &text) < 0)
		text = NULL;
	for (char *word = text ? strtok_r(text, " \n", &state) : NULL; word && n_specs < SPECS_MAX;
	     word = strtok_r(NULL, " \n", &state))
		add_spec(word);
}

void failpoint_begin(const char *phase, unsigned group)
{
	current_phase = phase;
	current_group = group;
	read_specs();
}

void failpoint_phase(const char *phase)
{
	current_phase = phase;
}

static void trace(const char *name)
{
	_cleanup_free_ char *line = strf("%u %s %s\n", current_group, current_phase, name);
	_cleanup_close_ int fd = open(TRACE_NAME, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd >= 0 && line && write(fd, line, strlen(line)) < 0)
		abort();
}

static bool is_meant(const struct spec *spec, const char *name)
{
	if (spec->phase && strcmp(spec->phase, current_phase) != 0)
		return false;
	if (spec->group && strtoul(spec->group, NULL, 10) != current_group)
		return false;
	return strcmp(spec->name, "*") == 0 || strcmp(spec->name, name) == 0;
}

static int error_by_name(const char *name)
{
	static const struct {
		const char *name;
		int error;
	} errors[] = {
		{ "EPERM", EPERM },   { "EBUSY", EBUSY },   { "EINVAL", EINVAL },	{ "EIO", EIO },
		{ "ENODEV", ENODEV }, { "ENOMEM", ENOMEM }, { "ENOSPC", ENOSPC },	{ "EAGAIN", EAGAIN },
		{ "EACCES", EACCES }, { "ENOENT", ENOENT }, { "ECANCELED", ECANCELED },
	};

	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].error;
	abort();
}

static int act(const char *action)
{
	if (strcmp(action, "kill") == 0)
		raise(SIGKILL);
	if (strcmp(action, "kill-daemon") == 0) {
		if (strcmp(current_phase, "daemon") != 0)
			kill(getppid(), SIGKILL);
		raise(SIGKILL);
	}
	if (strcmp(action, "stop") == 0)
		return raise(SIGSTOP);
	if (strncmp(action, "sleep:", 6) == 0) {
		sleep((unsigned)strtoul(action + 6, NULL, 10));
		return 0;
	}
	if (strncmp(action, "error:", 6) == 0)
		return -error_by_name(action + 6);
	abort();
}

int failpoint_hit(const char *name)
{
	int r = 0;

	if (!current_phase)
		failpoint_begin("daemon", 0);
	trace(name);
	for (size_t i = 0; i < n_specs; i++)
		if (is_meant(&specs[i], name) && ++specs[i].met == specs[i].number)
			r = act(specs[i].action);
	return r;
}

/* Made by the linker, since the section has a name that C can say. */
extern const char *const __start_failpoints[], *const __stop_failpoints[];

void failpoint_list(void)
{
	for (const char *const *name = __start_failpoints; name < __stop_failpoints; name++)
		puts(*name);
}

#endif
