/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/proc-text.h"
#include "daemon/util.h"

void unescape_octal(char *s)
{
	char *out = s;

	for (; *s; s++)
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
		    s[3] <= '7' && (s[1] != '0' || s[2] != '0' || s[3] != '0')) {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	*out = '\0';
}

bool is_node_path(const char *path)
{
	static const char *const anybodys[] = { "/dev/shm/", "/dev/mqueue/" };

	/* Each name has one spelling, so that what follows can be told by it. */
	if (strncmp(path, "/dev/", strlen("/dev/")) != 0 || strstr(path, "//") || strstr(path, "/./") ||
	    strstr(path, "/../"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(anybodys); i++)
		if (strncmp(path, anybodys[i], strlen(anybodys[i])) == 0)
			return false;
	return true;
}

static bool parse_number(const char *text, unsigned *major, unsigned *minor)
{
	int end = 0;

	/* %u takes a sign and spaces, too. */
	return *text >= '0' && *text <= '9' && sscanf(text, "%u:%u%n", major, minor, &end) == 2 && !text[end];
}

/* 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue */
static bool parse_mount(char *line, struct mount_line *ret)
{
	enum { ID, PARENT, NUMBER, ROOT, POINT, OPTIONS, N_FIXED };
	char *fields[N_FIXED];
	char *field, *type, *source;

	for (int i = 0; i < N_FIXED; i++)
		if (!(fields[i] = strsep(&line, " ")))
			return false;
	/* Any number of optional fields up to a dash. */
	while ((field = strsep(&line, " ")) && strcmp(field, "-") != 0)
		;
	type = strsep(&line, " ");
	source = strsep(&line, " ");
	if (!type || !source || !parse_number(fields[NUMBER], &ret->major, &ret->minor))
		return false;
	unescape_octal(fields[POINT]);
	unescape_octal(source);
	if (fields[POINT][0] != '/')
		return false;
	ret->point = fields[POINT];
	ret->type = type;
	ret->source = source;
	return true;
}

int mountinfo_parse(char *text, struct mount_line **ret, size_t *ret_n)
{
	struct mount_line *lines = NULL;
	size_t n = 0, room = 0;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		if (n == room) {
			struct mount_line *grown = reallocarray(lines, room + 64, sizeof(*lines));

			if (!grown) {
				free(lines);
				return -ENOMEM;
			}
			lines = grown;
			room += 64;
		}
		n += parse_mount(line, &lines[n]);
	}
	*ret = lines;
	*ret_n = n;
	return 0;
}

const char *swaps_next(char **text)
{
	char *line;

	while ((line = strsep(text, "\n"))) {
		char *path = strsep(&line, " \t");

		/* The first line is a heading; a file or device has an absolute path. */
		if (!path || path[0] != '/' || !line)
			continue;
		unescape_octal(path);
		return path;
	}
	return NULL;
}

/* ttyS0                -W- (EC a  )    4:64 */
bool consoles_next(char **text, const char **name, unsigned *major, unsigned *minor)
{
	char *line;

	while ((line = strsep(text, "\n"))) {
		char *number = strrchr(line, ' ');

		if (!number || !parse_number(number + 1, major, minor))
			continue;
		*name = strsep(&line, " ");
		if (**name)
			return true;
	}
	return false;
}

/* 00001234 52:54:00:12:34:56     eth0 */
const char *pppoe_next(char **text)
{
	char *line;

	while ((line = strsep(text, "\n"))) {
		char *name = strrchr(line, ' ');
		size_t id = strspn(line, "0123456789ABCDEF");
		size_t address = line[id] == ' ' ? strspn(line + id + 1, "0123456789abcdef:") : 0;

		/* The first line is a heading. */
		if (id > 0 && address == strlen("00:00:00:00:00:00") && line[id + 1 + address] == ' ' && name[1])
			return name + 1;
	}
	return NULL;
}
