/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/autoprobe-record.h"
#include "daemon/autoprobe.h"
#include "daemon/gate.h"
#include "daemon/log.h"
#include "daemon/module.h"
#include "daemon/options.h"
#include "daemon/put-back.h"
#include "daemon/state-file.h"
#include "daemon/sysfs-machine.h"

#define SWITCH "/sys/bus/pci/drivers_autoprobe"
/* Drivers may take seconds, and a boot has many: as many at once, */
#define RUNNING_MAX 16
/* and one that takes longer than this keeps nobody else waiting. */
#define LATE_USEC (5 * USEC_PER_SEC)

/* A process that has a device probed. */
struct probe {
	struct probe *next;
	struct manager *manager;
	char *address;
	char *driver; /* the one that has been loaded; NULL: whichever takes it */
	bool running, late;
	sd_event_source *child, *deadline;
};

struct autoprobe {
	bool on;
	bool warned; /* of a device that had its driver before its policy */
	struct autoprobe_record done;
	bool dirty; /* done is newer than its file */
	struct probe *probes; /* in the order in which they were asked for */
	size_t n_running; /* and are not late */
	sd_event_source *work_source;
};

static const char *record_dir = RUN_DIR;

void autoprobe_set_dir(const char *dir)
{
	record_dir = dir;
}

bool autoprobe_is_on(const struct manager *m)
{
	return m->autoprobe && m->autoprobe->on;
}

static void wake(struct autoprobe *autoprobe)
{
	sd_event_source_set_enabled(autoprobe->work_source, SD_EVENT_ONESHOT);
}

static void note_done(struct autoprobe *autoprobe, char ***names, const char *name)
{
	if (autoprobe_record_add(names, name) < 0)
		log_oom(); /* it would be asked for once more, which does no harm */
	autoprobe->dirty = true;
	wake(autoprobe);
}

/* -- probing, in processes of its own ----------------------------------------- */

static void probe_free(struct autoprobe *autoprobe, struct probe *probe)
{
	for (struct probe **p = &autoprobe->probes; *p; p = &(*p)->next)
		if (*p == probe) {
			*p = probe->next;
			break;
		}
	if (probe->running && !probe->late)
		autoprobe->n_running--;
	sd_event_source_disable_unref(probe->child);
	sd_event_source_disable_unref(probe->deadline);
	free(probe->address);
	free(probe->driver);
	free(probe);
}

/* Not before the end of the probe: whoever puts back after a daemon that was killed shall ask again. */
static void probe_ended(struct probe *probe)
{
	struct autoprobe *autoprobe = probe->manager->autoprobe;

	if (!probe->driver && autoprobe->on)
		note_done(autoprobe, &autoprobe->done.devices, probe->address);
	probe_free(autoprobe, probe);
	wake(autoprobe);
}

static int on_exit_of_child(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	struct probe *probe = userdata;

	(void)s;
	log_debug("%s: %s by %s", probe->address, si->si_status == EXIT_SUCCESS ? "taken" : "not taken",
		  probe->driver ? probe->driver : "a driver");
	probe_ended(probe);
	return 0;
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct probe *probe = userdata;

	(void)s;
	(void)usec;
	probe->late = true;
	probe->manager->autoprobe->n_running--;
	wake(probe->manager->autoprobe);
	return 0;
}

static void start_probe(struct manager *m, struct probe *probe)
{
	pid_t pid = fork();
	int r;

	if (pid == 0)
		put_back_child(probe->address, probe->driver, -1);
	if (pid < 0) {
		log_error("%s: cannot be given to its driver: %s (echo %s >/sys/bus/pci/drivers_probe does that)",
			  probe->address, strerror(errno), probe->address);
		probe_free(m->autoprobe, probe);
		return;
	}
	probe->running = true;
	m->autoprobe->n_running++;
	if ((r = sd_event_add_child(m->event, &probe->child, pid, WEXITED, on_exit_of_child, probe)) < 0 ||
	    (r = sd_event_add_time_relative(m->event, &probe->deadline, CLOCK_MONOTONIC, LATE_USEC, 0, on_deadline,
					    probe)) < 0) {
		/* It does its work all the same, and nobody hears of its end. */
		log_error("%s: cannot wait for its driver: %s", probe->address, strerror(-r));
		probe_ended(probe);
	}
}

static void ask(struct manager *m, const char *address, const char *driver)
{
	struct probe **last = &m->autoprobe->probes, *probe;

	for (; *last; last = &(*last)->next)
		if (!(*last)->running && strcmp((*last)->address, address) == 0 &&
		    strcmp(strempty((*last)->driver), strempty(driver)) == 0)
			return;
	probe = calloc(1, sizeof(*probe));
	if (probe)
		*probe = (struct probe){ .manager = m,
					 .address = strdup(address),
					 .driver = driver ? strdup(driver) : NULL };
	if (!probe || !probe->address || (driver && !probe->driver)) {
		log_oom();
		if (probe)
			probe_free(m->autoprobe, probe);
		return;
	}
	*last = probe;
	wake(m->autoprobe);
}

static int on_work(sd_event_source *s, void *userdata)
{
	struct manager *m = userdata;
	struct autoprobe *autoprobe = m->autoprobe;
	int r;

	(void)s;
	for (struct probe *probe = autoprobe->probes, *next; probe && autoprobe->n_running < RUNNING_MAX; probe = next) {
		next = probe->next;
		if (!probe->running)
			start_probe(m, probe);
	}
	if (!autoprobe->on || !autoprobe->dirty)
		return 0;
	autoprobe->dirty = false;
	r = autoprobe_record_write(record_dir, &autoprobe->done);
	if (r < 0)
		log_warning("%s/autoprobe cannot be written: %s", record_dir, strerror(-r));
	return 0;
}

void autoprobe_let_through(struct manager *m, const char *address)
{
	ask(m, address, NULL);
}

/* -- what comes and goes ------------------------------------------------------ */

/* It was too early for us: by the kernel's doing, or somebody else's. */
static void warn_of_bound(struct manager *m, const struct device *device)
{
	if (m->autoprobe->warned)
		return;
	m->autoprobe->warned = true;
	log_warning("%s had driver %s before its policy, though " SWITCH " is 0: this kernel does not keep to that for "
		    "devices that are plugged in (7.2 does), or somebody else has bound it; the kernel module "
		    "iommu_policy has a gate for any kernel", device->address, device->driver);
}

void autoprobe_device_came(struct manager *m, const char *address)
{
	const struct device *device = inventory_device(&m->inventory, address);

	/* One that has been dealt with is announced again by udevadm trigger, as at every boot. */
	if (!autoprobe_is_on(m) || !device || strv_contains(m->autoprobe->done.devices, address))
		return;
	if (device->driver) {
		if (device->group && !device->attributes.bridge)
			warn_of_bound(m, device);
		note_done(m->autoprobe, &m->autoprobe->done.devices, address);
	} else if (device->attributes.bridge || !device->group) {
		/* What is behind a bridge comes with its driver, as some groups do; with no IOMMU there is no policy. */
		autoprobe_let_through(m, address);
	} else {
		gate_hold(m, address);
	}
}

void autoprobe_device_went(struct manager *m, const char *address)
{
	if (!autoprobe_is_on(m))
		return;
	gate_forget(m, address);
	autoprobe_record_drop(m->autoprobe->done.devices, address);
	m->autoprobe->dirty = true;
	wake(m->autoprobe);
}

/* As driver_attach() does it, with all devices that are not waiting for their own turn. */
void autoprobe_driver_came(struct manager *m, const char *driver)
{
	if (!autoprobe_is_on(m))
		return;
	for (size_t i = 0; i < m->inventory.n_devices; i++) {
		const struct device *device = m->inventory.devices[i];

		if (!device->driver && strv_contains(m->autoprobe->done.devices, device->address))
			ask(m, device->address, driver);
	}
	note_done(m->autoprobe, &m->autoprobe->done.drivers, driver);
}

void autoprobe_driver_went(struct manager *m, const char *driver)
{
	if (!autoprobe_is_on(m))
		return;
	autoprobe_record_drop(m->autoprobe->done.drivers, driver);
	m->autoprobe->dirty = true;
	wake(m->autoprobe);
}

void autoprobe_resync(struct manager *m)
{
	_cleanup_strv_ char **drivers = NULL;

	if (!autoprobe_is_on(m))
		return;
	for (size_t i = 0; i < m->inventory.n_devices; i++)
		if (!strv_contains(m->autoprobe->done.devices, m->inventory.devices[i]->address) &&
		    !m->inventory.devices[i]->driver)
			autoprobe_device_came(m, m->inventory.devices[i]->address);
	if (sysfs_list_drivers(&drivers) < 0)
		return;
	for (char **driver = drivers; driver && *driver; driver++)
		if (!strv_contains(m->autoprobe->done.drivers, *driver))
			autoprobe_driver_came(m, *driver);
}

/* -- the switch --------------------------------------------------------------- */

static bool is_wanted(const struct manager *m)
{
	return m->settings.gate_autoprobe && m->settings.mode == MODE_ENFORCE && !m->stopping && !m->options->once &&
	       !module_is_there(m);
}

/* Everything that is there has been dealt with; what comes from now on has not. */
static int start_record(struct autoprobe *autoprobe)
{
	int r;

	if ((r = sysfs_list_devices(&autoprobe->done.devices)) < 0 ||
	    (r = sysfs_list_drivers(&autoprobe->done.drivers)) < 0)
		return r;
	/* Before the switch: there is no moment at which nobody would put it back. */
	return autoprobe_record_write(record_dir, &autoprobe->done);
}

static int switch_off(struct autoprobe *autoprobe)
{
	bool on;
	int r;

	autoprobe_record_clear(&autoprobe->done);
	r = sysfs_read_autoprobe(&on);
	if (r < 0)
		return r;
	if (!on) {
		/* A daemon that was killed, and nobody came after it to put it back. */
		r = autoprobe_record_read(record_dir, &autoprobe->done);
		return r == -ENOENT ? -EBUSY : r;
	}
	r = start_record(autoprobe);
	if (r >= 0)
		r = sysfs_write_autoprobe(false);
	if (r < 0)
		(void)autoprobe_record_remove(record_dir);
	return r;
}

static void turn_on(struct manager *m)
{
	int r = switch_off(m->autoprobe);

	if (r == -EBUSY)
		log_warning("Gate=autoprobe is left aside: " SWITCH " is 0 by somebody else's doing, who also gives "
			    "devices to their drivers (echo 1 >" SWITCH ", then reload)");
	else if (r < 0)
		log_warning("Gate=autoprobe is left aside, so devices that are plugged in meet their drivers first: "
			    SWITCH ": %s", strerror(-r));
	else
		log_info("Gate=autoprobe: " SWITCH " is 0 from now on, and the daemon gives devices to their drivers");
	m->autoprobe->on = r >= 0;
}

/* What waits need not wait any longer. The file goes last. */
static void turn_off(struct manager *m)
{
	int r;

	if (m->stopping) {
		/* The end of changes under way is waited for, and no longer. */
		m->autoprobe->on = false;
		(void)put_back(record_dir);
		return;
	}
	r = sysfs_write_autoprobe(true);
	if (r < 0) {
		log_error(SWITCH " cannot be written: %s", strerror(-r));
		return;
	}
	gate_let_all_through(m);
	m->autoprobe->on = false;
	(void)autoprobe_record_remove(record_dir);
	log_info("Gate=autoprobe is off: the kernel gives devices to their drivers by itself again");
}

void autoprobe_update(struct manager *m)
{
	struct autoprobe *autoprobe = m->autoprobe;

	/* Settings are read before there is anything to watch with. */
	if (!m->event || !m->gate || (!autoprobe && !is_wanted(m)))
		return;
	if (!autoprobe) {
		autoprobe = calloc(1, sizeof(*autoprobe));
		if (!autoprobe || sd_event_add_defer(m->event, &autoprobe->work_source, on_work, m) < 0) {
			free(autoprobe);
			log_oom();
			return;
		}
		m->autoprobe = autoprobe;
	}
	if (is_wanted(m) && !autoprobe->on)
		turn_on(m);
	else if (!is_wanted(m) && autoprobe->on)
		turn_off(m);
}

void autoprobe_stop(struct manager *m)
{
	struct autoprobe *autoprobe = m->autoprobe;

	if (!autoprobe)
		return;
	for (struct probe *probe = autoprobe->probes, *next; probe; probe = next) {
		next = probe->next;
		if (!probe->running && !autoprobe->on)
			start_probe(m, probe); /* nobody asks later */
	}
	while (autoprobe->probes)
		probe_free(autoprobe, autoprobe->probes);
	if (autoprobe->on)
		(void)put_back(record_dir);
	autoprobe_record_clear(&autoprobe->done);
	sd_event_source_disable_unref(autoprobe->work_source);
	free(autoprobe);
	m->autoprobe = NULL;
}
