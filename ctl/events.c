/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/describe.h"
#include "ctl/display.h"
#include "ctl/events-json.h"
#include "ctl/util.h"

void event_print(const struct ctl *ctl, enum style style, const char *format, ...)
{
	time_t now = time(NULL);
	char stamp[32] = "";
	va_list args;
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(stamp, sizeof(stamp), "%F %T", &tm);
	printf("%s %s", stamp, term_on(&ctl->term, style));
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("%s\n", term_off(&ctl->term, style));
	/* Whoever reads a pipe wants the line now. */
	fflush(stdout);
}

char *event_subject(const char *path)
{
	_cleanup_free_ char *name = NULL, *text = NULL;
	int n;

	if (sd_bus_path_decode(path, BUS_GROUPS, &name) > 0)
		n = asprintf(&text, "group %s", name);
	else if (sd_bus_path_decode(path, BUS_DEVICES, &name) > 0)
		n = asprintf(&text, "device %s", name);
	else if (streq(path, BUS_ROOT))
		n = asprintf(&text, "daemon");
	else
		n = asprintf(&text, "%s", path);
	if (n < 0) {
		text = NULL; /* asprintf() leaves it undefined */
		return NULL;
	}
	return display_escape(text);
}

int event_decided(const struct ctl *ctl, sd_bus_message *m)
{
	_cleanup_free_ char *change = NULL, *safe_change = NULL, *safe_state = NULL,
			    *safe_reason = NULL;
	const char *from, *to, *state, *reason;
	struct json_builder b = { 0 };
	uint32_t group;
	int r;

	r = sd_bus_message_read(m, "ussss", &group, &from, &to, &state, &reason);
	if (r < 0)
		return r;
	if (json_wanted(ctl)) {
		json_object *document = event_json_new(&b, "decided");

		json_add_number(&b, document, "group", group);
		json_add_text(&b, document, "from", *from ? from : NULL);
		json_add_text(&b, document, "to", *to ? to : NULL);
		json_add_text(&b, document, "state", state);
		json_add_text(&b, document, "reason", *reason ? reason : NULL);
		return event_json_print(ctl, &b, document);
	}
	change = describe_change(&ctl->term, from, to);
	safe_change = change ? display_escape(change) : NULL;
	safe_state = display_escape(state);
	safe_reason = display_escape(reason);
	if (!safe_change || !safe_state || !safe_reason)
		return -ENOMEM;

	event_print(ctl, outcome_style(state), "group %u: %s, %s%s%s", group, safe_change,
		    safe_state, *reason ? ": " : "", safe_reason);
	return 0;
}

int event_policy_reloaded(const struct ctl *ctl, sd_bus_message *m)
{
	struct json_builder b = { 0 };
	uint64_t generation;
	int ok, r;

	r = sd_bus_message_read(m, "tb", &generation, &ok);
	if (r < 0)
		return r;
	if (json_wanted(ctl)) {
		json_object *document = event_json_new(&b, "policy-reloaded");

		json_add_number(&b, document, "policy_generation", generation);
		json_add_bool(&b, document, "ok", ok);
		return event_json_print(ctl, &b, document);
	}
	if (ok)
		event_print(ctl, STYLE_GOOD, "policy: read, %" PRIu64 " is in force", generation);
	else
		event_print(ctl, STYLE_BAD,
			    "policy: has errors, %" PRIu64
			    " stays in force (see: iommu-policyctl check)",
			    generation);
	return 0;
}

/* A value of a basic type as " Name=value", of any other as " Name" alone. M is at the variant. */
static int put_value(FILE *f, sd_bus_message *m, const char *name)
{
	_cleanup_free_ char *safe_name = display_escape(name), *safe = NULL;
	union {
		const char *s;
		uint16_t q;
		uint32_t u;
		uint64_t t;
		int b;
	} value;
	const char *contents;
	char type;
	int r;

	r = sd_bus_message_peek_type(m, &type, &contents);
	if (r < 0)
		return r;
	if (!safe_name || type != 'v')
		return safe_name ? -EBADMSG : -ENOMEM;
	if (strlen(contents) != 1 || !strchr("soqutb", *contents)) {
		fprintf(f, " %s", safe_name);
		return sd_bus_message_skip(m, "v");
	}

	r = sd_bus_message_read(m, "v", contents, &value);
	if (r < 0)
		return r;
	switch (*contents) {
	case 's':
	case 'o':
		safe = display_escape(value.s);
		fprintf(f, " %s=%s", safe_name, str_or(safe, "-"));
		break;
	case 'q':
		fprintf(f, " %s=%u", safe_name, value.q);
		break;
	case 'u':
		fprintf(f, " %s=%" PRIu32, safe_name, value.u);
		break;
	case 't':
		fprintf(f, " %s=%" PRIu64, safe_name, value.t);
		break;
	default:
		fprintf(f, " %s=%s", safe_name, value.b ? "yes" : "no");
	}
	return 0;
}

/* Counts what it has put; a clock and a sentence that Decided carries too are no news here. */
static int put_values(FILE *f, sd_bus_message *m, unsigned *n)
{
	const char *name;
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read_basic(m, 's', &name);
		if (r < 0)
			return r;
		if (streq(name, "ChangedUSec") || streq(name, "Reason")) {
			r = sd_bus_message_skip(m, "v");
		} else {
			r = put_value(f, m, name);
			(*n)++;
		}
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* "sa{sv}as": what changed, and what changed without its new value. */
static int put_changes(FILE *f, sd_bus_message *m, unsigned *n)
{
	const char *name;
	int r = put_values(f, m, n);

	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "s");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_read_basic(m, 's', &name)) > 0) {
		_cleanup_free_ char *safe = display_escape(name);

		fprintf(f, " %s", str_or(safe, "?"));
		(*n)++;
	}
	return r;
}

static int document_changes(const struct ctl *ctl, sd_bus_message *m)
{
	struct json_builder b = { 0 };
	json_object *document = event_json_new(&b, "changed");
	int r;

	event_json_add_subject(&b, document, sd_bus_message_get_path(m));
	r = event_json_add_changes(&b, document, m);
	if (r < 0) {
		json_object_put(document);
		return r;
	}
	return event_json_print(ctl, &b, document);
}

int event_properties_changed(const struct ctl *ctl, sd_bus_message *m)
{
	_cleanup_free_ char *subject = event_subject(sd_bus_message_get_path(m)), *text = NULL;
	const char *interface;
	unsigned n = 0;
	size_t size;
	FILE *f;
	int r;

	r = sd_bus_message_read(m, "s", &interface);
	if (r < 0)
		return r;
	if (json_wanted(ctl))
		return document_changes(ctl, m);
	f = subject ? open_memstream(&text, &size) : NULL;
	if (!f)
		return -ENOMEM;
	r = put_changes(f, m, &n);
	if (fclose(f) != 0)
		return -ENOMEM;
	if (r >= 0 && n > 0)
		event_print(ctl, STYLE_PLAIN, "%s: now%s", subject, text);
	return r;
}

/* EVENT is what documents call it, WHAT a line. */
static int print_object(const struct ctl *ctl, sd_bus_message *m, const char *event,
			const char *what)
{
	_cleanup_free_ char *subject = NULL;
	struct json_builder b = { 0 };
	const char *path;
	int r = sd_bus_message_read(m, "o", &path);

	if (r < 0)
		return r;
	if (json_wanted(ctl)) {
		json_object *document = event_json_new(&b, event);

		event_json_add_subject(&b, document, path);
		return event_json_print(ctl, &b, document);
	}
	subject = event_subject(path);
	if (!subject)
		return -ENOMEM;
	event_print(ctl, STYLE_BOLD, "%s: %s", subject, what);
	return 0;
}

int event_daemon(const struct ctl *ctl, enum style style, const char *state, const char *words)
{
	struct json_builder b = { 0 };
	json_object *document;

	if (!json_wanted(ctl)) {
		event_print(ctl, style, "daemon: %s", words);
		return 0;
	}
	document = event_json_new(&b, "daemon");
	json_add_text(&b, document, "state", state);
	return event_json_print(ctl, &b, document);
}

int event_interfaces_added(const struct ctl *ctl, sd_bus_message *m)
{
	return print_object(ctl, m, "added", "appeared");
}

int event_interfaces_removed(const struct ctl *ctl, sd_bus_message *m)
{
	return print_object(ctl, m, "removed", "went away");
}
