/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/inventory.h"

const char *state_to_string(enum state state)
{
	static const char *const names[] = {
		[STATE_UNMANAGED] = "unmanaged", [STATE_COMPLIANT] = "compliant", [STATE_PENDING] = "pending",
		[STATE_APPLYING] = "applying",	 [STATE_REFUSED] = "refused",	  [STATE_FAILED] = "failed",
		[STATE_USER_OWNED] = "user-owned",
	};

	return names[state];
}

const char *way_to_string(enum way way)
{
	static const char *const names[] = {
		[WAY_NOTHING] = "nothing",	   [WAY_LIVE] = "live", [WAY_WRITE] = "write",
		[WAY_TRANSACTION] = "transaction", [WAY_WAIT] = "wait",
	};

	return names[way];
}
