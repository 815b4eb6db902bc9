/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "daemon/bus.h"
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

static int set_level(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *value,
		     void *userdata, sd_bus_error *error)
{
	const char *word;
	int level, r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)userdata;
	r = bus_authorize(value, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(value, "s", &word);
	if (r < 0)
		return r;
	level = log_level_from_string(word);
	if (level < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "'%s' is no log level", word);
	log_set_max_level(level);
	return 1;
}

static int set_target(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *value, void *userdata, sd_bus_error *error)
{
	const char *word;
	int r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)userdata;
	r = bus_authorize(value, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(value, "s", &word);
	if (r < 0)
		return r;
	if (strcmp(word, "journal") != 0 && strcmp(word, "auto") != 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "the only log target is 'journal'");
	return 1;
}

const sd_bus_vtable bus_log_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_text, set_level, 0, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_text, set_target, 0, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("SyslogIdentifier", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_VTABLE_END,
};
