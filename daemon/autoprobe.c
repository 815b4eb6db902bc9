/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/autoprobe-record.h"
#include "daemon/autoprobe.h"
#include "daemon/gate.h"
#include "daemon/kernel.h"
#include "daemon/log.h"
#include "daemon/module.h"
#include "daemon/options.h"
#include "daemon/probes.h"
#include "daemon/put-back.h"
#include "daemon/state-file.h"
#include "daemon/sysfs-machine.h"

#define SWITCH "/sys/bus/pci/drivers_autoprobe"
/* When a driver that has put a device off is asked again, twice as late each time, if nothing has happened before. */
#define RETRY_MIN_USEC (1 * USEC_PER_SEC)
#define RETRY_MAX_USEC (64 * USEC_PER_SEC)
/* The kernel has got to a device by then. */
#define NEW_USEC (10 * USEC_PER_SEC)

struct autoprobe {
	bool on;
	bool warned; /* of a device that had its driver before its policy */
	struct autoprobe_record done;
	bool dirty; /* done is newer than its file */
	char **deferred; /* devices whose driver wants to be asked again */
	uint64_t retry_usec;
	struct probes *probes;
	sd_event_source *write_source, *retry_source;
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

/* -- the record --------------------------------------------------------------- */

static void write_later(struct autoprobe *autoprobe)
{
	autoprobe->dirty = true;
	sd_event_source_set_enabled(autoprobe->write_source, SD_EVENT_ONESHOT);
}

static void note_done(struct autoprobe *autoprobe, char ***names, const char *name)
{
	if (autoprobe_record_add(names, name) < 0)
		log_oom(); /* it would be asked for once more, which does no harm */
	write_later(autoprobe);
}

static void note_not_done(struct autoprobe *autoprobe, char **names, const char *name)
{
	autoprobe_record_drop(names, name);
	write_later(autoprobe);
}

static int on_write(sd_event_source *s, void *userdata)
{
	struct autoprobe *autoprobe = userdata;
	int r;

	(void)s;
	if (!autoprobe->on || !autoprobe->dirty)
		return 0;
	autoprobe->dirty = false;
	r = autoprobe_record_write(record_dir, &autoprobe->done);
	if (r < 0)
		log_warning("%s/autoprobe cannot be written: %s", record_dir, strerror(-r));
	return 0;
}

/* -- probing ------------------------------------------------------------------ */

/* What its driver has put off is asked for again: something that it needs may have come. */
static void retry(struct manager *m)
{
	_cleanup_strv_ char **addresses = TAKE_PTR(m->autoprobe->deferred);

	for (char **address = addresses; address && *address; address++)
		if (inventory_device(&m->inventory, *address))
			probes_ask(m->autoprobe->probes, *address, NULL);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)usec;
	if (m->autoprobe->retry_usec < RETRY_MAX_USEC)
		m->autoprobe->retry_usec *= 2;
	retry(m);
	return 0;
}

static void note_deferred(struct manager *m, const char *address)
{
	struct autoprobe *autoprobe = m->autoprobe;

	if (!inventory_device(&m->inventory, address))
		return;
	/* Whoever puts back gives it to the kernel, which has a list of its own. */
	note_not_done(autoprobe, autoprobe->done.devices, address);
	if (!strv_contains(autoprobe->deferred, address) && strv_add(&autoprobe->deferred, address) < 0)
		log_oom();
	sd_event_source_set_time_relative(autoprobe->retry_source, autoprobe->retry_usec);
	sd_event_source_set_enabled(autoprobe->retry_source, SD_EVENT_ONESHOT);
}

/* Done not before the end of the probe: whoever puts back after a daemon that was killed shall ask again. */
static void on_probe_ended(void *userdata, const char *address, const char *driver, bool deferred)
{
	struct manager *m = userdata;
	struct autoprobe *autoprobe = m->autoprobe;

	if (!autoprobe->on) {
		/* The setting was taken away, and this was the last that had waited. */
		if (!m->stopping && !probes_pending(autoprobe->probes, NULL, NULL))
			(void)autoprobe_record_remove(record_dir);
		return;
	}
	if (address && deferred)
		note_deferred(m, address);
	else if (address && !driver)
		note_done(autoprobe, &autoprobe->done.devices, address);
	if (driver && !probes_pending(autoprobe->probes, NULL, driver) && sysfs_driver_exists(driver))
		note_done(autoprobe, &autoprobe->done.drivers, driver);
}

void autoprobe_let_through(struct manager *m, const char *address)
{
	probes_ask(m->autoprobe->probes, address, NULL);
}

/* -- what comes and goes ------------------------------------------------------ */

/* It was too early for us: by somebody else's doing. */
static void warn_of_bound(struct manager *m, const struct device *device)
{
	if (m->autoprobe->warned)
		return;
	m->autoprobe->warned = true;
	log_warning("%s had driver %s before its policy, in spite of Gate=autoprobe: somebody else has bound it, or has "
		    "written to " SWITCH, device->address, device->driver);
}

void autoprobe_device_came(struct manager *m, const char *address, bool news)
{
	const struct device *device = inventory_device(&m->inventory, address);

	if (!autoprobe_is_on(m))
		return;
	/* It could not be read: no policy, and nobody would think of it again. */
	if (!device) {
		autoprobe_let_through(m, address);
		return;
	}
	/*
	 * One that has been dealt with is announced again by udevadm trigger, as at every boot. News of one is
	 * something else: it was seen when all was switched off, and the kernel had not got to it yet.
	 */
	if (strv_contains(m->autoprobe->done.devices, address)) {
		if (!news || device->driver)
			return;
		note_not_done(m->autoprobe, m->autoprobe->done.devices, address);
	}
	if (device->driver) {
		if (device->group && !device->attributes.bridge)
			warn_of_bound(m, device);
		note_done(m->autoprobe, &m->autoprobe->done.devices, address);
	} else if (device->attributes.bridge || !device->group) {
		/* What is behind a bridge comes with its driver, as some groups do; with no IOMMU there is no policy. */
		autoprobe_let_through(m, address);
	} else {
		gate_hold(m, address, news);
	}
}

void autoprobe_device_went(struct manager *m, const char *address)
{
	if (!autoprobe_is_on(m))
		return;
	gate_forget(m, address);
	probes_forget(m->autoprobe->probes, address);
	autoprobe_record_drop(m->autoprobe->deferred, address);
	note_not_done(m->autoprobe, m->autoprobe->done.devices, address);
}

void autoprobe_device_bound(struct manager *m)
{
	if (!autoprobe_is_on(m) || strv_len(m->autoprobe->deferred) == 0)
		return;
	m->autoprobe->retry_usec = RETRY_MIN_USEC;
	retry(m);
}

/*
 * As driver_attach() does it, with all devices that are not waiting for their own turn. Also while one is being
 * offered to all drivers: that process may have listed them before this one came.
 */
void autoprobe_driver_came(struct manager *m, const char *driver)
{
	if (!autoprobe_is_on(m))
		return;
	for (size_t i = 0; i < m->inventory.n_devices; i++) {
		const struct device *device = m->inventory.devices[i];

		if (!device->driver && !gate_holds(m, device->address))
			probes_ask(m->autoprobe->probes, device->address, driver);
	}
	if (!probes_pending(m->autoprobe->probes, NULL, driver))
		note_done(m->autoprobe, &m->autoprobe->done.drivers, driver);
	autoprobe_device_bound(m);
}

void autoprobe_driver_went(struct manager *m, const char *driver)
{
	if (autoprobe_is_on(m))
		note_not_done(m->autoprobe, m->autoprobe->done.drivers, driver);
}

void autoprobe_resync(struct manager *m)
{
	_cleanup_strv_ char **drivers = NULL;

	if (!autoprobe_is_on(m))
		return;
	for (size_t i = 0; i < m->inventory.n_devices; i++)
		if (!m->inventory.devices[i]->driver)
			autoprobe_device_came(m, m->inventory.devices[i]->address, false);
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
	       !module_is_there(m) && (m->inventory.n_groups > 0 || sysfs_has_iommu());
}

/* What the kernel has on its list of those to ask again, it would take from there and leave alone. */
static void drop_deferred(struct autoprobe *autoprobe)
{
	_cleanup_strv_ char **addresses = NULL;

	/* Where that is not told (debugfs), they have their driver at the next change of the switch. */
	if (sysfs_list_deferred(&addresses) < 0)
		return;
	for (char **address = addresses; address && *address; address++)
		note_not_done(autoprobe, autoprobe->done.devices, *address);
}

/*
 * A device is announced, and has its place in sysfs, before the kernel gives it
 * to its driver (pci_bus_add_device()): the 0 may come between the two.
 */
static bool has_just_come(const struct manager *m, const char *address)
{
	const struct device *device = inventory_device(&m->inventory, address);

	return device && !device->driver && device->came_usec &&
	       now_usec(CLOCK_MONOTONIC) < device->came_usec + NEW_USEC;
}

/* Everything that is there has been dealt with; what comes from now on has not. */
static int start_record(struct manager *m)
{
	struct autoprobe *autoprobe = m->autoprobe;
	_cleanup_strv_ char **devices = NULL, **drivers = NULL;
	int r;

	if ((r = sysfs_list_devices(&devices)) < 0 || (r = sysfs_list_drivers(&drivers)) < 0)
		return r;
	/* But for what is still under way since it was switched on. */
	for (char **address = devices; address && *address; address++)
		if (!probes_pending(autoprobe->probes, *address, NULL) && !has_just_come(m, *address) &&
		    (r = strv_add(&autoprobe->done.devices, *address)) < 0)
			return r;
	for (char **driver = drivers; driver && *driver; driver++)
		if (!probes_pending(autoprobe->probes, NULL, *driver) &&
		    (r = strv_add(&autoprobe->done.drivers, *driver)) < 0)
			return r;
	drop_deferred(autoprobe);
	/* Before the switch: there is no moment at which nobody would put it back. */
	return autoprobe_record_write(record_dir, &autoprobe->done);
}

/* What a daemon that was killed has left, and nobody came after it to put it back. */
static int take_over(struct autoprobe *autoprobe)
{
	int r = autoprobe_record_read(record_dir, &autoprobe->done);

	if (r >= 0 || r == -ENOENT)
		return r;
	/* It is there, so the switch is the daemon's doing. Which devices wait is not known: all that have no driver. */
	log_error("%s/autoprobe cannot be read: %s", record_dir, state_file_describe(r));
	write_later(autoprobe);
	return 0;
}

static int switch_off(struct manager *m)
{
	struct autoprobe *autoprobe = m->autoprobe;
	bool on;
	int r;

	autoprobe_record_clear(&autoprobe->done);
	if (!kernel_honours_autoprobe())
		return -EOPNOTSUPP;
	r = sysfs_read_autoprobe(&on);
	if (r < 0)
		return r;
	/* Of a record that this daemon itself has left the probes know more. */
	r = on && m->inventory.n_devices > 0 ? -ENOENT : take_over(autoprobe);
	if (r == -ENOENT && !on)
		return -EBUSY;
	if (r == -ENOENT)
		r = start_record(m);
	if (r >= 0 && on)
		r = sysfs_write_autoprobe(false);
	if (r < 0) {
		(void)autoprobe_record_remove(record_dir);
		return r;
	}
	/* Meanwhile there may be more of them. */
	drop_deferred(autoprobe);
	return 0;
}

static void tell(int r)
{
	if (r == -EOPNOTSUPP)
		log_warning("Gate=autoprobe is left aside: before Linux 6.19, devices that are plugged in get their drivers "
			    "whatever " SWITCH " is; the kernel module iommu_policy has a gate for any kernel");
	else if (r == -EBUSY)
		log_warning("Gate=autoprobe is left aside: " SWITCH " is 0 by somebody else's doing, who also gives "
			    "devices to their drivers (echo 1 >" SWITCH ", then reload)");
	else if (r < 0)
		log_warning("Gate=autoprobe is left aside, so devices that are plugged in meet their drivers first: "
			    SWITCH ": %s", strerror(-r));
	else
		log_info("Gate=autoprobe: " SWITCH " is 0 from now on, and the daemon gives devices to their drivers");
}

static void turn_on(struct manager *m)
{
	int r = switch_off(m);

	/* Or it is only taken over. */
	if (r < 0 || is_wanted(m))
		tell(r);
	m->autoprobe->on = r >= 0;
	m->autoprobe->retry_usec = RETRY_MIN_USEC;
	/* At the start nothing is known yet, and start() does it when something is. */
	if (m->inventory.n_devices > 0)
		autoprobe_resync(m);
}

/* What waits need not wait any longer. The file goes last. */
static void turn_off(struct manager *m)
{
	struct autoprobe *autoprobe = m->autoprobe;
	int r = sysfs_write_autoprobe(true);

	if (r < 0)
		log_error(SWITCH " cannot be written: %s", strerror(-r));
	if (m->stopping) {
		/* The end of changes under way is waited for, and no longer. */
		autoprobe->on = false;
		(void)put_back(record_dir);
		return;
	}
	if (r < 0)
		return;
	gate_let_all_through(m);
	retry(m);
	autoprobe->on = false;
	if (!probes_pending(autoprobe->probes, NULL, NULL))
		(void)autoprobe_record_remove(record_dir);
	log_info("Gate=autoprobe is off: the kernel gives devices to their drivers by itself again");
}

static void autoprobe_free(struct autoprobe *autoprobe)
{
	probes_free(autoprobe->probes);
	autoprobe_record_clear(&autoprobe->done);
	strv_free(autoprobe->deferred);
	sd_event_source_disable_unref(autoprobe->write_source);
	sd_event_source_disable_unref(autoprobe->retry_source);
	free(autoprobe);
}

static struct autoprobe *autoprobe_new(struct manager *m)
{
	struct autoprobe *autoprobe = calloc(1, sizeof(*autoprobe));

	if (!autoprobe)
		return NULL;
	autoprobe->probes = probes_new(m->event, on_probe_ended, m);
	if (!autoprobe->probes || sd_event_add_defer(m->event, &autoprobe->write_source, on_write, autoprobe) < 0 ||
	    sd_event_add_time_relative(m->event, &autoprobe->retry_source, CLOCK_MONOTONIC, 0, 0, on_retry, m) < 0 ||
	    sd_event_source_set_enabled(autoprobe->retry_source, SD_EVENT_OFF) < 0) {
		autoprobe_free(autoprobe);
		return NULL;
	}
	return autoprobe;
}

static void set(struct manager *m, bool on)
{
	/* Settings are read before there is anything to watch with. */
	if (!m->event || !m->gate || (!m->autoprobe && !on))
		return;
	if (!m->autoprobe && !(m->autoprobe = autoprobe_new(m))) {
		log_oom();
		return;
	}
	if (on && !m->autoprobe->on)
		turn_on(m);
	else if (!on && m->autoprobe->on)
		turn_off(m);
}

void autoprobe_update(struct manager *m)
{
	set(m, is_wanted(m));
}

void autoprobe_start(struct manager *m)
{
	set(m, is_wanted(m) || autoprobe_record_exists(record_dir));
}

void autoprobe_started(struct manager *m)
{
	autoprobe_resync(m);
	/* What was left aside was told already. */
	if (!is_wanted(m))
		set(m, false);
}

void autoprobe_stop(struct manager *m)
{
	if (!m->autoprobe)
		return;
	autoprobe_free(TAKE_PTR(m->autoprobe));
	/* Where it is on still, or where what had waited when it was switched off has not had its turn. */
	(void)put_back(record_dir);
}
