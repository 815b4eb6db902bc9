/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A daemon from before InterfaceVersion, as test_ctl.py needs one: it has the
 * name, a version, and no groups.
 */
#include <stdio.h>
#include <systemd/sd-bus.h>

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)userdata;
	(void)error;
	return sd_bus_message_append(reply, "s", "0.0");
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_VTABLE_END,
};

int main(void)
{
	sd_bus *bus;
	int r;

	r = sd_bus_open_system(&bus);
	if (r >= 0)
		r = sd_bus_add_object_vtable(bus, NULL, "/org/iommupolicy1",
					     "org.iommupolicy1.Manager", vtable, NULL);
	if (r >= 0)
		r = sd_bus_add_object_manager(bus, NULL, "/org/iommupolicy1");
	if (r >= 0)
		r = sd_bus_request_name(bus, "org.iommupolicy1", 0);
	while (r >= 0) {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
	}
	fprintf(stderr, "old-daemon: %d\n", r);
	return 1;
}
