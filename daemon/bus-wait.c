/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/bus.h"
#include "daemon/log.h"
#include "daemon/worker.h"

/* Calls whose answer waits for the end of what they have asked for. */

/* A caller that floods us with requests must not fill the memory: each waits for its answer. */
#define WAITERS_MAX 256
/* Of one connection, so that it cannot use that up. */
#define WAITERS_MAX_CALLER 128

/* A call whose answer waits for one group, or for all that had something to do. */
struct waiter {
	sd_bus_message *message;
	bool all; /* Apply() */
	unsigned *groups; /* still to come */
	size_t n_groups;
	struct waiter *next;
};

static void waiter_free(struct manager *m, struct waiter *waiter)
{
	for (struct waiter **w = &m->waiters; *w; w = &(*w)->next)
		if (*w == waiter) {
			*w = waiter->next;
			break;
		}
	sd_bus_message_unref(waiter->message);
	free(waiter->groups);
	free(waiter);
}

void bus_waiters_free(struct manager *m)
{
	while (m->waiters)
		waiter_free(m, m->waiters);
}

int bus_reply_all(const struct manager *m, sd_bus_message *message)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	r = sd_bus_message_new_method_return(message, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "(uss)");
	for (size_t i = 0; r >= 0 && i < m->inventory.n_groups; i++) {
		const struct group *group = m->inventory.groups[i];

		if (group->state != STATE_UNMANAGED)
			r = sd_bus_message_append(reply, "(uss)", group->id, state_to_string(group->state),
						  strempty(group->reason));
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_message_send(reply);
}

static int reply_group(sd_bus_message *message, const struct group *group)
{
	if (group->problem != PROBLEM_NONE)
		return sd_bus_reply_method_errorf(message, problem_to_bus_error(group->problem), "%s",
						  strempty(group->reason));
	return sd_bus_reply_method_return(message, "ss", state_to_string(group->state), strempty(group->reason));
}

static void waiter_group_done(struct manager *m, struct waiter *waiter, unsigned id, const struct group *group)
{
	int r = 0;

	for (size_t i = 0; i < waiter->n_groups; i++)
		if (waiter->groups[i] == id)
			waiter->groups[i] = waiter->groups[--waiter->n_groups];
	if (waiter->n_groups)
		return;
	if (waiter->all)
		r = bus_reply_all(m, waiter->message);
	else if (group)
		r = reply_group(waiter->message, group);
	else
		r = sd_bus_reply_method_errorf(waiter->message, BUS_NAME ".Error.NoSuchGroup",
					       "group %u has gone meanwhile", id);
	if (r < 0)
		log_debug("Cannot answer %s: %s", sd_bus_message_get_member(waiter->message), strerror(-r));
	waiter_free(m, waiter);
}

static bool waits_for(const struct waiter *waiter, unsigned id)
{
	for (size_t i = 0; i < waiter->n_groups; i++)
		if (waiter->groups[i] == id)
			return true;
	return false;
}

static void tell_waiters(struct manager *m, unsigned id, const struct group *group)
{
	struct waiter *next;

	for (struct waiter *waiter = m->waiters; waiter; waiter = next) {
		next = waiter->next;
		if (waits_for(waiter, id))
			waiter_group_done(m, waiter, id, group);
	}
}

void bus_group_settled(struct manager *m, const struct group *group)
{
	/* A change that is past its deadline has been reported, and may never end. */
	if (manager_group_settled(m, group) || worker_is_late(group))
		tell_waiters(m, group->id, group);
}

void bus_waiters_group_gone(struct manager *m, const struct group *group)
{
	tell_waiters(m, group->id, NULL);
}

int bus_wait_for(struct manager *m, sd_bus_message *message, bool all, const unsigned *groups, size_t n,
		 sd_bus_error *error)
{
	const char *sender = strempty(sd_bus_message_get_sender(message));
	size_t n_waiters = 0, of_caller = 0;
	struct waiter *waiter;

	for (waiter = m->waiters; waiter; waiter = waiter->next) {
		n_waiters++;
		of_caller += strcmp(strempty(sd_bus_message_get_sender(waiter->message)), sender) == 0;
	}
	if (n_waiters >= WAITERS_MAX || of_caller >= WAITERS_MAX_CALLER)
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "too many calls wait for an answer");
	waiter = calloc(1, sizeof(*waiter));
	if (!waiter)
		return -ENOMEM;
	waiter->groups = reallocarray(NULL, n ? n : 1, sizeof(*groups));
	if (!waiter->groups) {
		free(waiter);
		return -ENOMEM;
	}
	memcpy(waiter->groups, groups, n * sizeof(*groups));
	waiter->n_groups = n;
	waiter->all = all;
	waiter->message = sd_bus_message_ref(message);
	waiter->next = m->waiters;
	m->waiters = waiter;
	return 1;
}
