/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <ini.h>

#include "daemon/log.h"
#include "daemon/settings.h"
#include "daemon/util.h"
#include "policy/text.h"
#include "policy/trusted.h"

#define SETTINGS_NAME "iommu-policyd.conf"
#define SETTINGS_MAX 65536
#define DROP_INS_MAX 256
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
		/* Whoever writes anything else than "enforce" may have meant that nothing shall be changed. */
		settings->mode = strcasecmp(value, "enforce") == 0 ? MODE_ENFORCE : MODE_AUDIT;
		if (settings->mode == MODE_AUDIT && strcasecmp(value, "audit") != 0)
			return "enforce or audit, and is taken as audit";
	} else if (strcmp(key, "MaxWorkers") == 0) {
		if (!parse_number(value, 1, MAX_WORKERS_LIMIT, &number))
			return "a number from 1 to 256";
		settings->max_workers = (unsigned)number;
	} else if (strcmp(key, "TransactionTimeoutSec") == 0) {
		if (!parse_number(value, 1, TIMEOUT_SEC_LIMIT, &number))
			return "seconds, 1 to 3600";
		settings->transaction_timeout_usec = number * USEC_PER_SEC;
	} else if (strcmp(key, "Gate") == 0) {
		bool autoprobe = strcasecmp(value, "autoprobe") == 0;

		if (!autoprobe && !parse_bool(value, &settings->gate))
			return "yes, no or autoprobe";
		settings->gate = settings->gate || autoprobe;
		settings->gate_autoprobe = autoprobe;
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
	const char *line;
	size_t length;

	if (!*reader->rest)
		return NULL;
	line = reader->rest;
	length = strcspn(line, "\n");
	reader->rest += length + (line[length] ? 1 : 0);
	reader->line++;
	if (length > 0 && line[length - 1] == '\r')
		length--;
	/* What is wrong with a line is told with its words in it; an empty line in its place keeps inih's count right. */
	if (length + 2 > (size_t)size) {
		log_warning("%s:%u: the line is too long and is left aside", reader->path, reader->line);
		length = 0;
	} else if (text_check(line, length, NULL) != TEXT_CLEAN) {
		log_warning("%s:%u: the line is no printable UTF-8 and is left aside", reader->path, reader->line);
		length = 0;
	}
	memcpy(buffer, line, length);
	buffer[length] = '\0';
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
		log_warning("%s:%u: [Daemon] %s: %s is not understood (expected %s)", reader->path, reader->line, key,
			    value, expected);
	return 1;
}

void settings_parse(const char *text, const char *path, struct settings *settings)
{
	struct reader reader = { .settings = settings, .path = path, .rest = text };
	int r = ini_parse_stream(next_line, &reader, on_key, &reader);

	if (r != 0)
		log_warning("%s:%d: a line is no section and no KEY=VALUE, and is left aside", path, r);
}

/* Returns whether the file has been read, or is not there to be read. */
static bool read_settings(const char *path, struct settings *settings)
{
	char fault[TRUSTED_FAULT_SIZE];
	_cleanup_close_ int fd = trusted_open(path, SETTINGS_MAX, fault);
	_cleanup_free_ char *text = NULL;
	int r;

	if (fd == -ENOENT || fd == -ENODATA)
		return true;
	if (fd < 0) {
		log_error("%s: not read: %s", path, fault);
		return false;
	}
	r = read_fd(fd, SETTINGS_MAX, &text);
	if (r < 0) {
		log_error("%s: not read: %s", path, r == -EBADMSG ? "it holds a NUL byte" : strerror(-r));
		return false;
	}
	settings_parse(text, path, settings);
	return true;
}

static bool is_drop_in(const char *name)
{
	size_t length = strlen(name);

	return name[0] != '.' && length > 5 && strcmp(name + length - 5, ".conf") == 0;
}

/* 1: it is there, 0: it is not, or an error that has been logged. */
static int list_drop_ins(const char *path, char ***names)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	const char *distrusted;
	struct dirent *entry;
	struct stat st;
	int r;

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir || fstat(dirfd(dir), &st) < 0) {
		log_error("%s: not read: %s", path, strerror(errno));
		return -EIO;
	}
	distrusted = trusted_distrust(&st);
	if (distrusted) {
		log_error("%s: not read: the folder %s", path, distrusted);
		return -EPERM;
	}
	while ((entry = readdir(dir)))
		if (is_drop_in(entry->d_name) && !strv_contains(*names, entry->d_name)) {
			r = strv_len(*names) < DROP_INS_MAX ? strv_add(names, entry->d_name) : -E2BIG;
			if (r < 0) {
				log_error("%s: not read: %s (expected at most %d files)", path, strerror(-r),
					  DROP_INS_MAX);
				return r;
			}
		}
	return 1;
}

/* As systemd's: one order of names over all folders, a name in an earlier folder hides it in the later ones. */
static bool read_drop_ins(struct settings *settings)
{
	static const char *const dirs[] = { "/etc/iommu-policyd/" SETTINGS_NAME ".d",
					    "/run/iommu-policyd/" SETTINGS_NAME ".d",
					    "/usr/local/lib/iommu-policyd/" SETTINGS_NAME ".d",
					    "/usr/lib/iommu-policyd/" SETTINGS_NAME ".d" };
	_cleanup_strv_ char **names = NULL;
	bool usable[ARRAY_LEN(dirs)] = {};
	bool whole = true;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		int r = list_drop_ins(dirs[i], &names);

		usable[i] = r > 0;
		whole = whole && r >= 0;
	}
	strv_sort(names);
	for (char **name = names; name && *name; name++)
		for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
			_cleanup_free_ char *path = usable[i] ? strf("%s/%s", dirs[i], *name) : NULL;
			struct stat st;

			/* A link counts where it is, not where it leads to. */
			if (path && lstat(path, &st) == 0) {
				whole = read_settings(path, settings) && whole;
				break;
			}
		}
	return whole;
}

void settings_load(const char *path, bool again, struct settings *settings)
{
	struct settings found = settings_default;
	bool whole = read_settings(path ? path : "/etc/iommu-policyd/" SETTINGS_NAME, &found);

	if (!path)
		whole = read_drop_ins(&found) && whole;
	if (!whole && again) {
		log_error("The settings could not be read as a whole: those from before stay in force");
		return;
	}
	if (!whole) {
		found.mode = MODE_AUDIT;
		log_error("The settings could not be read as a whole: nothing is changed (Mode=audit) until they are "
			  "mended and read again");
	}
	*settings = found;
}
