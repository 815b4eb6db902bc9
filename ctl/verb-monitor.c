/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <systemd/sd-event.h>

#include "ctl/bus.h"
#include "ctl/events.h"
#include "ctl/json.h"
#include "ctl/util.h"

#define MATCH "type='signal',sender='" BUS_NAME "',"
#define MATCH_OWNER                                                                 \
	"type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus'," \
	"interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" BUS_NAME "'"

/* A signal that is not as it should be is skipped: the next one may be. */
static int handled(int r)
{
	if (r < 0)
		complain("a signal of the daemon is not understood: %s", strerror(-r));
	return 0;
}

static int on_decided(sd_bus_message *m, void *ctl, sd_bus_error *ret_error _unused_)
{
	return handled(event_decided(ctl, m));
}

static int on_policy_reloaded(sd_bus_message *m, void *ctl, sd_bus_error *ret_error _unused_)
{
	return handled(event_policy_reloaded(ctl, m));
}

static int on_properties_changed(sd_bus_message *m, void *ctl, sd_bus_error *ret_error _unused_)
{
	return handled(event_properties_changed(ctl, m));
}

static int on_interfaces_added(sd_bus_message *m, void *ctl, sd_bus_error *ret_error _unused_)
{
	return handled(event_interfaces_added(ctl, m));
}

static int on_interfaces_removed(sd_bus_message *m, void *ctl, sd_bus_error *ret_error _unused_)
{
	return handled(event_interfaces_removed(ctl, m));
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error _unused_)
{
	const char *name, *before, *after;
	int r = sd_bus_message_read(m, "sss", &name, &before, &after);

	if (r < 0)
		return handled(r);
	if (!*after)
		r = event_daemon(userdata, STYLE_BAD, "stopped", "stopped, waiting for it");
	else if (!*before)
		r = event_daemon(userdata, STYLE_GOOD, "started", "started, following it");
	else
		r = event_daemon(userdata, STYLE_GOOD, "restarted", "another one, following it");
	return handled(r);
}

static int subscribe(struct ctl *ctl)
{
	static const struct {
		const char *match;
		sd_bus_message_handler_t handler;
	} signals[] = {
		{ MATCH "interface='" BUS_MANAGER "',member='Decided'", on_decided },
		{ MATCH "interface='" BUS_MANAGER "',member='PolicyReloaded'", on_policy_reloaded },
		{ MATCH "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
			"path_namespace='" BUS_ROOT "'",
		  on_properties_changed },
		{ MATCH "interface='org.freedesktop.DBus.ObjectManager',member='InterfacesAdded'",
		  on_interfaces_added },
		{ MATCH "interface='org.freedesktop.DBus.ObjectManager',member='InterfacesRemoved'",
		  on_interfaces_removed },
		{ MATCH_OWNER, on_owner_changed },
	};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		int r = sd_bus_add_match(ctl->bus, NULL, signals[i].match, signals[i].handler, ctl);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Not an error: whoever debugs the daemon's start has the monitor running first. */
static int say_where_we_are(struct ctl *ctl)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	r = sd_bus_call_method(ctl->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			       "org.freedesktop.DBus", "GetNameOwner", &error, &reply, "s",
			       BUS_NAME);
	if (r < 0 && !sd_bus_error_has_name(&error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		return bus_complain(ctl, "asking the bus for iommu-policyd", &error, r);
	if (r < 0)
		r = event_daemon(ctl, STYLE_WAIT, "absent", "not running, waiting for it");
	else if (ctl->term.legend)
		r = event_daemon(ctl, STYLE_DIM, "running", "running, following it until Ctrl-C");
	return r < 0 ? complain_memory() : 0;
}

static int on_disconnected(sd_bus_message *m _unused_, void *event,
			   sd_bus_error *ret_error _unused_)
{
	/* The bus is detached from the loop by now, so that it does not know its event any more. */
	complain("the D-Bus system bus has closed the connection");
	return sd_event_exit(event, EXIT_CODE_FAILED);
}

static int follow(struct ctl *ctl, sd_event *event)
{
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	/* Without a handler these end the loop with 0, which is "done". */
	r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_bus_attach_event(ctl->bus, event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = sd_bus_match_signal(ctl->bus, NULL, "org.freedesktop.DBus.Local",
					"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
					"Disconnected", on_disconnected, event);
	if (r >= 0)
		r = sd_event_loop(event);
	sd_bus_detach_event(ctl->bus);
	return r;
}

int verb_monitor(struct ctl *ctl, char **args _unused_, int n_args _unused_)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	int r;

	/* One document a line is what can be read while there is no end. */
	if (json_wanted(ctl))
		ctl->arguments.json = JSON_SHORT;
	r = bus_connect(ctl);
	if (r != 0)
		return r;
	r = subscribe(ctl);
	if (r < 0)
		return bus_complain(ctl, "following the daemon's signals", NULL, r);
	r = say_where_we_are(ctl);
	if (r != 0)
		return r;

	r = sd_event_new(&event);
	if (r >= 0)
		r = follow(ctl, event);
	return r < 0 ? bus_complain(ctl, "following the daemon's signals", NULL, r) : r;
}
