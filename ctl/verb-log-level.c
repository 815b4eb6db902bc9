/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "ctl/agent.h"
#include "ctl/bus.h"
#include "ctl/display.h"
#include "ctl/json.h"
#include "ctl/util.h"

#define LOG_PATH "/org/freedesktop/LogControl1"
#define LOG_INTERFACE "org.freedesktop.LogControl1"

static int print_level(const struct ctl *ctl, const char *level)
{
	_cleanup_free_ char *escaped = NULL;

	if (json_wanted(ctl)) {
		json_object *document = json_object_new_object();
		struct json_builder b = { 0 };

		json_add_text(&b, document, "log_level", level);
		return json_print(ctl, &b, document);
	}
	escaped = display_escape(level);
	if (!escaped)
		return complain_memory();
	puts(escaped);
	return EXIT_CODE_DONE;
}

static int get_level(struct ctl *ctl)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *level = NULL;
	int r = sd_bus_get_property_string(ctl->bus, BUS_NAME, LOG_PATH, LOG_INTERFACE, "LogLevel",
					   &error, &level);

	return r < 0 ? bus_complain(ctl, "asking for the log level", &error, r)
		     : print_level(ctl, level);
}

static int set_level(struct ctl *ctl, const char *level)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	agent_open(ctl);
	r = sd_bus_set_property(ctl->bus, BUS_NAME, LOG_PATH, LOG_INTERFACE, "LogLevel", &error,
				"s", level);
	if (r < 0)
		return bus_complain(ctl, "setting the log level", &error, r);
	return json_wanted(ctl) ? print_level(ctl, level) : EXIT_CODE_DONE;
}

/* A word that the daemon would not take is a usage error, found without asking it. */
static int check_level(const char *word)
{
	static const char *const levels[] = { "emerg",	 "alert",  "crit", "err",
					      "warning", "notice", "info", "debug" };
	_cleanup_free_ char *escaped = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (streq(word, levels[i]))
			return 0;
	escaped = display_escape(word);
	complain(
		"'%s' is not a log level (expected emerg, alert, crit, err, warning, notice, info or debug)",
		str_or(escaped, "?"));
	return EXIT_CODE_USAGE;
}

int verb_log_level(struct ctl *ctl, char **args, int n_args)
{
	int r = n_args > 0 ? check_level(args[0]) : 0;

	if (r == 0)
		r = bus_connect(ctl);
	if (r != 0)
		return r;
	return n_args > 0 ? set_level(ctl, args[0]) : get_level(ctl);
}
