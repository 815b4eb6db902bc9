/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/bus.h"

#include <errno.h>
#include <stdarg.h>

#include "ctl/agent.h"
#include "ctl/display.h"
#include "ctl/failure.h"
#include "ctl/util.h"

static int complain_connect(const struct ctl *ctl, int r)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	const char *doing = "connecting to the D-Bus system bus";

	if (r == -ENOENT || r == -ECONNREFUSED)
		sd_bus_error_setf(&error, SD_BUS_ERROR_NO_SERVER, "%s", strerror(-r));
	return bus_complain(ctl, doing, &error, r);
}

int bus_connect(struct ctl *ctl)
{
	int r;

	if (ctl->bus)
		return 0;
	r = ctl->arguments.host ? sd_bus_open_system_remote(&ctl->bus, ctl->arguments.host)
				: sd_bus_open_system(&ctl->bus);
	if (r >= 0)
		r = sd_bus_set_allow_interactive_authorization(ctl->bus,
							       !ctl->arguments.no_ask_password);
	return r < 0 ? complain_connect(ctl, r) : 0;
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

int bus_check_version(uint32_t version, sd_bus_error *error)
{
	if (version >= BUS_INTERFACE_VERSION)
		return 0;
	sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
			 "the daemon is older than this command");
	return -EPROTO;
}

static int ask_version(struct ctl *ctl, sd_bus_error *error)
{
	uint32_t version = 0;
	int r;

	if (ctl->version_checked)
		return 0;
	r = sd_bus_get_property_trivial(ctl->bus, BUS_NAME, BUS_ROOT, BUS_MANAGER,
					"InterfaceVersion", error, 'u', &version);
	/* Whatever does not know the property is older than it. */
	if (r < 0 && !sd_bus_error_has_names(error, SD_BUS_ERROR_UNKNOWN_PROPERTY,
					     SD_BUS_ERROR_UNKNOWN_INTERFACE,
					     SD_BUS_ERROR_UNKNOWN_OBJECT,
					     SD_BUS_ERROR_INVALID_ARGS))
		return r;
	sd_bus_error_free(error);
	r = bus_check_version(version, error);
	ctl->version_checked = r >= 0;
	return r;
}

/* What polkit may want a password for. */
static bool is_change(const char *method)
{
	static const char *const changes[] = { "Reload", "Apply", "ApplyGroup", "SetGroupType",
					       "Restore" };

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		if (streq(method, changes[i]))
			return true;
	return false;
}

int bus_call_manager(struct ctl *ctl, const char *method, bool with_options, sd_bus_error *error,
		     sd_bus_message **reply, const char *types, ...)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	va_list args;
	int r;

	if (is_change(method))
		agent_open(ctl);
	r = ask_version(ctl, error);
	if (r < 0)
		return r;
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

/* What to say of a call, before it is escaped. Static storage, or ERROR's. */
struct failure {
	const char *name; /* of the error, as D-Bus has it */
	const char *message;
	const char *hint;
};

/* ssh has said on standard error what is wrong; the bus only sees that there is no more to read. */
static bool is_cut_off(const struct ctl *ctl, int r)
{
	return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE || r == -ESHUTDOWN ||
	       (ctl->bus && sd_bus_is_open(ctl->bus) <= 0);
}

static void describe_failure(const struct ctl *ctl, const sd_bus_error *error, int r,
			     struct failure *ret)
{
	bool can_force = ctl->arguments.verb->options & VERB_FORCE && !ctl->arguments.force;

	if (ctl->arguments.host && is_cut_off(ctl, r)) {
		ret->name = SD_BUS_ERROR_DISCONNECTED;
		ret->message = "the connection through ssh was closed";
		ret->hint = "does 'ssh' with that host run 'systemd-stdio-bridge'?";
		return;
	}
	if (!sd_bus_error_is_set(error)) {
		/* The answer did not have the shape that it must have. */
		bool shape = r == -EBADMSG || r == -ENXIO || r == -EPROTO;

		ret->name = shape ? SD_BUS_ERROR_INVALID_SIGNATURE : SD_BUS_ERROR_FAILED;
		ret->message = shape ? "the answer is not understood" : strerror(-r);
		ret->hint = shape ? outcome_hint(ret->name, false) : "";
		return;
	}
	ret->name = error->name;
	ret->message = str_or(error->message, error->name);
	ret->hint = outcome_hint(error->name, can_force);
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		ret->message = "iommu-policyd is not running";
}

int bus_complain(const struct ctl *ctl, const char *doing, const sd_bus_error *error, int r)
{
	_cleanup_free_ char *what = display_escape(doing), *said = NULL;
	struct failure failure;

	describe_failure(ctl, error, r, &failure);
	said = display_escape(failure.message);
	if (!what || !said)
		return complain_memory();

	complain("%s%s%s%s%s%s", what, *what ? ": " : "", said, *failure.hint ? " (" : "",
		 failure.hint, *failure.hint ? ")" : "");
	if (failure_document(ctl, failure.name, failure.message, failure.hint) != EXIT_CODE_DONE)
		return EXIT_CODE_FAILED;
	return sd_bus_error_is_set(error) ? outcome_of_error(error->name) : EXIT_CODE_FAILED;
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
