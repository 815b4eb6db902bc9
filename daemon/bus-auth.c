/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <search.h>
#include <string.h>

#include "config.h"
#include "daemon/bus-auth.h"
#include "daemon/bus-digest.h"
#include "daemon/log.h"

#define BUS_SERVICE "org.freedesktop.DBus"
#define POLKIT "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_AUTHORITY POLKIT ".Authority"
#define ALLOW_USER_INTERACTION 1U /* of CheckAuthorization()'s flags */
#define ANSWER_USEC (25 * USEC_PER_SEC)
/* A person finds and types a password meanwhile. */
#define PERSON_USEC (120 * USEC_PER_SEC)

/* A call that waits for the bus to say whose it is, or for polkit. */
struct asked {
	struct manager *manager;
	sd_bus_message *message;
	const char *action;
	sd_bus_message_handler_t handler;
	sd_bus_slot *slot; /* of the question that is open */
	uint32_t uid;
	bool interactive;
	char question[32]; /* polkit's name for it */
	struct caller *caller;
	struct asked *next, **link; /* in m->asked, or in m->asked_polkit from the question to polkit on */
};

/* How many calls of one connection wait; in a tree, since so many may. */
struct caller {
	size_t n;
	char name[];
};

static int compare_callers(const void *a, const void *b)
{
	return strcmp(((const struct caller *)a)->name, ((const struct caller *)b)->name);
}

/* Counts one more call of NAME's. NULL: out of memory. */
static struct caller *caller_take(struct manager *m, const char *name)
{
	struct caller *caller = malloc(sizeof(*caller) + strlen(name) + 1), **found;

	if (!caller)
		return NULL;
	caller->n = 0;
	memcpy(caller->name, name, strlen(name) + 1);
	found = tsearch(caller, &m->callers, compare_callers);
	if (!found || *found != caller)
		free(caller);
	if (!found)
		return NULL;
	(*found)->n++;
	return *found;
}

static void caller_release(struct manager *m, struct caller *caller)
{
	if (--caller->n)
		return;
	tdelete(caller, &m->callers, compare_callers);
	free(caller);
}

static void unlink_asked(struct asked *asked)
{
	*asked->link = asked->next;
	if (asked->next)
		asked->next->link = asked->link;
}

static void link_asked(struct asked *asked, struct asked **list)
{
	asked->next = *list;
	asked->link = list;
	if (asked->next)
		asked->next->link = &asked->next;
	*list = asked;
}

static void asked_free(struct asked *asked)
{
	struct manager *m = asked->manager;

	unlink_asked(asked);
	m->n_asked--;
	caller_release(m, asked->caller);
	if (!m->asked_polkit)
		m->gone_slot = sd_bus_slot_unref(m->gone_slot);
	sd_bus_slot_unref(asked->slot);
	sd_bus_message_unref(asked->message);
	free(asked);
}

void bus_auth_free(struct manager *m)
{
	while (m->asked)
		asked_free(m->asked);
	while (m->asked_polkit)
		asked_free(m->asked_polkit);
}

static _printf_(2, 3) void refuse(struct asked *asked, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int r;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	r = sd_bus_reply_method_errorf(asked->message, BUS_NAME ".Error.NotAuthorized", "%s", strempty(text));
	if (r < 0)
		log_debug("Cannot refuse %s: %s", sd_bus_message_get_member(asked->message), strerror(-r));
	asked_free(asked);
}

/* What sd-bus does with a handler's answer when it calls that itself. */
static void go_on(struct asked *asked)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = sd_bus_message_ref(asked->message);
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message_handler_t handler = asked->handler;
	struct manager *m = asked->manager;
	int r;

	asked_free(asked);
	r = sd_bus_message_rewind(message, true);
	if (r >= 0)
		r = handler(message, m, &error);
	if (r < 0 || sd_bus_error_is_set(&error))
		sd_bus_reply_method_errno(message, r, &error);
}

#if ENABLE_POLKIT
/* The password is not wanted any more: polkit takes its dialogue away. */
static void cancel_question(const struct asked *asked)
{
	sd_bus_call_method_async(asked->manager->bus, NULL, POLKIT, POLKIT_PATH, POLKIT_AUTHORITY,
				 "CancelCheckAuthorization", NULL, NULL, "s", asked->question);
}

static int on_gone(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	const char *name, *before, *now;
	struct asked *next;

	(void)error;
	if (sd_bus_message_read(message, "sss", &name, &before, &now) < 0 || *now)
		return 0;
	for (struct asked *asked = m->asked_polkit; asked; asked = next) {
		next = asked->next;
		if (strcmp(sd_bus_message_get_sender(asked->message), name) != 0)
			continue;
		cancel_question(asked);
		asked_free(asked);
	}
	return 0;
}

/* Without it, an answer comes for nobody: that is no reason to leave the bus, as sd-bus would. */
static int on_match(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const sd_bus_error *failure = sd_bus_message_get_error(message);

	(void)userdata;
	(void)error;
	if (failure)
		log_debug("Cannot be told of callers that go: %s", failure->message);
	return 0;
}

static bool is_absent(const sd_bus_error *error)
{
	return sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
				      "org.freedesktop.systemd1.UnitMasked", "org.freedesktop.systemd1.NoSuchUnit",
				      "org.freedesktop.systemd1.LoadFailed") ||
	       (error->name && strncmp(error->name, "org.freedesktop.DBus.Error.Spawn.", 32) == 0);
}

static int on_verdict(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
	struct asked *asked = userdata;
	const sd_bus_error *error = sd_bus_message_get_error(message);
	const char *member = sd_bus_message_get_member(asked->message);
	int allowed, challenge;

	(void)ret_error;
	if (error && is_absent(error)) {
		refuse(asked, "only root may call %s here, since polkit is not running (%s)", member, error->message);
	} else if (error) {
		if (sd_bus_error_has_names(error, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT))
			cancel_question(asked);
		refuse(asked, "only root may call %s while polkit has no answer (%s: %s)", member, error->name,
		       strempty(error->message));
	} else if (sd_bus_message_enter_container(message, 'r', "bba{ss}") < 0 ||
		   sd_bus_message_read(message, "bb", &allowed, &challenge) < 0) {
		refuse(asked, "only root may call %s, since polkit's answer cannot be read", member);
	} else if (allowed) {
		go_on(asked);
	} else if (challenge && asked->interactive) {
		refuse(asked,
		       "%s needs a password (polkit action %s), and no polkit agent is there to ask for it; call it "
		       "as root, or see pkttyagent(1)",
		       member, asked->action);
	} else if (challenge) {
		refuse(asked,
		       "%s needs a password (polkit action %s), and the call does not allow to ask for it; call it as "
		       "root, or with interactive authorization",
		       member, asked->action);
	} else {
		refuse(asked, "polkit does not allow user %u to call %s (action %s); call it as root", asked->uid,
		       member, asked->action);
	}
	return 0;
}

static int send_question(struct asked *asked)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
	struct manager *m = asked->manager;
	int r;

	snprintf(asked->question, sizeof(asked->question), "%llu", ++m->questions);
	if (!m->gone_slot) {
		/* Before the question: whoever has gone by then is nobody for polkit either. */
		r = sd_bus_match_signal_async(m->bus, &m->gone_slot, BUS_SERVICE, "/org/freedesktop/DBus", BUS_SERVICE,
					      "NameOwnerChanged", on_gone, on_match, m);
		if (r < 0)
			return r;
	}
	if ((r = sd_bus_message_new_method_call(m->bus, &call, POLKIT, POLKIT_PATH, POLKIT_AUTHORITY,
						"CheckAuthorization")) < 0 ||
	    (r = sd_bus_message_append(call, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
				       sd_bus_message_get_sender(asked->message), asked->action, 0,
				       asked->interactive ? ALLOW_USER_INTERACTION : 0, asked->question)) < 0)
		return r;
	return sd_bus_call_async(m->bus, &asked->slot, call, on_verdict, asked,
				 asked->interactive ? PERSON_USEC : ANSWER_USEC);
}

static void ask_polkit(struct asked *asked)
{
	size_t n = 0, of_user = 0;
	int r;

	for (const struct asked *a = asked->manager->asked_polkit; a; a = a->next) {
		n++;
		of_user += a->uid == asked->uid;
	}
	if (n >= BUS_AUTH_MAX_POLKIT || of_user >= BUS_AUTH_MAX_USER) {
		sd_bus_reply_method_errorf(asked->message, SD_BUS_ERROR_LIMITS_EXCEEDED,
					   "too many calls wait for polkit");
		asked_free(asked);
		return;
	}
	unlink_asked(asked);
	link_asked(asked, &asked->manager->asked_polkit);
	asked->interactive = sd_bus_message_get_allow_interactive_authorization(asked->message) > 0;
	r = send_question(asked);
	if (r < 0)
		refuse(asked, "polkit cannot be asked: %s", strerror(-r));
}
#else
static void ask_polkit(struct asked *asked)
{
	refuse(asked, "only root may call %s (built without polkit)", sd_bus_message_get_member(asked->message));
}
#endif

static int on_user(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
	struct asked *asked = userdata;
	const sd_bus_error *error = sd_bus_message_get_error(message);
	int r;

	(void)ret_error;
	asked->slot = sd_bus_slot_unref(asked->slot);
	r = error ? -EPERM : sd_bus_message_read(message, "u", &asked->uid);
	if (r < 0)
		refuse(asked, "the bus cannot tell who calls: %s", error ? strempty(error->message) : strerror(-r));
	else if (asked->uid == 0)
		go_on(asked);
	else
		ask_polkit(asked);
	return 0;
}

/* Whether the call is one that may be kept for a while: its arguments are short. */
static int check_length(sd_bus_message *message, sd_bus_error *error)
{
	struct bus_digest digest = BUS_DIGEST_INIT;
	int r;

	while ((r = bus_digest_next(message, BUS_AUTH_MAX_BYTES, &digest)) > 0)
		;
	if (r == -E2BIG)
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "the arguments are too long");
	return r;
}

int bus_authorize(struct manager *m, sd_bus_message *message, const char *action, sd_bus_message_handler_t handler,
		  sd_bus_error *error)
{
	const char *sender = sd_bus_message_get_sender(message);
	struct caller *caller;
	struct asked *asked;
	int r;

	if (!sender)
		return sd_bus_error_setf(error, BUS_NAME ".Error.NotAuthorized", "nobody is known to have called");
	r = check_length(message, error);
	if (r < 0)
		return r;
	caller = caller_take(m, sender);
	if (!caller)
		return -ENOMEM;
	if (m->n_asked >= BUS_AUTH_MAX || caller->n > BUS_AUTH_MAX_CALLER) {
		caller_release(m, caller);
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "too many calls wait to be authorized");
	}
	asked = calloc(1, sizeof(*asked));
	if (!asked) {
		caller_release(m, caller);
		return -ENOMEM;
	}
	asked->manager = m;
	asked->message = sd_bus_message_ref(message);
	asked->action = action;
	asked->handler = handler;
	asked->caller = caller;
	link_asked(asked, &m->asked);
	m->n_asked++;
	r = sd_bus_call_method_async(m->bus, &asked->slot, BUS_SERVICE, "/org/freedesktop/DBus", BUS_SERVICE,
				     "GetConnectionUnixUser", on_user, asked, "s", sender);
	if (r < 0) {
		asked_free(asked);
		return r;
	}
	return 1;
}
