/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_BUS_MANAGER_H
#define DAEMON_BUS_MANAGER_H

#include "daemon/bus.h"

/* The getters of org.iommupolicy1.Manager's properties: bus-manager.c has the table, bus-manager-get.c these. */
int bus_manager_text(sd_bus *bus, const char *path, const char *interface, const char *property,
		     sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_manager_number(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_manager_files(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_manager_errors(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_manager_features(sd_bus *bus, const char *path, const char *interface, const char *property,
			 sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_manager_transactions(sd_bus *bus, const char *path, const char *interface, const char *property,
			     sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_manager_reloads(sd_bus *bus, const char *path, const char *interface, const char *property,
			sd_bus_message *reply, void *userdata, sd_bus_error *error);

#endif
