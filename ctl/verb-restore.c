/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/change.h"
#include "ctl/util.h"

int verb_restore(struct ctl *ctl, char **args, int n_args _unused_)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct target target;
	uint32_t group;
	char doing[64];
	int r;

	r = ctl_parse_target(args[0], &target);
	if (r == 0)
		r = bus_connect(ctl);
	if (r == 0)
		r = bus_resolve_group(ctl, &target, &group);
	if (r != 0)
		return r;

	snprintf(doing, sizeof(doing), "restoring the boot type of group %u", group);
	r = bus_call_manager(ctl, "Restore", false, &error, &reply, "u", group);
	return change_print(ctl, group, doing, r, &error, reply);
}
