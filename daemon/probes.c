/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/probes.h"
#include "daemon/sysfs.h"
#include "daemon/util.h"

/* Drivers may take seconds, and a boot has many: as many at once, */
#define RUNNING_MAX 16
/* and one that takes longer than this keeps nobody else waiting. */
#define LATE_USEC (5 * USEC_PER_SEC)
/* When no process could be made, they go on waiting for this long. */
#define AGAIN_USEC (1 * USEC_PER_SEC)

struct probe {
	struct probe *next;
	struct probes *probes;
	char *address; /* NULL: it has gone */
	char *driver; /* NULL: whichever takes it */
	bool running, late;
	sd_event_source *child, *deadline;
};

struct probes {
	struct probe *first; /* in the order in which they were asked for */
	size_t n_running; /* and are not late */
	sd_event *event;
	sd_event_source *work_source, *again_source;
	probes_handler handler;
	void *userdata;
};

/* -- the process -------------------------------------------------------------- */

bool probe_is_unbound(const char *address)
{
	_cleanup_free_ char *driver = NULL;

	return sysfs_device_driver(address, &driver) >= 0 && !driver;
}

/*
 * drivers_probe does not tell that a driver has deferred its probe, and bind
 * does (EAGAIN, device_driver_attach() in drivers/base/dd.c). The kernel itself
 * would ask such a driver again when another one has got a device, and does not
 * while drivers_autoprobe is 0 (deferred_probe_work_func(), device_initial_probe()).
 */
static int bind_to_any(const char *address)
{
	_cleanup_strv_ char **drivers = NULL;
	int r = sysfs_list_drivers(&drivers), deferred = 0;

	if (r < 0)
		return -EAGAIN; /* later */
	for (char **driver = drivers; driver && *driver && probe_is_unbound(address); driver++)
		if (sysfs_bind(address, *driver) == -EAGAIN)
			deferred = -EAGAIN;
	return probe_is_unbound(address) ? deferred : 0;
}

_Noreturn void probe_child(const char *address, const char *driver, int keep_fd, bool look)
{
	sigset_t none;
	int r;

	if (keep_fd >= 0)
		(void)dup2(keep_fd, STDIN_FILENO);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	sigemptyset(&none);
	signal(SIGTERM, SIG_IGN);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* For the one: is it this driver's? For all: as the kernel does it when a device comes. */
	r = driver ? sysfs_bind(address, driver) : sysfs_probe(address);
	if (!driver && look)
		r = bind_to_any(address);
	_exit(r == -EAGAIN ? PROBE_DEFERRED : r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* -- the queue ---------------------------------------------------------------- */

static void wake(struct probes *probes)
{
	sd_event_source_set_enabled(probes->work_source, SD_EVENT_ONESHOT);
}

static void probe_free(struct probe *probe)
{
	struct probes *probes = probe->probes;

	for (struct probe **p = &probes->first; *p; p = &(*p)->next)
		if (*p == probe) {
			*p = probe->next;
			break;
		}
	if (probe->running && !probe->late)
		probes->n_running--;
	sd_event_source_disable_unref(probe->child);
	sd_event_source_disable_unref(probe->deadline);
	free(probe->address);
	free(probe->driver);
	free(probe);
}

static void probe_ended(struct probe *probe, bool deferred)
{
	struct probes *probes = probe->probes;
	_cleanup_free_ char *address = TAKE_PTR(probe->address), *driver = TAKE_PTR(probe->driver);

	probe_free(probe);
	wake(probes);
	probes->handler(probes->userdata, address, driver, deferred);
}

static int on_exit_of_child(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	struct probe *probe = userdata;
	bool deferred = si->si_code == CLD_EXITED && si->si_status == PROBE_DEFERRED;

	(void)s;
	/* Not again by itself: a driver may have made the kernel fail. */
	if (si->si_code != CLD_EXITED && probe->address)
		log_warning("%s: the process that gave it to its driver was killed (echo %s "
			    ">/sys/bus/pci/drivers_probe tries it once more)", probe->address, probe->address);
	log_debug("%s: %s by %s", probe->address ? probe->address : "A device that has gone",
		  deferred			? "put off" :
		  si->si_status == EXIT_SUCCESS ? "probed" :
						  "not taken",
		  probe->driver ? probe->driver : "its drivers");
	probe_ended(probe, deferred);
	return 0;
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct probe *probe = userdata;

	(void)s;
	(void)usec;
	probe->late = true;
	probe->probes->n_running--;
	wake(probe->probes);
	return 0;
}

/* False: not now. */
static bool start(struct probes *probes, struct probe *probe)
{
	pid_t pid = fork();
	int r;

	if (pid == 0)
		probe_child(probe->address, probe->driver, -1, true);
	if (pid < 0) {
		log_error("%s: cannot be given to its driver, and is in %u s if that is possible then: %s",
			  probe->address, (unsigned)(AGAIN_USEC / USEC_PER_SEC), strerror(errno));
		return false;
	}
	probe->running = true;
	probes->n_running++;
	if ((r = sd_event_add_child(probes->event, &probe->child, pid, WEXITED, on_exit_of_child, probe)) < 0 ||
	    (r = sd_event_add_time_relative(probes->event, &probe->deadline, CLOCK_MONOTONIC, LATE_USEC, 0,
					    on_deadline, probe)) < 0) {
		/* It does its work all the same, and nobody hears of its end. */
		log_error("%s: cannot wait for its driver: %s", probe->address, strerror(-r));
		probe_ended(probe, false);
	}
	return true;
}

static int on_work(sd_event_source *s, void *userdata)
{
	struct probes *probes = userdata;

	(void)s;
	for (struct probe *probe = probes->first, *next; probe && probes->n_running < RUNNING_MAX; probe = next) {
		next = probe->next;
		if (!probe->running && !probe->address)
			probe_ended(probe, false);
		else if (!probe->running && !start(probes, probe)) {
			sd_event_source_set_time_relative(probes->again_source, AGAIN_USEC);
			return sd_event_source_set_enabled(probes->again_source, SD_EVENT_ONESHOT);
		}
	}
	return 0;
}

static int on_again(sd_event_source *s, uint64_t usec, void *userdata)
{
	(void)s;
	(void)usec;
	wake(userdata);
	return 0;
}

static bool is_of(const struct probe *probe, const char *address)
{
	return probe->address && strcmp(probe->address, address) == 0;
}

void probes_ask(struct probes *probes, const char *address, const char *driver)
{
	struct probe **last = &probes->first, *probe;

	for (; *last; last = &(*last)->next)
		if (!(*last)->running && is_of(*last, address) &&
		    strcmp(strempty((*last)->driver), strempty(driver)) == 0)
			return;
	probe = calloc(1, sizeof(*probe));
	if (probe)
		*probe = (struct probe){ .probes = probes,
					 .address = strdup(address),
					 .driver = driver ? strdup(driver) : NULL };
	if (!probe || !probe->address || (driver && !probe->driver)) {
		log_oom();
		if (probe)
			probe_free(probe);
		return;
	}
	*last = probe;
	wake(probes);
}

bool probes_pending(const struct probes *probes, const char *address, const char *driver)
{
	for (const struct probe *probe = probes->first; probe; probe = probe->next)
		if (!probe->late && (!address || (!probe->driver && is_of(probe, address))) &&
		    (!driver || strcmp(strempty(probe->driver), driver) == 0))
			return true;
	return false;
}

void probes_forget(struct probes *probes, const char *address)
{
	for (struct probe *probe = probes->first; probe; probe = probe->next)
		if (is_of(probe, address)) {
			free(probe->address);
			probe->address = NULL;
			wake(probes);
		}
}

struct probes *probes_new(sd_event *event, probes_handler handler, void *userdata)
{
	struct probes *probes = calloc(1, sizeof(*probes));

	if (!probes)
		return NULL;
	*probes = (struct probes){ .event = sd_event_ref(event), .handler = handler, .userdata = userdata };
	if (sd_event_add_defer(event, &probes->work_source, on_work, probes) < 0 ||
	    sd_event_add_time_relative(event, &probes->again_source, CLOCK_MONOTONIC, 0, 0, on_again, probes) < 0 ||
	    sd_event_source_set_enabled(probes->again_source, SD_EVENT_OFF) < 0) {
		probes_free(probes);
		return NULL;
	}
	return probes;
}

void probes_free(struct probes *probes)
{
	if (!probes)
		return;
	while (probes->first)
		probe_free(probes->first);
	sd_event_source_disable_unref(probes->work_source);
	sd_event_source_disable_unref(probes->again_source);
	sd_event_unref(probes->event);
	free(probes);
}
