/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/bus.h"

#include <errno.h>
#include <stdarg.h>

#include "ctl/display.h"
#include "ctl/util.h"

int bus_connect(struct ctl *ctl)
{
	int r;

	if (ctl->bus)
		return 0;
	r = sd_bus_open_system(&ctl->bus);
	if (r == -ENOENT || r == -ECONNREFUSED) {
		complain("cannot reach the D-Bus system bus: %s (is dbus running?)", strerror(-r));
		return EXIT_CODE_FAILED;
	}
	if (r < 0) {
		complain("cannot connect to the D-Bus system bus: %s", strerror(-r));
		return EXIT_CODE_FAILED;
	}
	return 0;
}

static int append_options(sd_bus_message *m, const struct arguments *arguments)
{
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	if (r >= 0 && arguments->rebind)
		r = sd_bus_message_append(m, "{sv}", "rebind", "b", 1);
	if (r >= 0 && arguments->force)
		r = sd_bus_message_append(m, "{sv}", "force", "b", 1);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int bus_call_manager(struct ctl *ctl, const char *method, bool with_options, sd_bus_error *error,
		     sd_bus_message **reply, const char *types, ...)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	va_list args;
	int r;

	r = sd_bus_message_new_method_call(ctl->bus, &m, BUS_NAME, BUS_ROOT, BUS_MANAGER, method);
	if (r < 0)
		return r;
	if (types && *types) {
		va_start(args, types);
		r = sd_bus_message_appendv(m, types, args);
		va_end(args);
		if (r < 0)
			return r;
	}
	if (with_options) {
		r = append_options(m, &ctl->arguments);
		if (r < 0)
			return r;
	}
	return sd_bus_call(ctl->bus, m, BUS_TIMEOUT_USEC, error, reply);
}

int bus_complain(const struct ctl *ctl, const char *doing, const sd_bus_error *error, int r)
{
	_cleanup_free_ char *what = display_escape(doing), *said = NULL;
	const char *hint;
	bool can_force;

	if (!sd_bus_error_is_set(error)) {
		/* The answer did not have the shape that it must have. */
		if (r == -EBADMSG || r == -ENXIO || r == -EPROTO)
			complain("%s: the answer is not understood (%s)", str_or(what, doing),
				 outcome_hint(SD_BUS_ERROR_INVALID_SIGNATURE, false));
		else
			complain("%s: %s", str_or(what, doing), strerror(-r));
		return EXIT_CODE_FAILED;
	}

	can_force = ctl->arguments.verb->options & VERB_FORCE && !ctl->arguments.force;
	hint = outcome_hint(error->name, can_force);
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		said = strdup("iommu-policyd is not running");
	else
		said = display_escape(str_or(error->message, error->name));
	if (!what || !said)
		return complain_memory();

	complain(*hint ? "%s: %s (%s)" : "%s: %s", what, said, hint);
	return outcome_of_error(error->name);
}

int bus_resolve_group(struct ctl *ctl, const struct target *target, uint32_t *ret)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_free_ char *number = NULL;
	struct target group;
	const char *path;
	char doing[64];
	int r;

	if (target->kind == TARGET_GROUP) {
		*ret = target->group;
		return 0;
	}

	snprintf(doing, sizeof(doing), "looking for the group of %s", target->address);
	r = bus_call_manager(ctl, "GetGroupByDevice", false, &error, &reply, "s", target->address);
	if (r < 0)
		return bus_complain(ctl, doing, &error, r);
	r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		r = sd_bus_path_decode(path, BUS_GROUPS, &number);
	if (r < 0)
		return bus_complain(ctl, doing, NULL, r);
	if (r == 0 || target_parse(number, &group) < 0 || group.kind != TARGET_GROUP)
		return bus_complain(ctl, doing, NULL, -EPROTO);
	*ret = group.group;
	return 0;
}
