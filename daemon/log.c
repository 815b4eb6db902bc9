/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/uio.h>

/* The call sites are all in this file and would say nothing. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "daemon/log.h"
#include "daemon/log-limit.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define FIELDS_MAX 48

static int max_level = LOG_INFO;
static bool console_only;
static struct log_limit limit;
static sd_event_source *report_source;

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
	if (fields->dropped_id)
		add_field(list, "DROPPED_MESSAGE_ID=%s", fields->dropped_id);
	if (fields->n_dropped)
		add_field(list, "N_DROPPED=%" PRIu64, fields->n_dropped);
	/* Last: a group may have more devices than an entry has room. */
	for (char *const *device = fields->devices; device && *device; device++)
		add_field(list, "DEVICE=%s", *device);
}

static void write_entry(int priority, const struct log_fields *fields, const char *message)
{
	struct field_list list = {};

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

/* A kind is a MESSAGE_ID, or else the text that the messages are made from. */
static bool is_message_id(const char *kind)
{
	return strlen(kind) == 32 && strspn(kind, "0123456789abcdef") == 32;
}

static void tell_left_out(bool all)
{
	struct log_limit_report report;

	while (log_limit_report(&limit, now_usec(CLOCK_MONOTONIC), all, &report)) {
		_cleanup_free_ char *last = report.last;
		struct log_fields fields = {
			.message_id = MESSAGE_LEFT_OUT,
			.group = report.group,
			.dropped_id = is_message_id(report.kind) ? report.kind : NULL,
			.n_dropped = report.n_dropped,
		};
		_cleanup_free_ char *message = strf("%" PRIu64 " entries that came too often were left out, the last of "
						    "them: %s",
						    report.n_dropped, last ? last : report.kind);

		write_entry(LOG_WARNING, &fields, strempty(message));
	}
}

/* Until the next of it is due. */
static int rearm(void)
{
	uint64_t next = log_limit_next(&limit);
	int r;

	if (!report_source)
		return 0;
	if (next == UINT64_MAX)
		return sd_event_source_set_enabled(report_source, SD_EVENT_OFF);
	r = sd_event_source_set_time(report_source, next);
	return r < 0 ? r : sd_event_source_set_enabled(report_source, SD_EVENT_ONESHOT);
}

static int on_report(sd_event_source *s, uint64_t usec, void *userdata)
{
	(void)s;
	(void)usec;
	(void)userdata;
	tell_left_out(false);
	return rearm();
}

int log_attach(sd_event *event)
{
	int r = sd_event_add_time(event, &report_source, CLOCK_MONOTONIC, UINT64_MAX, USEC_PER_SEC, on_report, NULL);

	return r < 0 ? r : rearm();
}

void log_detach(void)
{
	report_source = sd_event_source_disable_unref(report_source);
	tell_left_out(true);
}

static bool comes_too_often(int priority, const struct log_fields *fields, const char *format, const char *message)
{
	/* What is written to a terminal, or asked for by LogLevel=debug, is for somebody who looks at it now. */
	if (console_only || max_level >= LOG_DEBUG || LOG_PRI(priority) >= LOG_DEBUG || (fields && fields->error))
		return false;
	if (log_limit_take(&limit, fields && fields->message_id ? fields->message_id : format,
			   fields ? fields->group : -1, message, now_usec(CLOCK_MONOTONIC)))
		return false;
	rearm();
	return true;
}

/* MESSAGE is written (NULL: out of memory) unless it comes too often. */
static void log_text(int priority, const struct log_fields *fields, const char *format, const char *message)
{
	if (message && !comes_too_often(priority, fields, format, message))
		write_entry(priority, fields, message);
}

_printf_(3, 0) static void log_valist(int priority, const struct log_fields *fields, const char *format,
				       va_list ap)
{
	_cleanup_free_ char *message = NULL;

	if (LOG_PRI(priority) > max_level)
		return;
	if (vasprintf(&message, format, ap) < 0)
		message = NULL;
	log_text(priority, fields, format, message);
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

void log_group(int priority, unsigned group, const char *format, ...)
{
	const struct log_fields fields = { .group = group };
	_cleanup_free_ char *text = NULL, *message = NULL;
	va_list ap;

	if (LOG_PRI(priority) > max_level)
		return;
	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		message = strf("Group %u: %s", group, text);
	log_text(priority, &fields, format, message);
}

int log_oom(void)
{
	to_console(LOG_ERR, "out of memory");
	return -ENOMEM;
}
