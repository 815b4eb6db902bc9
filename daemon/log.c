/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/uio.h>

/* The call sites are all in this file and would say nothing. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "daemon/log.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define FIELDS_MAX 48

static int max_level = LOG_INFO;
static bool console_only;

static const char *const level_names[] = {
	[LOG_EMERG] = "emerg",	   [LOG_ALERT] = "alert",   [LOG_CRIT] = "crit", [LOG_ERR] = "err",
	[LOG_WARNING] = "warning", [LOG_NOTICE] = "notice", [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

void log_set_max_level(int priority)
{
	max_level = priority;
}

int log_get_max_level(void)
{
	return max_level;
}

void log_set_console(bool console)
{
	console_only = console;
}

int log_level_from_string(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
		if (strcmp(word, level_names[i]) == 0 || (word[0] == (char)('0' + i) && !word[1]))
			return (int)i;
	return -EINVAL;
}

const char *log_level_to_string(int priority)
{
	return level_names[LOG_PRI(priority)];
}

static void to_console(int priority, const char *message)
{
	fprintf(stderr, "<%d>iommu-policyd: %s\n", LOG_PRI(priority), message);
}

struct field_list {
	struct iovec items[FIELDS_MAX];
	char *texts[FIELDS_MAX];
	int n;
};

/* A field that cannot be had (no memory, too many) is left out: the entry matters more. */
static void add_field(struct field_list *list, const char *format, ...) _printf_(2, 3);
static void add_field(struct field_list *list, const char *format, ...)
{
	char *text;
	va_list ap;

	if (list->n == FIELDS_MAX)
		return;
	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text)
		return;
	list->texts[list->n] = text;
	list->items[list->n++] = (struct iovec){ .iov_base = text, .iov_len = strlen(text) };
}

static void add_fields(struct field_list *list, const struct log_fields *fields)
{
	if (fields->message_id)
		add_field(list, "MESSAGE_ID=%s", fields->message_id);
	if (fields->group >= 0)
		add_field(list, "IOMMU_GROUP=%ld", fields->group);
	if (fields->from != DOMAIN_NONE)
		add_field(list, "TYPE_FROM=%s", domain_to_string(fields->from));
	if (fields->to != DOMAIN_NONE)
		add_field(list, "TYPE_TO=%s", domain_to_string(fields->to));
	if (fields->state)
		add_field(list, "STATE=%s", fields->state);
	if (fields->reason)
		add_field(list, "REASON=%s", fields->reason);
	if (fields->rule) {
		add_field(list, "CONFIG_FILE=%s", fields->rule->path);
		add_field(list, "CONFIG_LINE=%u", fields->rule->line);
	}
	if (fields->error) {
		add_field(list, "CONFIG_FILE=%s", fields->error->path);
		if (fields->error->line)
			add_field(list, "CONFIG_LINE=%u", fields->error->line);
	}
	if (fields->error_number)
		add_field(list, "ERRNO=%d", fields->error_number);
	if (fields->duration_usec)
		add_field(list, "DURATION_USEC=%llu", (unsigned long long)fields->duration_usec);
	/* Last: a group may have more devices than an entry has room. */
	for (char *const *device = fields->devices; device && *device; device++)
		add_field(list, "DEVICE=%s", *device);
}

_printf_(3, 0) static void log_valist(int priority, const struct log_fields *fields, const char *format,
				       va_list ap)
{
	_cleanup_free_ char *message = NULL;
	struct field_list list = {};

	if (LOG_PRI(priority) > max_level)
		return;
	if (vasprintf(&message, format, ap) < 0) {
		message = NULL;
		return;
	}
	/* sd_journal_sendv() drops the entry silently where nobody listens. */
	if (console_only || access(JOURNAL_SOCKET, W_OK) < 0) {
		to_console(priority, message);
		return;
	}
	add_field(&list, "MESSAGE=%s", message);
	add_field(&list, "PRIORITY=%d", LOG_PRI(priority));
	add_field(&list, "SYSLOG_IDENTIFIER=iommu-policyd");
	if (fields)
		add_fields(&list, fields);
	if (sd_journal_sendv(list.items, list.n) < 0)
		to_console(priority, message);
	for (int i = 0; i < list.n; i++)
		free(list.texts[i]);
}

void log_struct(int priority, const struct log_fields *fields, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_valist(priority, fields, format, ap);
	va_end(ap);
}

void log_plain(int priority, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_valist(priority, NULL, format, ap);
	va_end(ap);
}

int log_oom(void)
{
	to_console(LOG_ERR, "out of memory");
	return -ENOMEM;
}
