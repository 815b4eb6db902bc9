/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/bus-auth.h"
#include "daemon/bus-backlog.h"
#include "daemon/bus-told.h"
#include "daemon/log.h"
#include "daemon/policy-store.h"
#include "daemon/resume.h"

#define GROUP_PREFIX BUS_ROOT "/group"
#define DEVICE_PREFIX BUS_ROOT "/device"
#define DEFAULT_ADDRESS "unix:path=/run/dbus/system_bus_socket"
/* After uevents, workers, the gate and the groups' evaluation, which must not wait for callers, however many they are. */
#define BUS_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 3)
#define RETRY_USEC (1 * USEC_PER_SEC)

static int connect_bus(struct manager *m);

char *bus_group_path(const struct group *group)
{
	char number[16];
	char *path = NULL;

	snprintf(number, sizeof(number), "%u", group->id);
	return sd_bus_path_encode(GROUP_PREFIX, number, &path) < 0 ? NULL : path;
}

char *bus_device_path(const char *address)
{
	char *path = NULL;

	return sd_bus_path_encode(DEVICE_PREFIX, address, &path) < 0 ? NULL : path;
}

static int find_group(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
		      sd_bus_error *error)
{
	struct manager *m = userdata;
	_cleanup_free_ char *number = NULL;
	unsigned long id;
	char *end;
	int r;

	(void)bus;
	(void)interface;
	(void)error;
	r = sd_bus_path_decode(path, GROUP_PREFIX, &number);
	if (r <= 0)
		return r;
	if (*number < '0' || *number > '9')
		return 0;
	errno = 0;
	id = strtoul(number, &end, 10);
	if (errno || *end || id > INT32_MAX || (number[0] == '0' && number[1]))
		return 0;
	*ret = inventory_group(&m->inventory, (unsigned)id);
	return *ret != NULL;
}

static int find_device(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
		       sd_bus_error *error)
{
	struct manager *m = userdata;
	_cleanup_free_ char *address = NULL;
	int r;

	(void)bus;
	(void)interface;
	(void)error;
	r = sd_bus_path_decode(path, DEVICE_PREFIX, &address);
	if (r <= 0)
		return r;
	*ret = inventory_device(&m->inventory, address);
	return *ret != NULL;
}

static int list_groups(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
	struct manager *m = userdata;
	char **paths = calloc(m->inventory.n_groups + 1, sizeof(*paths));

	(void)bus;
	(void)prefix;
	(void)error;
	for (size_t i = 0; paths && i < m->inventory.n_groups; i++) {
		paths[i] = bus_group_path(m->inventory.groups[i]);
		if (!paths[i])
			paths = strv_free(paths);
	}
	*ret = paths;
	return paths ? 0 : -ENOMEM;
}

static int list_devices(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
	struct manager *m = userdata;
	char **paths = calloc(m->inventory.n_devices + 1, sizeof(*paths));

	(void)bus;
	(void)prefix;
	(void)error;
	for (size_t i = 0; paths && i < m->inventory.n_devices; i++) {
		paths[i] = bus_device_path(m->inventory.devices[i]->address);
		if (!paths[i])
			paths = strv_free(paths);
	}
	*ret = paths;
	return paths ? 0 : -ENOMEM;
}

static bool ready(const struct manager *m)
{
	return m->bus && sd_bus_is_ready(m->bus) > 0;
}

static void announce_group(struct manager *m, struct group *group)
{
	_cleanup_free_ char *path = bus_group_path(group);

	if (!path || group->published || !ready(m))
		return;
	group->published = sd_bus_emit_object_added(m->bus, path) >= 0;
	bus_told_all(m->bus, bus_group_vtable, group, &group->told);
}

static void announce_device(struct manager *m, struct device *device)
{
	_cleanup_free_ char *path = bus_device_path(device->address);

	if (!path || !ready(m))
		return;
	if (device->group)
		announce_group(m, device->group);
	if (device->published)
		return;
	device->published = sd_bus_emit_object_added(m->bus, path) >= 0;
	bus_told_all(m->bus, bus_device_vtable, device, &device->told);
}

static void flush_later(struct manager *m)
{
	if (m->flush_source)
		sd_event_source_set_enabled(m->flush_source, SD_EVENT_ONESHOT);
}

void bus_device_seen(struct manager *m, struct device *device)
{
	announce_device(m, device);
	device->dirty = true;
	flush_later(m);
}

void bus_devices_changed(struct manager *m, const struct group *group)
{
	for (size_t i = 0; i < group->n_devices; i++)
		bus_device_seen(m, group->devices[i]);
}

void bus_device_removed(struct manager *m, struct device *device)
{
	_cleanup_free_ char *path = bus_device_path(device->address);

	if (path && device->published && ready(m))
		sd_bus_emit_object_removed(m->bus, path);
}

void bus_group_removed(struct manager *m, struct group *group)
{
	_cleanup_free_ char *path = bus_group_path(group);

	bus_waiters_group_gone(m, group);
	if (path && group->published && ready(m))
		sd_bus_emit_object_removed(m->bus, path);
}

static bool flush_group(struct manager *m, struct group *group)
{
	_cleanup_free_ char *path = bus_group_path(group);

	announce_group(m, group);
	if (path)
		group->dirty = bus_told_changes(m->bus, path, BUS_NAME ".Group", bus_group_vtable, group,
						&group->told) < 0;
	return !group->dirty;
}

static bool flush_device(struct manager *m, struct device *device)
{
	_cleanup_free_ char *path = bus_device_path(device->address);

	announce_device(m, device);
	if (path)
		device->dirty = bus_told_changes(m->bus, path, BUS_NAME ".Device", bus_device_vtable, device,
						 &device->told) < 0;
	return !device->dirty;
}

bool bus_flush(struct manager *m)
{
	bool left = false;

	for (size_t i = 0; i < m->inventory.n_groups; i++)
		if (m->inventory.groups[i]->dirty)
			left |= !flush_group(m, m->inventory.groups[i]);
	for (size_t i = 0; i < m->inventory.n_devices; i++)
		if (m->inventory.devices[i]->dirty)
			left |= !flush_device(m, m->inventory.devices[i]);
	if (m->dirty)
		m->dirty = bus_told_changes(m->bus, BUS_ROOT, BUS_NAME ".Manager", bus_manager_vtable, m,
					    &m->told) < 0;
	return !left && !m->dirty;
}

static void flush_now(struct manager *m)
{
	/* What could not be told is tried again, and not only when something else changes. When joining, all is looked at. */
	if (!ready(m) || bus_flush(m))
		return;
	sd_event_source_set_time_relative(m->flush_timer, RETRY_USEC);
	sd_event_source_set_enabled(m->flush_timer, SD_EVENT_ONESHOT);
}

static int on_flush(sd_event_source *s, void *userdata)
{
	(void)s;
	flush_now(userdata);
	return 0;
}

static int on_flush_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	(void)s;
	(void)usec;
	flush_now(userdata);
	return 0;
}

void bus_group_changed(struct manager *m, struct group *group)
{
	group->dirty = true;
	flush_later(m);
}

void bus_manager_changed(struct manager *m)
{
	m->dirty = true;
	flush_later(m);
}

void bus_emit_decided(struct manager *m, const struct group *group, enum domain from)
{
	if (ready(m))
		sd_bus_emit_signal(m->bus, BUS_ROOT, BUS_NAME ".Manager", "Decided", "ussss", group->id,
				   domain_to_string(from),
				   domain_to_string(group->decided ? group->decision.target : DOMAIN_NONE),
				   state_to_string(group->state), strempty(group->reason));
}

void bus_policy_reloaded(struct manager *m, bool ok)
{
	bus_manager_changed(m);
	if (ready(m))
		sd_bus_emit_signal(m->bus, BUS_ROOT, BUS_NAME ".Manager", "PolicyReloaded", "tb", m->policy_generation,
				   ok);
}

static void disconnect(struct manager *m)
{
	bus_waiters_free(m);
	bus_auth_free(m);
	m->bus = sd_bus_close_unref(m->bus);
	m->backlog_calls = m->backlog_usec = 0;
	for (size_t i = 0; i < m->inventory.n_groups; i++)
		m->inventory.groups[i]->published = false;
	for (size_t i = 0; i < m->inventory.n_devices; i++)
		m->inventory.devices[i]->published = false;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)usec;
	if (connect_bus(m) < 0)
		bus_join_anew(m);
	return 0;
}

void bus_join_anew(struct manager *m)
{
	sd_event_source_set_time_relative(m->bus_retry_source, RETRY_USEC);
	sd_event_source_set_enabled(m->bus_retry_source, SD_EVENT_ONESHOT);
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;

	(void)message;
	(void)error;
	/* The bus may be restarted; it is not to be freed while it calls us. */
	log_debug("The bus has gone; joining again when it is back");
	bus_join_anew(m);
	return 0;
}

static int on_name(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const sd_bus_error *failure = sd_bus_message_get_error(message);

	(void)userdata;
	(void)error;
	if (failure)
		log_error("Cannot have the name %s on the bus: %s", BUS_NAME, failure->message);
	return 0;
}

static int on_connected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;

	(void)message;
	(void)error;
	log_debug("Joined the bus");
	policy_store_keep(m);
	/* Whoever looks from now on sees them; only what comes later needs an announcement. */
	for (size_t i = 0; i < m->inventory.n_groups; i++) {
		struct group *group = m->inventory.groups[i];

		group->published = true;
		bus_told_all(m->bus, bus_group_vtable, group, &group->told);
	}
	for (size_t i = 0; i < m->inventory.n_devices; i++) {
		struct device *device = m->inventory.devices[i];

		device->published = true;
		bus_told_all(m->bus, bus_device_vtable, device, &device->told);
	}
	bus_told_all(m->bus, bus_manager_vtable, m, &m->told);
	return 0;
}

int bus_add_objects(struct manager *m)
{
	int r;

	if ((r = sd_bus_add_filter(m->bus, NULL, bus_backlog_message, m)) < 0 ||
	    (r = sd_bus_add_object_manager(m->bus, NULL, BUS_ROOT)) < 0 ||
	    (r = sd_bus_add_object_vtable(m->bus, NULL, BUS_ROOT, BUS_NAME ".Manager", bus_manager_vtable, m)) < 0 ||
	    (r = sd_bus_add_fallback_vtable(m->bus, NULL, GROUP_PREFIX, BUS_NAME ".Group", bus_group_vtable, find_group,
					    m)) < 0 ||
	    (r = sd_bus_add_node_enumerator(m->bus, NULL, GROUP_PREFIX, list_groups, m)) < 0 ||
	    (r = sd_bus_add_fallback_vtable(m->bus, NULL, DEVICE_PREFIX, BUS_NAME ".Device", bus_device_vtable,
					    find_device, m)) < 0 ||
	    (r = sd_bus_add_node_enumerator(m->bus, NULL, DEVICE_PREFIX, list_devices, m)) < 0)
		return r;
	r = sd_bus_add_object(m->bus, NULL, BUS_LOG_PATH, bus_log_message, m);
	return r < 0 ? r : sd_bus_add_object_vtable(m->bus, NULL, BUS_LOG_PATH, BUS_LOG_INTERFACE, bus_log_vtable, m);
}

/* Returns at once: with "watch bind" the connection is made when the bus's socket appears. */
static int connect_bus(struct manager *m)
{
	const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
	int r;

	disconnect(m);
	if ((r = sd_bus_new(&m->bus)) < 0 || (r = sd_bus_set_description(m->bus, "system")) < 0 ||
	    (r = sd_bus_set_address(m->bus, address ? address : DEFAULT_ADDRESS)) < 0 ||
	    (r = sd_bus_set_bus_client(m->bus, true)) < 0 || (r = sd_bus_set_watch_bind(m->bus, true)) < 0 ||
	    (r = sd_bus_set_connected_signal(m->bus, true)) < 0 ||
	    (r = sd_bus_set_exit_on_disconnect(m->bus, false)) < 0 || (r = sd_bus_set_trusted(m->bus, false)) < 0 ||
	    /* No member takes a file descriptor, and a call that waits would keep what it came with open. */
	    (r = sd_bus_negotiate_fds(m->bus, false)) < 0 ||
	    (r = bus_add_objects(m)) < 0 ||
	    (r = sd_bus_match_signal_async(m->bus, NULL, "org.freedesktop.DBus.Local", NULL,
					   "org.freedesktop.DBus.Local", "Connected", on_connected, NULL, m)) < 0 ||
	    (r = sd_bus_match_signal_async(m->bus, NULL, "org.freedesktop.DBus.Local", NULL,
					   "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, m)) < 0 ||
	    (r = sd_bus_start(m->bus)) < 0 ||
	    /* From ourselves: a bus that reads nothing from a connection may not have seen that it was closed. */
	    (r = sd_bus_request_name_async(m->bus, NULL, BUS_NAME,
					   SD_BUS_NAME_ALLOW_REPLACEMENT | SD_BUS_NAME_REPLACE_EXISTING, on_name,
					   m)) < 0 ||
	    (r = resume_watch_bus(m)) < 0 ||
	    (r = sd_bus_attach_event(m->bus, m->event, BUS_PRIORITY)) < 0) {
		log_debug("Cannot join the bus: %s", strerror(-r));
		disconnect(m);
		return r;
	}
	return 0;
}

int bus_start(struct manager *m)
{
	int r;

	if ((r = sd_event_add_defer(m->event, &m->flush_source, on_flush, m)) < 0 ||
	    (r = sd_event_source_set_enabled(m->flush_source, SD_EVENT_OFF)) < 0 ||
	    (r = sd_event_source_set_priority(m->flush_source, BUS_PRIORITY)) < 0 ||
	    (r = sd_event_add_time_relative(m->event, &m->bus_retry_source, CLOCK_MONOTONIC, 0, 0, on_retry, m)) < 0 ||
	    (r = sd_event_source_set_enabled(m->bus_retry_source, SD_EVENT_OFF)) < 0 ||
	    (r = sd_event_add_time(m->event, &m->flush_timer, CLOCK_MONOTONIC, 0, 0, on_flush_timer, m)) < 0 ||
	    (r = sd_event_source_set_enabled(m->flush_timer, SD_EVENT_OFF)) < 0 ||
	    (r = sd_event_source_set_priority(m->flush_timer, BUS_PRIORITY)) < 0 || (r = bus_backlog_watch(m)) < 0)
		return r;
	if (connect_bus(m) < 0)
		bus_join_anew(m);
	return 0;
}

void bus_stop(struct manager *m)
{
	uint64_t n;

	/* Not sd_bus_flush(): it would wait for a bus that does not read for as long as that likes. */
	if (ready(m) && sd_bus_get_n_queued_write(m->bus, &n) >= 0 && n > 0)
		log_debug("Leaving the bus, which has not taken %llu messages", (unsigned long long)n);
	disconnect(m);
	bus_backlog_unwatch(m);
	m->flush_source = sd_event_source_disable_unref(m->flush_source);
	m->flush_timer = sd_event_source_disable_unref(m->flush_timer);
	m->bus_retry_source = sd_event_source_disable_unref(m->bus_retry_source);
}
