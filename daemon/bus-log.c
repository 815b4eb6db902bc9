/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/bus-auth.h"
#include "daemon/log.h"

/* org.freedesktop.LogControl1(5), for systemctl service-log-level. */

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
		    void *userdata, sd_bus_error *error)
{
	const char *value = "iommu-policyd";

	(void)bus;
	(void)path;
	(void)interface;
	(void)userdata;
	(void)error;
	if (strcmp(property, "LogLevel") == 0)
		value = log_level_to_string(log_get_max_level());
	else if (strcmp(property, "LogTarget") == 0)
		value = "journal";
	return sd_bus_message_append(reply, "s", value);
}

static int set_level(struct manager *m, const char *word, sd_bus_error *error)
{
	int level = log_level_from_string(word);

	if (level < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "no such log level (expected emerg, alert, crit, err, warning, notice, info or "
					 "debug)");
	/* Until the daemon ends: a reload of the settings does not take it back. */
	m->log_level_asked = true;
	log_set_max_level(level);
	return 0;
}

static int set_target(const char *word, sd_bus_error *error)
{
	if (strcmp(word, "journal") != 0 && strcmp(word, "auto") != 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "no such log target (expected journal or auto, which is the same)");
	return 0;
}

static int do_set(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *property, *word;
	int r;

	if ((r = sd_bus_message_read(message, "ss", NULL, &property)) < 0 ||
	    (r = sd_bus_message_enter_container(message, 'v', "s")) < 0 ||
	    (r = sd_bus_message_read(message, "s", &word)) < 0)
		return r == -ENXIO ? sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "expected a string") : r;
	r = strcmp(property, "LogLevel") == 0 ? set_level(userdata, word, error) : set_target(word, error);
	return r < 0 ? r : sd_bus_reply_method_return(message, NULL);
}

int bus_log_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *interface, *property;
	int r;

	if (!sd_bus_message_is_method_call(message, "org.freedesktop.DBus.Properties", "Set") ||
	    !sd_bus_message_has_signature(message, "ssv"))
		return 0;
	r = sd_bus_message_read(message, "ss", &interface, &property);
	if (r < 0)
		return r;
	r = sd_bus_message_rewind(message, true);
	if (r < 0 || strcmp(interface, BUS_LOG_INTERFACE) != 0 ||
	    (strcmp(property, "LogLevel") != 0 && strcmp(property, "LogTarget") != 0))
		return r < 0 ? r : 0;
	return bus_authorize(userdata, message, BUS_ACTION_LOG_LEVEL, do_set, error);
}

/* sd-bus wants one, for what it says of the property; bus_log_message() has been asked before. */
static int set_nothing(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *value, void *userdata, sd_bus_error *error)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)value;
	(void)userdata;
	return sd_bus_error_setf(error, BUS_NAME ".Error.NotAuthorized", "%s cannot be set", property);
}

const sd_bus_vtable bus_log_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_text, set_nothing, 0, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_text, set_nothing, 0, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("SyslogIdentifier", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_VTABLE_END,
};
