/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include <systemd/sd-daemon.h>

#include "daemon/manager.h"

void manager_update_status(struct manager *m)
{
	size_t n_states[STATE_USER_OWNED + 1] = {};
	const struct surroundings *here = &m->surroundings;
	size_t n_groups = m->inventory.n_groups;
	_cleanup_free_ char *status = NULL;
	const char *trouble = m->policy_lacking	    ? "; policy has errors, NOTHING IS APPLIED" :
			      m->policy_kept	    ? "; policy has errors, the kept one is in force" :
			      m->policy_errors.n_items ? "; policy has errors, the previous one is in force" :
						       "";

	for (size_t i = 0; i < n_groups; i++)
		n_states[m->inventory.groups[i]->state]++;
	status = strf("STATUS=%zu groups, %zu managed%s%s", n_groups, n_groups - n_states[STATE_UNMANAGED],
		      m->settings.mode == MODE_AUDIT ? " (audit: nothing is changed)" : "", trouble);
	for (int i = STATE_PENDING; status && i <= STATE_USER_OWNED; i++) {
		char *longer;

		if (!n_states[i])
			continue;
		longer = strf("%s, %zu %s", status, n_states[i], state_to_string((enum state)i));
		free(status);
		status = longer;
	}
	if (status && here->found) {
		_cleanup_free_ char *found = surroundings_describe(here);
		char *longer = strf("%s; %s", status, strempty(found));

		free(status);
		status = longer;
	}
	if (!status || (m->status && strcmp(status, m->status) == 0))
		return;
	free(m->status);
	m->status = TAKE_PTR(status);
	sd_notify(0, m->status);
}
