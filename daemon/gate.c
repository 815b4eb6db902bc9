/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/autoprobe.h"
#include "daemon/failpoint.h"
#include "daemon/gate.h"
#include "daemon/log.h"
#include "daemon/module.h"
#include "daemon/options.h"
#include "daemon/worker.h"

/*
 * Which devices the gate holds is told by its events and, after some have been
 * lost, by a dump. Uevents come on another socket: the gate's word for a device
 * may come before or after the uevent that announces it, and before the one
 * that its predecessor in the slot has gone. So the list is gone through only
 * when the event loop has handled all that has come (gate_look()).
 */

/* What nobody could make anything of gets to its drivers after this: no device stays without one by an oversight. */
#define UNDECIDED_USEC (3 * USEC_PER_SEC)
/* A release whose outcome was lost is asked for again. */
#define ANSWER_USEC (10 * USEC_PER_SEC)
#define TICK_USEC (1 * USEC_PER_SEC)
#define HELD_MAX 65536

/* A device that the gate holds. */
struct held {
	char address[IOMMU_POLICY_ADDRESS_SIZE];
	uint64_t since_usec; /* CLOCK_MONOTONIC */
	uint64_t asked_usec; /* for its release, 0: not yet */
	uint64_t cookie; /* of that */
	bool late; /* without the module: its time is over, and that was told */
};

struct gate {
	struct held *held;
	size_t n_held;
	sd_event_source *look_source, *tick_source;
	bool armed; /* by us, and the module has said yes */
	uint32_t arm_seq, disarm_seq; /* the last request of each kind, 0: none */
};

static bool is_wanted(const struct manager *m)
{
	return m->settings.gate && m->settings.mode == MODE_ENFORCE && !m->stopping;
}

static void arm(struct manager *m)
{
	struct module_request request = {
		.command = IOMMU_POLICY_CMD_GATE_ARM,
		/* What shall stay shut must do so also when the daemon has died. */
		.gate_flags = m->settings.gate_on_timeout == GATE_HOLD ?
				      IOMMU_POLICY_GATE_F_STICKY | IOMMU_POLICY_GATE_F_KEEP_SHUT :
				      0,
		.gate_timeout_ms = (uint32_t)(m->settings.gate_timeout_usec / USEC_PER_MSEC),
	};

	m->gate->arm_seq = module_send(m, &request);
}

/* Also a gate that an earlier daemon left armed; that of another program cannot be ended. */
static void disarm(struct manager *m)
{
	struct module_request request = { .command = IOMMU_POLICY_CMD_GATE_DISARM };

	m->gate->armed = false;
	m->gate->disarm_seq = module_send(m, &request);
}

void gate_update(struct manager *m)
{
	if (module_is_there(m)) {
		if (is_wanted(m))
			arm(m);
		/* A gate that stays shut without the daemon also does so while it is being restarted. */
		else if (!m->stopping || m->settings.gate_on_timeout != GATE_HOLD)
			disarm(m);
	}
	/* One is shut before the other is opened. */
	autoprobe_update(m);
}

static struct held *find(struct gate *gate, const char *address)
{
	for (size_t i = 0; i < gate->n_held; i++)
		if (strcmp(gate->held[i].address, address) == 0)
			return &gate->held[i];
	return NULL;
}

static void forget(struct gate *gate, struct held *held)
{
	/* In their order, in which they go to their drivers. */
	memmove(held, held + 1, (size_t)(gate->held + --gate->n_held - held) * sizeof(*held));
	if (gate->n_held == 0)
		sd_event_source_set_enabled(gate->tick_source, SD_EVENT_OFF);
}

/* Whether it is on the list. */
static bool note(struct manager *m, const char *address, bool news)
{
	struct gate *gate = m->gate;
	struct held *held = find(gate, address);

	/* A device that is announced is a new one, whatever was at that address before. */
	if (held && !news)
		return true;
	if (!held) {
		struct held *grown = gate->n_held < HELD_MAX ?
					     reallocarray(gate->held, gate->n_held + 1, sizeof(*held)) :
					     NULL;

		if (!grown) {
			log_oom();
			return false;
		}
		gate->held = grown;
		held = &grown[gate->n_held++];
	}
	*held = (struct held){ .since_usec = now_usec(CLOCK_MONOTONIC) };
	snprintf(held->address, sizeof(held->address), "%s", address);
	if (gate->n_held == 1) {
		sd_event_source_set_time_relative(gate->tick_source, TICK_USEC);
		sd_event_source_set_enabled(gate->tick_source, SD_EVENT_ONESHOT);
	}
	gate_look(m);
	return true;
}

/*
 * Whether all is done about a device that can be done before its driver has it.
 * A change that is past its deadline may never end, and holds the device itself.
 */
static bool is_settled(const struct manager *m, const struct held *held, uint64_t now)
{
	const struct device *device = inventory_device(&m->inventory, held->address);
	const struct group *group = device ? device->group : NULL;
	bool late = now >= held->since_usec + UNDECIDED_USEC;

	if (!group)
		return late;
	if (worker_is_late(group))
		return !device->fresh || (late && m->settings.gate_on_timeout != GATE_HOLD);
	if (!manager_group_settled(m, group))
		return false;
	/* Fresh: its first decision has not been made, as while the other functions of its slot are waited for. */
	return (group->decided && !device->fresh) || late;
}

static void let_through(struct manager *m, struct held *held, uint64_t now)
{
	struct module_request request = {
		.command = IOMMU_POLICY_CMD_GATE_RELEASE,
		.device = held->address,
		.flags = IOMMU_POLICY_F_PROBE,
	};

	if (autoprobe_is_on(m)) {
		autoprobe_let_through(m, held->address);
		forget(m->gate, held);
		return;
	}
	(void)failpoint("gate-let-through");
	held->cookie = module_send(m, &request);
	held->asked_usec = now;
}

static void on_timeout(struct manager *m, const char *address)
{
	unsigned long long seconds = m->settings.gate_timeout_usec / USEC_PER_SEC;

	if (m->settings.gate_on_timeout == GATE_HOLD)
		log_warning("%s has waited for its policy for %llu s and goes on waiting without a driver "
			    "(GateOnTimeout=hold)", address, seconds);
	else
		log_warning("%s has waited for its policy for %llu s; the gate lets it through before that is applied",
			    address, seconds);
}

/* The module has a clock of its own. */
static bool has_waited_enough(struct manager *m, struct held *held, uint64_t now)
{
	if (!autoprobe_is_on(m) || now < held->since_usec + m->settings.gate_timeout_usec)
		return false;
	if (!held->late)
		on_timeout(m, held->address);
	held->late = true;
	return m->settings.gate_on_timeout == GATE_OPEN;
}

static int on_look(sd_event_source *s, void *userdata)
{
	struct manager *m = userdata;
	uint64_t now = now_usec(CLOCK_MONOTONIC);

	(void)s;
	for (size_t i = 0; i < m->gate->n_held;) {
		struct held *held = &m->gate->held[i];
		size_t n = m->gate->n_held;
		bool asked = held->asked_usec && now < held->asked_usec + ANSWER_USEC;

		if (!asked && (is_settled(m, held, now) || has_waited_enough(m, held, now)))
			let_through(m, held, now);
		/* Without the module it is forgotten at once. */
		i += m->gate->n_held == n;
	}
	return 0;
}

void gate_hold(struct manager *m, const char *address, bool news)
{
	/* The module has a time-out of its own for what is not on the list; here nobody would think of it again. */
	if (!note(m, address, news))
		autoprobe_let_through(m, address);
}

bool gate_holds(const struct manager *m, const char *address)
{
	return find(m->gate, address);
}

void gate_forget(struct manager *m, const char *address)
{
	struct held *held = find(m->gate, address);

	if (held)
		forget(m->gate, held);
}

void gate_let_all_through(struct manager *m)
{
	while (m->gate->n_held)
		let_through(m, m->gate->held, 0);
}

void gate_look(struct manager *m)
{
	if (m->gate && m->gate->n_held)
		sd_event_source_set_enabled(m->gate->look_source, SD_EVENT_ONESHOT);
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)usec;
	if (m->gate->n_held == 0)
		return 0;
	gate_look(m);
	sd_event_source_set_time_relative(s, TICK_USEC);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

void gate_event(struct manager *m, const struct module_event *event)
{
	struct held *held = find(m->gate, event->device);

	switch (event->event) {
	case IOMMU_POLICY_EVENT_GATE_HELD:
		(void)note(m, event->device, true);
		break;
	case IOMMU_POLICY_EVENT_GATE_OPENED:
		if (held)
			forget(m->gate, held);
		break;
	case IOMMU_POLICY_EVENT_GATE_TIMEOUT:
		if (held)
			on_timeout(m, event->device);
		break;
	case IOMMU_POLICY_EVENT_GATE_PASSED:
		log_debug("%s has no group yet, and the gate has let it through", event->device);
		break;
	case IOMMU_POLICY_EVENT_GATE_DISARMED:
		/* Another program's, which was in the way of ours. */
		if (!m->gate->armed && is_wanted(m))
			arm(m);
		break;
	default:
		break;
	}
}

void gate_note_group(struct manager *m, const struct module_group *group)
{
	for (size_t i = 0; i < group->n_devices; i++)
		if (group->devices[i].flags & IOMMU_POLICY_DEVICE_F_GATED)
			(void)note(m, group->devices[i].address, false);
}

static void released(struct manager *m, uint64_t cookie, int error)
{
	for (size_t i = 0; i < m->gate->n_held; i++) {
		struct held *held = &m->gate->held[i];

		if (!held->cookie || held->cookie != cookie)
			continue;
		if (error == 0 || error == -ENOENT || error == -ENODEV) {
			forget(m->gate, held);
		} else {
			log_debug("%s cannot be let through now: %s", held->address, strerror(-error));
			held->asked_usec = 0; /* at the next tick again */
		}
		return;
	}
}

void gate_done(struct manager *m, const struct module_done *done)
{
	if (done->command == IOMMU_POLICY_CMD_GATE_RELEASE)
		released(m, done->cookie, done->error);
}

void gate_accepted(struct manager *m, uint32_t seq)
{
	if (seq == m->gate->arm_seq)
		m->gate->armed = true;
}

void gate_refused(struct manager *m, uint32_t seq, int error)
{
	struct module_request request = { .command = IOMMU_POLICY_CMD_INFO_GET };

	if (seq == m->gate->arm_seq) {
		m->gate->armed = false;
		if (error == -EBUSY)
			module_send(m, &request); /* whose is it? */
		else if (error == -ESHUTDOWN)
			log_debug("The kernel module's gate is not armed: the module is about to go");
		else
			log_warning("The kernel module's gate cannot be armed; devices that are plugged in meet "
				    "their drivers first: %s", strerror(-error));
		return;
	}
	if (seq != m->gate->disarm_seq)
		released(m, seq, error);
}

void gate_info(struct manager *m, const struct module_info *info)
{
	if (m->gate->armed || !is_wanted(m))
		return;
	if (info->gate_armed && info->gate_portid)
		log_warning("The kernel module's gate is armed by process %u; devices that are plugged in meet their "
			    "drivers before their policy", info->gate_pid);
	else
		arm(m); /* free by now */
}

/* It has released all on its way out. */
void gate_module_went(struct manager *m)
{
	m->gate->armed = false;
	m->gate->arm_seq = m->gate->disarm_seq = 0;
	m->gate->n_held = 0;
	sd_event_source_set_enabled(m->gate->tick_source, SD_EVENT_OFF);
	autoprobe_update(m);
}

int gate_start(struct manager *m)
{
	int r;

	m->gate = calloc(1, sizeof(*m->gate));
	if (!m->gate)
		return -ENOMEM;
	if ((r = sd_event_add_defer(m->event, &m->gate->look_source, on_look, m)) < 0 ||
	    (r = sd_event_source_set_enabled(m->gate->look_source, SD_EVENT_OFF)) < 0 ||
	    /* After uevents and after the decisions that they bring about. */
	    (r = sd_event_source_set_priority(m->gate->look_source, SD_EVENT_PRIORITY_NORMAL + 2)) < 0 ||
	    (r = sd_event_add_time_relative(m->event, &m->gate->tick_source, CLOCK_MONOTONIC, 0, 0, on_tick, m)) < 0)
		return r;
	return sd_event_source_set_enabled(m->gate->tick_source, SD_EVENT_OFF);
}

void gate_stop(struct manager *m)
{
	if (!m->gate)
		return;
	sd_event_source_disable_unref(m->gate->look_source);
	sd_event_source_disable_unref(m->gate->tick_source);
	free(m->gate->held);
	free(m->gate);
	m->gate = NULL;
}
