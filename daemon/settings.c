/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include <ini.h>

#include "daemon/log.h"
#include "daemon/settings.h"
#include "daemon/util.h"

#define SETTINGS_NAME "iommu-policyd.conf"
#define SETTINGS_MAX 65536
#define MAX_WORKERS_LIMIT 256
#define TIMEOUT_SEC_LIMIT 3600

const struct settings settings_default = {
	.mode = MODE_ENFORCE,
	.max_workers = 8,
	.transaction_timeout_usec = 30 * USEC_PER_SEC,
	.gate = true,
	.gate_timeout_usec = 10 * USEC_PER_SEC,
	.gate_on_timeout = GATE_OPEN,
	.log_level = LOG_INFO,
};

static bool parse_number(const char *value, unsigned long min, unsigned long max, unsigned long *ret)
{
	char *end;

	if (*value < '0' || *value > '9')
		return false;
	errno = 0;
	*ret = strtoul(value, &end, 10);
	return !errno && !*end && *ret >= min && *ret <= max;
}

/* The words that systemd takes too. */
static bool parse_bool(const char *value, bool *ret)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(value, words[i]) == 0) {
			*ret = i % 2;
			return true;
		}
	return false;
}

/* What was expected, where VALUE is not that; NULL where it is. */
static const char *take(struct settings *settings, const char *key, const char *value)
{
	unsigned long number;

	if (strcmp(key, "Mode") == 0) {
		if (strcasecmp(value, "enforce") != 0 && strcasecmp(value, "audit") != 0)
			return "enforce or audit";
		settings->mode = strcasecmp(value, "audit") == 0 ? MODE_AUDIT : MODE_ENFORCE;
	} else if (strcmp(key, "MaxWorkers") == 0) {
		if (!parse_number(value, 1, MAX_WORKERS_LIMIT, &number))
			return "a number from 1 to 256";
		settings->max_workers = (unsigned)number;
	} else if (strcmp(key, "TransactionTimeoutSec") == 0) {
		if (!parse_number(value, 1, TIMEOUT_SEC_LIMIT, &number))
			return "seconds, 1 to 3600";
		settings->transaction_timeout_usec = number * USEC_PER_SEC;
	} else if (strcmp(key, "Gate") == 0) {
		if (!parse_bool(value, &settings->gate))
			return "yes or no";
	} else if (strcmp(key, "GateTimeoutSec") == 0) {
		if (!parse_number(value, 1, TIMEOUT_SEC_LIMIT, &number))
			return "seconds, 1 to 3600";
		settings->gate_timeout_usec = number * USEC_PER_SEC;
	} else if (strcmp(key, "GateOnTimeout") == 0) {
		if (strcasecmp(value, "open") != 0 && strcasecmp(value, "hold") != 0)
			return "open or hold";
		settings->gate_on_timeout = strcasecmp(value, "hold") == 0 ? GATE_HOLD : GATE_OPEN;
	} else if (strcmp(key, "LogLevel") == 0) {
		int level = log_level_from_string(value);

		if (level < 0)
			return "emerg, alert, crit, err, warning, notice, info or debug";
		settings->log_level = level;
	} else {
		return "Mode, MaxWorkers, TransactionTimeoutSec, Gate, GateTimeoutSec, GateOnTimeout or LogLevel";
	}
	return NULL;
}

struct reader {
	struct settings *settings;
	const char *path;
	const char *rest; /* of the text, what has not been read */
	unsigned line;
};

/* inih passes no line numbers, so the lines are counted where they are handed out. */
static char *next_line(char *buffer, int size, void *userdata)
{
	struct reader *reader = userdata;
	size_t length;

	for (;;) {
		if (!*reader->rest)
			return NULL;
		length = strcspn(reader->rest, "\n");
		reader->line++;
		if (length + 2 <= (size_t)size)
			break;
		log_warning("%s:%u: the line is too long and is left aside", reader->path, reader->line);
		reader->rest += length + (reader->rest[length] ? 1 : 0);
	}
	memcpy(buffer, reader->rest, length);
	buffer[length] = '\0';
	reader->rest += length + (reader->rest[length] ? 1 : 0);
	return buffer;
}

static int on_key(void *userdata, const char *section, const char *key, const char *value)
{
	struct reader *reader = userdata;
	const char *expected;

	if (strcmp(section, "Daemon") != 0) {
		log_warning("%s:%u: [%s] %s: left aside (expected in section [Daemon])", reader->path, reader->line,
			    section, key);
		return 1;
	}
	expected = take(reader->settings, key, value);
	if (expected)
		log_warning("%s:%u: [Daemon] %s: %s is left aside (expected %s)", reader->path, reader->line, key, value,
			    expected);
	return 1;
}

static void read_settings(const char *path, struct settings *settings)
{
	_cleanup_free_ char *text = NULL;
	struct reader reader = { .settings = settings, .path = path };
	int r;

	r = read_file_at(AT_FDCWD, path, SETTINGS_MAX, &text);
	if (r == -ENOENT)
		return;
	if (r < 0) {
		log_warning("%s: cannot be read and is left aside: %s", path, strerror(-r));
		return;
	}
	reader.rest = text;
	r = ini_parse_stream(next_line, &reader, on_key, &reader);
	if (r != 0)
		log_warning("%s:%d: a line is no section and no KEY=VALUE, and is left aside", path, r);
}

static int is_drop_in(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

/* As systemd's: one order of names over all folders, a name in an earlier folder hides it in the later ones. */
static void read_drop_ins(struct settings *settings)
{
	static const char *const dirs[] = { "/etc/iommu-policyd/" SETTINGS_NAME ".d",
					    "/run/iommu-policyd/" SETTINGS_NAME ".d",
					    "/usr/lib/iommu-policyd/" SETTINGS_NAME ".d" };
	_cleanup_strv_ char **names = NULL;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		struct dirent **entries = NULL;
		int n = scandir(dirs[i], &entries, is_drop_in, NULL);

		for (int j = 0; j < n; j++) {
			if (!strv_contains(names, entries[j]->d_name))
				strv_add(&names, entries[j]->d_name);
			free(entries[j]);
		}
		free(entries);
	}
	strv_sort(names);
	for (char **name = names; name && *name; name++)
		for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
			_cleanup_free_ char *path = strf("%s/%s", dirs[i], *name);

			if (path && access(path, F_OK) == 0) {
				read_settings(path, settings);
				break;
			}
		}
}

void settings_load(const char *path, struct settings *ret)
{
	*ret = settings_default;
	read_settings(path ? path : "/etc/iommu-policyd/" SETTINGS_NAME, ret);
	if (!path)
		read_drop_ins(ret);
}
