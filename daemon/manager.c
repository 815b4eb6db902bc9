/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "config.h"
#include "daemon/autoprobe.h"
#include "daemon/bus.h"
#include "daemon/engine.h"
#include "daemon/first-pass.h"
#include "daemon/gate.h"
#include "daemon/group-lock.h"
#include "daemon/group-store.h"
#include "daemon/log.h"
#include "daemon/manager.h"
#include "daemon/module.h"
#include "daemon/options.h"
#include "daemon/policy-store.h"
#include "daemon/put-back.h"
#include "daemon/record.h"
#include "daemon/recovery.h"
#include "daemon/resume.h"
#include "daemon/state-file.h"
#include "daemon/uevent.h"
#include "daemon/worker.h"

/*
 * The functions of one slot are announced one by one, and a decision about the
 * first alone would be another than that about all.
 */
#define PLUG_SETTLE_USEC (30 * USEC_PER_MSEC)
/* As long as the unit's TimeoutStartSec=. */
#define START_USEC (10 * USEC_PER_SEC)
#define LOCK_RETRY_USEC (20 * USEC_PER_MSEC)
#define PUT_BACK_PATIENCE_USEC (2 * USEC_PER_SEC)
#define LOCK_FILE RUN_DIR "/lock"

static int on_queue(sd_event_source *s, void *userdata)
{
	struct manager *m = userdata;
	struct queued *queue = TAKE_PTR(m->queue);
	size_t n = m->n_queue;

	(void)s;
	m->n_queue = 0;
	/* Wanted only where there is an IOMMU. */
	if (surroundings_follow(m))
		autoprobe_update(m);
	for (size_t i = 0; i < n; i++) {
		struct group *group = inventory_group(&m->inventory, queue[i].group);

		if (!group || m->stopping)
			continue;
		engine_evaluate(m, group, queue[i].triggers);
		bus_group_settled(m, group);
	}
	free(queue);
	gate_look(m);
	manager_update_status(m);
	return 0;
}

int manager_queue_group(struct manager *m, unsigned group, unsigned triggers)
{
	struct queued *grown;

	for (size_t i = 0; i < m->n_queue; i++)
		if (m->queue[i].group == group) {
			m->queue[i].triggers |= triggers;
			return 0;
		}
	grown = reallocarray(m->queue, m->n_queue + 1, sizeof(*grown));
	if (!grown)
		return log_oom();
	m->queue = grown;
	m->queue[m->n_queue++] = (struct queued){ group, triggers };
	return sd_event_source_set_enabled(m->queue_source, SD_EVENT_ONESHOT);
}

void manager_forget(struct manager *m, unsigned group, unsigned triggers)
{
	for (size_t i = 0; i < m->n_queue; i++)
		if (m->queue[i].group == group)
			m->queue[i].triggers &= ~triggers;
}

int manager_queue_all(struct manager *m, unsigned triggers)
{
	for (size_t i = 0; i < m->inventory.n_groups; i++) {
		int r = manager_queue_group(m, m->inventory.groups[i]->id, triggers);

		if (r < 0)
			return r;
	}
	return 0;
}

bool manager_group_settled(const struct manager *m, const struct group *group)
{
	if (group->worker || group->waiting)
		return false;
	for (size_t i = 0; i < m->n_queue; i++)
		if (m->queue[i].group == group->id)
			return false;
	return true;
}

void manager_worker_free(struct manager *m)
{
	gate_look(m);
	for (size_t i = 0; i < m->inventory.n_groups; i++)
		if (m->inventory.groups[i]->waiting)
			manager_queue_group(m, m->inventory.groups[i]->id, 0);
	/* A worker that is past its deadline may be stuck for good; its record is for the next start. */
	if (m->stopping && m->n_running == 0)
		sd_event_exit(m->event, EXIT_SUCCESS);
}

static int on_plug_settled(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)usec;
	for (size_t i = 0; i < m->inventory.n_devices; i++) {
		struct device *device = m->inventory.devices[i];

		if (device->fresh && device->group)
			manager_queue_group(m, device->group->id, TRIGGER_PLUGGED);
	}
	return 0;
}

int manager_device_seen(struct manager *m, const char *address, unsigned triggers, uint64_t seqnum)
{
	struct device *known = inventory_device(&m->inventory, address);
	bool had_group = known && known->group, added;
	struct device *device;
	int r;

	r = inventory_refresh_device(&m->inventory, address, &device, &added);
	if (r == -ENODEV) /* gone already; its event follows */
		return 0;
	if (r < 0) {
		log_warning("%s cannot be read and is left alone: %s", address, strerror(-r));
		return r;
	}
	if (added) {
		device->fresh = triggers & TRIGGER_PLUGGED;
		device->came_usec = device->fresh ? now_usec(CLOCK_MONOTONIC) : 0;
	}
	bus_device_seen(m, device);
	if (!device->group)
		return 0;
	/* Our own unbinding and binding are no news, and neither is a repeated "add" (udevadm trigger). */
	if (had_group && ((seqnum && seqnum <= device->group->own_seqnum) || (triggers & TRIGGER_PLUGGED)))
		return 0;
	bus_group_changed(m, device->group);
	if (!had_group)
		module_query(m, device->group);
	/*
	 * Behind a virtio-iommu a device joins its group when a driver probes it first, which may be in the
	 * middle of that group's change: to the group it is plugged in only now.
	 */
	if (!had_group && device->fresh)
		triggers |= TRIGGER_PLUGGED;
	if (added && device->fresh && device->attributes.multifunction) {
		sd_event_source_set_time_relative(m->plug_source, PLUG_SETTLE_USEC);
		return sd_event_source_set_enabled(m->plug_source, SD_EVENT_ONESHOT);
	}
	return manager_queue_group(m, device->group->id, had_group || device->fresh ? triggers : TRIGGER_START);
}

void manager_find_members(struct manager *m, const struct group *group)
{
	_cleanup_close_ int fd = sysfs_open_group(group->id);
	_cleanup_strv_ char **addresses = NULL;

	if (fd < 0 || sysfs_group_devices(fd, &addresses, NULL) < 0)
		return;
	for (char **address = addresses; address && *address; address++) {
		struct device *device = inventory_device(&m->inventory, *address);

		if (device && !device->group)
			(void)manager_device_seen(m, *address, TRIGGER_BOUND, 0);
	}
}

void manager_device_gone(struct manager *m, const char *address)
{
	struct device *device = inventory_device(&m->inventory, address);
	struct group *group, *empty;

	autoprobe_device_went(m, address);
	if (!device)
		return;
	group = device->group;
	bus_device_removed(m, device);
	if (group && group->n_devices == 1) {
		bus_group_removed(m, group);
		worker_detach(m, group);
		record_remove(RECORD_DIR, group->id);
		group_store_remove(group->id);
	}
	inventory_remove_device(&m->inventory, device, &empty);
	if (empty) {
		group_free(empty);
		manager_update_status(m);
	} else if (group) {
		bus_group_changed(m, group);
		manager_queue_group(m, group->id, TRIGGER_LEFT);
	}
}

static int on_stop(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)si;
	m->stopping = true;
	sd_notify(0, "STOPPING=1");
	/* What is plugged in while we wait for the end of changes would wait for us. */
	gate_update(m);
	if (m->n_running == 0)
		return sd_event_exit(m->event, EXIT_SUCCESS);
	log_info("Waiting for changes under way before stopping");
	return 0;
}

static int on_reload(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)si;
	/* MONOTONIC_USEC makes it what Type=notify-reload of systemd 253 asks for. */
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now_usec(CLOCK_MONOTONIC));
	manager_load_settings(m);
	policy_store_reload(m);
	sd_notify(0, "READY=1");
	return 0;
}

void manager_load_settings(struct manager *m)
{
	enum mode before = m->settings.mode;
	unsigned workers = m->settings.max_workers;

	settings_load(m->options->config, m->settings_read, &m->settings);
	m->settings_read = true;
	if (!m->log_level_asked)
		log_set_max_level(m->settings.log_level);
	/* What audit mode only told of is done now, and the other way round told of. */
	if (m->settings.mode != before)
		manager_queue_all(m, TRIGGER_CHANGED);
	/* Groups that wait for a worker may have one. */
	if (m->event && m->settings.max_workers > workers)
		manager_worker_free(m);
	bus_manager_changed(m);
	gate_update(m);
}

static int add_sources(struct manager *m)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	sigset_t mask;
	int r;

	sigemptyset(&mask);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaddset(&mask, signals[i]);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	if ((r = sd_event_default(&m->event)) < 0 ||
	    (r = log_attach(m->event)) < 0 ||
	    (r = sd_event_add_signal(m->event, NULL, SIGTERM, on_stop, m)) < 0 ||
	    (r = sd_event_add_signal(m->event, NULL, SIGINT, on_stop, m)) < 0 ||
	    (r = sd_event_add_signal(m->event, NULL, SIGHUP, on_reload, m)) < 0 ||
	    (r = sd_event_set_watchdog(m->event, true)) < 0 ||
	    (r = sd_event_add_defer(m->event, &m->queue_source, on_queue, m)) < 0 ||
	    (r = sd_event_source_set_enabled(m->queue_source, SD_EVENT_OFF)) < 0 ||
	    /* After the uevents that are there: groups are decided when their devices are known. */
	    (r = sd_event_source_set_priority(m->queue_source, SD_EVENT_PRIORITY_NORMAL + 1)) < 0 ||
	    (r = sd_event_add_time_relative(m->event, &m->plug_source, CLOCK_MONOTONIC, 0, 0, on_plug_settled, m)) < 0)
		return r;
	return sd_event_source_set_enabled(m->plug_source, SD_EVENT_OFF);
}

/* One daemon, or one --once, at a time. The lock ends with the process. */
static int take_lock(uint64_t patience_usec)
{
	uint64_t end = now_usec(CLOCK_MONOTONIC) + patience_usec;
	int fd, r;

	if ((r = state_dir_make(RUN_DIR)) < 0 || (r = state_dir_make(GROUP_STORE_DIR)) < 0 ||
	    (r = state_dir_make(RECORD_DIR)) < 0 || (r = state_dir_make(GROUP_LOCK_DIR)) < 0) {
		log_error("Cannot create %s: %s", RUN_DIR, strerror(-r));
		return r;
	}
	fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	while ((r = flock(fd, LOCK_EX | LOCK_NB)) < 0 && now_usec(CLOCK_MONOTONIC) < end)
		usleep(LOCK_RETRY_USEC);
	if (r < 0) {
		log_error("iommu-policyd is running already (iommu-policyctl apply makes it apply, and its end puts "
			  "back what Gate=autoprobe has changed)");
		close(fd);
		return -EBUSY;
	}
	state_dir_clean(GROUP_STORE_DIR);
	state_dir_clean(RECORD_DIR);
	return fd;
}

static int start(struct manager *m)
{
	int r;

	/* Watched before it is read, so that nothing falls between the two. */
	if (!m->options->once && (r = policy_store_watch(m)) < 0)
		return r;
	if ((r = policy_store_start(m)) < 0 || (r = uevent_listen(m)) < 0)
		return r;
	/* The gate is armed before it is looked what there is: between the two would be devices that are neither. */
	if (!m->options->once && (r = module_start(m)) < 0)
		return r;
	autoprobe_start(m);
	if ((r = uevent_enumerate(m, TRIGGER_START)) < 0)
		return r;
	autoprobe_started(m);
	surroundings_look(m);
	group_store_clean();
	recovery_start(m);
	manager_queue_all(m, TRIGGER_START);
	if ((r = first_pass_start(m)) < 0 || m->options->once)
		return r;
	/* Without it everything else works. */
	if ((r = resume_watch_clock(m)) < 0)
		log_warning("The clock cannot be watched, so a sleep of the machine is noticed by logind's word alone: "
			    "%s", strerror(-r));
	if ((r = bus_start(m)) < 0)
		return r;
	manager_update_status(m);
	return 0;
}

/*
 * The unit's ExecStopPost=, with a main process that has not ended (systemd.exec(5), $EXIT_CODE): it is stuck in
 * the kernel, and not even SIGKILL has helped.
 */
static bool daemon_is_stuck(void)
{
	return getenv("SERVICE_RESULT") && !getenv("EXIT_CODE");
}

static int put_back_alone(void)
{
	/* A process that the daemon had just begun when it was killed has the lock until it has closed its files. */
	_cleanup_close_ int lock = take_lock(daemon_is_stuck() ? 0 : PUT_BACK_PATIENCE_USEC);
	int r = lock;

	if (lock >= 0)
		r = put_back(RUN_DIR);
	else if (lock == -EBUSY && daemon_is_stuck())
		r = put_back_switch(RUN_DIR);
	return r >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int manager_run(const struct options *options)
{
	struct manager m = { .options = options, .settings = settings_default, .inotify_fd = -1 };
	_cleanup_close_ int lock = -1;
	int r, status = EXIT_FAILURE;

	log_set_console(options->once && isatty(STDERR_FILENO));
	/* The start of the program, which a busy boot makes long, is not counted as its hanging. */
	if (!options->once && !options->put_back)
		sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)START_USEC);
	/* As the unit has it, which this is for where no unit starts it: by hand, and in the initramfs. */
	if (surroundings_switched_off()) {
		log_notice("iommu_policyd=off is on the kernel command line: nothing is done");
		return EXIT_SUCCESS;
	}
	if (surroundings_crash_kernel()) {
		log_notice("This kernel was started to save a crashed one's memory (/proc/vmcore): nothing is done");
		return EXIT_SUCCESS;
	}
	if (options->put_back)
		return put_back_alone();
	manager_load_settings(&m);
	lock = take_lock(0);
	if (lock < 0)
		return EXIT_FAILURE;
	if ((r = add_sources(&m)) < 0 || (r = start(&m)) < 0) {
		log_error("Cannot start: %s", strerror(-r));
	} else {
		r = sd_event_loop(m.event);
		if (r < 0)
			log_error("The event loop ended: %s", strerror(-r));
		status = r == EXIT_SUCCESS ? options->once ? first_pass_status(&m) : EXIT_SUCCESS : EXIT_FAILURE;
	}
	bus_stop(&m);
	worker_free_all(&m);
	autoprobe_stop(&m);
	module_stop(&m);
	uevent_stop(&m);
	resume_stop(&m);
	policy_store_free(&m);
	inventory_clear(&m.inventory);
	log_detach();
	sd_event_source_disable_unref(m.settled_source);
	sd_event_source_disable_unref(m.settled_timer);
	sd_event_source_disable_unref(m.queue_source);
	sd_event_source_disable_unref(m.plug_source);
	sd_event_source_disable_unref(m.claim_source);
	sd_event_source_disable_unref(m.backoff_source);
	sd_event_source_disable_unref(m.user_source);
	sd_event_unref(m.event);
	free(m.queue);
	surroundings_clear(&m.surroundings);
	free(m.status);
	return status;
}
