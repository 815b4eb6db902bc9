/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/bus-backlog.h"

int bus_backlog_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;
	uint64_t n;

	if (!sd_bus_message_is_method_call(message, NULL, NULL) || sd_bus_get_n_queued_write(m->bus, &n) < 0 ||
	    n < BUS_BACKLOG_MAX)
		return 0;
	return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
				 "the bus does not take the answers to earlier calls");
}
