/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <assert.h>
#include <errno.h>

#include "daemon/bus-digest.h"
#include "daemon/bus-told.h"

/* The properties that are told when they change, in the table's order. */
static size_t list(const sd_bus_vtable *vtable, const sd_bus_vtable **ret)
{
	size_t n = 0;

	for (const sd_bus_vtable *v = vtable; v->type != _SD_BUS_VTABLE_END; v++)
		if (v->type == _SD_BUS_VTABLE_PROPERTY && (v->flags & SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)) {
			assert(n < BUS_TOLD_MAX);
			ret[n++] = v;
		}
	return n;
}

/* The getters are asked as they are for a client; what they say is never sent. */
static int look(sd_bus *bus, const sd_bus_vtable *const *properties, size_t n, void *object, struct bus_told *ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_message_new_signal(bus, &message, BUS_ROOT, BUS_NAME, "Values");
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = properties[i]->x.property.get(bus, BUS_ROOT, BUS_NAME, properties[i]->x.property.member, message,
						  object, &error);
	if (r >= 0)
		r = sd_bus_message_seal(message, 1, 0);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		struct bus_digest digest = BUS_DIGEST_INIT;

		r = bus_digest_next(message, SIZE_MAX, &digest);
		ret->hashes[i] = digest.hash;
	}
	return r < 0 ? r : 0;
}

void bus_told_all(sd_bus *bus, const sd_bus_vtable *vtable, void *object, struct bus_told *told)
{
	const sd_bus_vtable *properties[BUS_TOLD_MAX] = {};

	/* Without them, everything is told once too often. */
	if (look(bus, properties, list(vtable, properties), object, told) < 0)
		*told = (struct bus_told){};
}

int bus_told_changes(sd_bus *bus, const char *path, const char *interface, const sd_bus_vtable *vtable, void *object,
		     struct bus_told *told)
{
	const sd_bus_vtable *properties[BUS_TOLD_MAX] = {};
	size_t n_properties = list(vtable, properties), n = 0;
	char *names[BUS_TOLD_MAX + 1] = {};
	struct bus_told now = {};
	int r;

	r = look(bus, properties, n_properties, object, &now);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_properties; i++)
		if (now.hashes[i] != told->hashes[i])
			names[n++] = (char *)properties[i]->x.property.member;
	if (n) {
		r = sd_bus_emit_properties_changed_strv(bus, path, interface, names);
		if (r < 0)
			return r;
	}
	*told = now;
	return 0;
}
