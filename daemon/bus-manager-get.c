/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "config.h"
#include "daemon/bus-manager.h"
#include "daemon/fence.h"
#include "daemon/kernel.h"
#include "daemon/module.h"

/* The properties of org.iommupolicy1.Manager. */

/* Counts what has been added that a client may need, so that it can say that the daemon is too old for it. */
#define INTERFACE_VERSION 1

int bus_manager_text(sd_bus *bus, const char *path, const char *interface, const char *property,
		     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;
	const char *value = PACKAGE_VERSION;

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	if (strcmp(property, "Mode") == 0)
		value = m->settings.mode == MODE_AUDIT ? "audit" : "enforce";
	else if (strcmp(property, "Backend") == 0)
		value = module_is_there(m) ? fence_module.name : fence_pin.name;
	return sd_bus_message_append(reply, "s", value);
}

int bus_manager_files(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return sd_bus_message_append_strv(reply, (char **)policy_files(m->policy));
}

int bus_manager_number(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	if (strcmp(property, "InterfaceVersion") == 0)
		return sd_bus_message_append(reply, "u", INTERFACE_VERSION);
	return sd_bus_message_append(reply, "t", m->policy_generation);
}

int bus_manager_errors(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;
	int r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	r = sd_bus_message_open_container(reply, 'a', "(suss)");
	for (size_t i = 0; r >= 0 && i < m->policy_errors.n_items; i++) {
		const struct policy_error *e = &m->policy_errors.items[i];
		_cleanup_free_ char *key = e->section ? strf("[%s]%s%s", e->section, e->key ? " " : "",
							     strempty(e->key)) :
							strdup(strempty(e->key));

		r = key ? sd_bus_message_append(reply, "(suss)", e->path, e->line, key, strempty(e->message)) : -ENOMEM;
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

int bus_manager_features(sd_bus *bus, const char *path, const char *interface, const char *property,
			 sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	_cleanup_strv_ char **features = NULL;
	int r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)userdata;
	(void)error;
	r = kernel_features(&features);
	return r < 0 ? r : sd_bus_message_append_strv(reply, features);
}

int bus_manager_transactions(sd_bus *bus, const char *path, const char *interface, const char *property,
			     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct counts *counts = &((const struct manager *)userdata)->counts;
	int r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	r = sd_bus_message_open_container(reply, 'a', "(stt)");
	for (int i = 0; r >= 0 && i < COUNT_MAX; i++)
		r = sd_bus_message_append(reply, "(stt)", count_to_string((enum count)i), counts->transactions[i].n,
					  counts->transactions[i].usec);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

int bus_manager_reloads(sd_bus *bus, const char *path, const char *interface, const char *property,
			sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct counts *counts = &((const struct manager *)userdata)->counts;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return sd_bus_message_append(reply, "(tt)", counts->policies_good, counts->policies_bad);
}
