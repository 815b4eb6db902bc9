/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/presence.h"

#include <errno.h>

#include "ctl/bus.h"
#include "ctl/util.h"

int presence_check(struct ctl *ctl, bool *ret)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int has = 0, r;

	*ret = false;
	if (!ctl->bus && !ctl->arguments.host) {
		r = sd_bus_open_system(&ctl->bus);
		if (r == -ENOENT || r == -ECONNREFUSED)
			return 0;
	}
	r = bus_connect(ctl);
	if (r != 0)
		return r;
	r = sd_bus_call_method(ctl->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			       "org.freedesktop.DBus", "NameHasOwner", &error, &reply, "s",
			       BUS_NAME);
	if (r >= 0)
		r = sd_bus_message_read(reply, "b", &has);
	if (r < 0)
		return bus_complain(ctl, "asking the bus for iommu-policyd", &error, r);
	*ret = has;
	return 0;
}
