/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/outcome.h"

#include "config.h"

#include <stddef.h>

#include "ctl/util.h"

#define OURS "org.iommupolicy1.Error."
#define DBUS "org.freedesktop.DBus.Error."
#if ENABLE_POLKIT
#define AUTH_HINT "use sudo, or allow it by a polkit rule, see org.iommupolicy1(5)"
#else
#define AUTH_HINT "use sudo: without polkit, root alone may"
#endif
#define LOG_HINT "see 'systemctl status iommu-policyd' and 'journalctl -xe -u iommu-policyd'"
#define VERSION_HINT "is the daemon of another version? systemctl restart iommu-policyd"

static const struct state {
	const char *name;
	enum exit_code code;
	enum style style;
} states[] = {
	{ "unmanaged", EXIT_CODE_DONE, STYLE_DIM },
	{ "compliant", EXIT_CODE_DONE, STYLE_GOOD },
	{ "pending", EXIT_CODE_PENDING, STYLE_WAIT },
	{ "applying", EXIT_CODE_PENDING, STYLE_WAIT },
	{ "refused", EXIT_CODE_REFUSED, STYLE_BAD },
	{ "failed", EXIT_CODE_FAILED, STYLE_BAD },
	{ "user-owned", EXIT_CODE_REFUSED, STYLE_WAIT },
};

static const struct failure {
	const char *name;
	enum exit_code code;
	const char *hint;
	const char *force_hint; /* where --force could still be given; NULL: the same */
} failures[] = {
	{ OURS "NoSuchGroup", EXIT_CODE_FAILED, "'iommu-policyctl list groups' shows them all",
	  NULL },
	{ OURS "NoSuchDevice", EXIT_CODE_FAILED, "'iommu-policyctl list devices' shows them all",
	  NULL },
	{ OURS "PolicyInvalid", EXIT_CODE_FAILED, "'iommu-policyctl check' lists the errors",
	  NULL },
	{ OURS "InUse", EXIT_CODE_REFUSED, "stop what uses it",
	  "stop what uses it, or add --force" },
	{ OURS "UserOwned", EXIT_CODE_REFUSED,
	  "it is tried again when its user (VFIO, iommufd) lets go", NULL },
	{ OURS "RequiresDirect", EXIT_CODE_REFUSED,
	  "the firmware needs its memory mapped 1:1; choose DMA instead of blocked", NULL },
	{ OURS "Untrusted", EXIT_CODE_REFUSED, "the device can be plugged in from outside",
	  "the device can be plugged in from outside; add --force if you trust it" },
	{ OURS "KernelRefused", EXIT_CODE_REFUSED,
	  "see 'journalctl -u iommu-policyd' and the kernel's log", NULL },
	{ OURS "Timeout", EXIT_CODE_FAILED,
	  "see 'iommu-policyctl status' and 'journalctl -u iommu-policyd'", NULL },
	{ OURS "NotAuthorized", EXIT_CODE_FAILED, AUTH_HINT, NULL },
	{ DBUS "AccessDenied", EXIT_CODE_FAILED, AUTH_HINT, NULL },
	{ DBUS "InteractiveAuthorizationRequired", EXIT_CODE_FAILED, AUTH_HINT, NULL },
	{ DBUS "Failed", EXIT_CODE_FAILED, "see 'journalctl -u iommu-policyd'", NULL },
	{ DBUS "LimitsExceeded", EXIT_CODE_FAILED, "try again when other calls have ended", NULL },
	{ DBUS "ServiceUnknown", EXIT_CODE_FAILED, "systemctl start iommu-policyd", NULL },
	{ DBUS "NameHasNoOwner", EXIT_CODE_FAILED, "systemctl start iommu-policyd", NULL },
	{ DBUS "NotSupported", EXIT_CODE_FAILED, "restart it: systemctl restart iommu-policyd",
	  NULL },
	{ DBUS "NoServer", EXIT_CODE_FAILED, "is dbus running?", NULL },
	{ DBUS "NoReply", EXIT_CODE_FAILED, "see 'journalctl -u iommu-policyd'", NULL },
	{ DBUS "Disconnected", EXIT_CODE_FAILED, "is the D-Bus system bus being restarted?", NULL },
	{ DBUS "TimedOut", EXIT_CODE_FAILED, "see 'systemctl status iommu-policyd'", NULL },
	{ DBUS "UnknownMethod", EXIT_CODE_FAILED, VERSION_HINT, NULL },
	{ DBUS "UnknownInterface", EXIT_CODE_FAILED, VERSION_HINT, NULL },
	{ DBUS "UnknownObject", EXIT_CODE_FAILED, VERSION_HINT, NULL },
	{ DBUS "InvalidSignature", EXIT_CODE_FAILED, VERSION_HINT, NULL },
	{ DBUS "UnknownProperty", EXIT_CODE_FAILED, VERSION_HINT, NULL },
};

static const struct state *find_state(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (streq(states[i].name, name))
			return &states[i];
	return NULL;
}

static const struct failure *find_failure(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(failures); i++)
		if (streq(failures[i].name, name))
			return &failures[i];
	return NULL;
}

enum exit_code outcome_of_state(const char *state)
{
	const struct state *s = find_state(state);

	return s ? s->code : EXIT_CODE_FAILED;
}

enum exit_code outcome_worse(enum exit_code a, enum exit_code b)
{
	static const int rank[] = {
		[EXIT_CODE_DONE] = 0,	[EXIT_CODE_PENDING] = 1, [EXIT_CODE_REFUSED] = 2,
		[EXIT_CODE_FAILED] = 3, [EXIT_CODE_USAGE] = 4,
	};

	return rank[a] >= rank[b] ? a : b;
}

enum exit_code outcome_of_error(const char *name)
{
	const struct failure *f = find_failure(name);

	return f ? f->code : EXIT_CODE_FAILED;
}

const char *outcome_hint(const char *name, bool can_force)
{
	/* The bus could not start the daemon for us, or systemd could not: they know why. */
	static const char *const others[] = { "org.freedesktop.systemd1.", DBUS, "System.Error." };
	const struct failure *f = find_failure(name);

	if (f)
		return can_force && f->force_hint ? f->force_hint : f->hint;
	for (size_t i = 0; name && i < ARRAY_SIZE(others); i++)
		if (strncmp(name, others[i], strlen(others[i])) == 0)
			return LOG_HINT;
	return "";
}

enum style outcome_style(const char *state)
{
	const struct state *s = find_state(state);

	return s ? s->style : STYLE_BAD;
}
