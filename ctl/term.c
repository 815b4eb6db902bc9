/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/term.h"

#include <langinfo.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl/display.h"
#include "ctl/util.h"

bool term_word_is_no(const char *word)
{
	static const char *const no[] = { "0", "no", "n", "false", "f", "off" };

	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (strcasecmp(word, no[i]) == 0)
			return true;
	return false;
}

bool term_wants_colour(const char *systemd_colors, const char *no_color, const char *term, bool tty)
{
	bool able = tty && term && *term && !streq(term, "dumb");

	if (systemd_colors && *systemd_colors) {
		if (term_word_is_no(systemd_colors))
			return false;
		return strncasecmp(systemd_colors, "auto-", 5) == 0 ? able : true;
	}
	if (no_color && *no_color)
		return false;
	return able;
}

size_t term_parse_columns(const char *columns)
{
	unsigned long value;
	char *end;

	if (!columns || *columns < '0' || *columns > '9')
		return 0;
	value = strtoul(columns, &end, 10);
	return *end == '\0' && value <= 65535 ? value : 0;
}

void term_detect(struct term *ret)
{
	bool tty = isatty(STDOUT_FILENO) == 1;
	struct winsize size = { 0 };

	*ret = (struct term){
		.width = term_parse_columns(getenv("COLUMNS")),
		.colour = term_wants_colour(getenv("SYSTEMD_COLORS"), getenv("NO_COLOR"),
					    getenv("TERM"), tty),
		.utf8 = strcasecmp(nl_langinfo(CODESET), "UTF-8") == 0,
		.legend = true,
	};
	if (ret->width > 0)
		return;
	if (!tty)
		ret->width = DISPLAY_UNLIMITED; /* a pipe gets all of it */
	else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) >= 0 && size.ws_col > 0)
		ret->width = size.ws_col;
	else
		ret->width = 80; /* a serial console tells nothing */
}

const char *term_on(const struct term *term, enum style style)
{
	static const char *const sequences[] = {
		[STYLE_PLAIN] = "",	   [STYLE_BOLD] = "\033[1m",  [STYLE_DIM] = "\033[2m",
		[STYLE_GOOD] = "\033[32m", [STYLE_WAIT] = "\033[33m", [STYLE_BAD] = "\033[1;31m",
	};

	return term->colour ? sequences[style] : "";
}

const char *term_off(const struct term *term, enum style style)
{
	return term->colour && style != STYLE_PLAIN ? "\033[0m" : "";
}

const char *term_branch(const struct term *term, bool last)
{
	if (term->utf8)
		return last ? "\u2514\u2500" : "\u251c\u2500";
	return last ? "`-" : "|-";
}

const char *term_ellipsis(const struct term *term)
{
	return term->utf8 ? "\u2026" : "...";
}

const char *term_arrow(const struct term *term)
{
	return term->utf8 ? "\u2192" : "->";
}
