/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/bus-auth.h"
#include "tests/unit/fake-bus.h"

#define DRIVER "org.freedesktop.DBus"

static void note_question(struct fake_bus *fake, sd_bus_message *message)
{
	const char *kind, *key, *name, *action;

	ck_assert(sd_bus_message_has_signature(message, "(sa{sv})sa{ss}us"));
	ck_assert_int_ge(sd_bus_message_read(message, "(sa{sv})s", &kind, 1, &key, "s", &name, &action), 0);
	ck_assert_int_ge(sd_bus_message_skip(message, "a{ss}"), 0);
	ck_assert_int_ge(sd_bus_message_read(message, "u", &fake->flags), 0);
	ck_assert_str_eq(kind, "system-bus-name");
	ck_assert_str_eq(key, "name");
	ck_assert_int_eq(name[0], ':');
	snprintf(fake->action, sizeof(fake->action), "%s", action);
}

static int is_allowed(const struct fake_bus *fake)
{
	return fake->allowed || (fake->allowed_action && strcmp(fake->action, fake->allowed_action) == 0);
}

static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct fake_bus *fake = userdata;

	if (sd_bus_message_is_method_call(message, DRIVER, "GetConnectionUnixUser")) {
		fake->n_users++;
		if (fake->user_silent)
			return 1;
		if (fake->user_error)
			return sd_bus_error_setf(error, fake->user_error, "no such name");
		return sd_bus_reply_method_return(message, "u", fake->uid);
	}
	if (sd_bus_message_is_method_call(message, NULL, "CheckAuthorization")) {
		fake->n_checks++;
		note_question(fake, message);
		if (fake->silent)
			return 1;
		if (fake->polkit_error)
			return sd_bus_error_setf(error, fake->polkit_error, "no polkit");
		return sd_bus_reply_method_return(message, "(bba{ss})", is_allowed(fake),
						  fake->challenge, 0);
	}
	if (sd_bus_message_is_method_call(message, NULL, "CancelCheckAuthorization")) {
		fake->n_cancelled++;
		return sd_bus_reply_method_return(message, NULL);
	}
	return 0;
}

void fake_bus_start(struct fake_bus *fake)
{
	struct manager *m = &fake->m;
	sd_id128_t id;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	ck_assert_int_ge(sd_id128_randomize(&id), 0);
	ck_assert_int_ge(sd_bus_new(&fake->peer), 0);
	ck_assert_int_ge(sd_bus_set_fd(fake->peer, fds[0], fds[0]), 0);
	ck_assert_int_ge(sd_bus_set_server(fake->peer, true, id), 0);
	ck_assert_int_ge(sd_bus_add_filter(fake->peer, NULL, on_message, fake), 0);
	ck_assert_int_ge(sd_bus_start(fake->peer), 0);
	ck_assert_int_ge(sd_bus_new(&m->bus), 0);
	ck_assert_int_ge(sd_bus_set_fd(m->bus, fds[1], fds[1]), 0);
	ck_assert_int_ge(bus_add_objects(m), 0);
	ck_assert_int_ge(sd_bus_start(m->bus), 0);
	fake_bus_run(fake);
	ck_assert_int_gt(sd_bus_is_ready(m->bus), 0);
}

void fake_bus_stop(struct fake_bus *fake)
{
	bus_waiters_free(&fake->m);
	bus_auth_free(&fake->m);
	sd_bus_close_unref(fake->m.bus);
	sd_bus_close_unref(fake->peer);
}

void fake_bus_run(struct fake_bus *fake)
{
	int a, b;

	do {
		a = sd_bus_process(fake->m.bus, NULL);
		b = sd_bus_process(fake->peer, NULL);
		ck_assert_int_ge(a, 0);
		ck_assert_int_ge(b, 0);
	} while (a > 0 || b > 0);
}

static int on_answer(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
	const sd_bus_error *error = sd_bus_message_get_error(message);
	struct fake_answer *answer = userdata;

	(void)ret_error;
	answer->here = true;
	snprintf(answer->error, sizeof(answer->error), "%s", error ? error->name : "");
	snprintf(answer->text, sizeof(answer->text), "%s", error ? strempty(error->message) : "");
	return 0;
}

static void append_empty(sd_bus_message *message, const char *signature, const char *option)
{
	int r = 0;

	for (const char *c = signature; *c && r >= 0; c++) {
		if (*c == 'u') {
			r = sd_bus_message_append(message, "u", 0);
		} else if (*c == 's') {
			r = sd_bus_message_append(message, "s", "");
		} else if (strncmp(c, "a{sv}", 5) == 0) {
			r = option ? sd_bus_message_append(message, "a{sv}", 1, option, "b", true) :
				     sd_bus_message_append(message, "a{sv}", 0);
			c += 4;
		} else {
			ck_abort_msg("no value is known here for %s", c);
		}
	}
	ck_assert_int_ge(r, 0);
}

static sd_bus_message *make_call(struct fake_bus *fake, const char *sender, const char *path, const char *interface,
				 const char *member)
{
	sd_bus_message *message;

	ck_assert_int_ge(sd_bus_message_new_method_call(fake->peer, &message, NULL, path, interface, member), 0);
	if (sender)
		ck_assert_int_ge(sd_bus_message_set_sender(message, sender), 0);
	return message;
}

static void send_call(struct fake_bus *fake, sd_bus_message *message, struct fake_answer *answer)
{
	*answer = (struct fake_answer){};
	ck_assert_int_ge(sd_bus_call_async(fake->peer, NULL, message, on_answer, answer, 0), 0);
	sd_bus_message_unref(message);
	fake_bus_run(fake);
}

void fake_bus_call(struct fake_bus *fake, const char *sender, const char *interface, const char *member,
		   const char *signature, struct fake_answer *answer)
{
	sd_bus_message *message = make_call(fake, sender, BUS_ROOT, interface, member);

	append_empty(message, signature, fake->option);
	send_call(fake, message, answer);
}

void fake_bus_send(struct fake_bus *fake, const char *sender, const char *interface, const char *member,
		   struct fake_answer *answer)
{
	sd_bus_message *message = make_call(fake, sender, BUS_ROOT, interface, member);

	*answer = (struct fake_answer){};
	ck_assert_int_ge(sd_bus_call_async(fake->peer, NULL, message, on_answer, answer, 0), 0);
	sd_bus_message_unref(message);
}

void fake_bus_set(struct fake_bus *fake, const char *sender, const char *path, const char *interface,
		  const char *property, const char *signature, const char *text, struct fake_answer *answer)
{
	sd_bus_message *message = make_call(fake, sender, path, "org.freedesktop.DBus.Properties", "Set");

	ck_assert_int_ge(sd_bus_message_append(message, "ss", interface, property), 0);
	ck_assert_int_ge(sd_bus_message_open_container(message, 'v', signature), 0);
	if (text)
		ck_assert_int_ge(sd_bus_message_append(message, "s", text), 0);
	else
		append_empty(message, signature, NULL);
	ck_assert_int_ge(sd_bus_message_close_container(message), 0);
	send_call(fake, message, answer);
}

void fake_bus_gone(struct fake_bus *fake, const char *sender)
{
	sd_bus_message *message;

	ck_assert_int_ge(sd_bus_message_new_signal(fake->peer, &message, "/org/freedesktop/DBus", DRIVER,
						   "NameOwnerChanged"), 0);
	ck_assert_int_ge(sd_bus_message_set_sender(message, DRIVER), 0);
	ck_assert_int_ge(sd_bus_message_append(message, "sss", sender, sender, ""), 0);
	ck_assert_int_ge(sd_bus_send(fake->peer, message, NULL), 0);
	sd_bus_message_unref(message);
	fake_bus_run(fake);
}
