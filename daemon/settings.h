/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

enum mode {
	MODE_ENFORCE,
	MODE_AUDIT, /* decides, reports and logs, and changes nothing */
};

enum gate_on_timeout {
	GATE_OPEN, /* the device goes to its driver, whatever the policy */
	GATE_HOLD, /* it goes on waiting, also for a daemon that has died */
};

struct settings {
	enum mode mode;
	unsigned max_workers;
	uint64_t transaction_timeout_usec;
	bool gate; /* devices that are plugged in wait for their policy, where the kernel module is loaded */
	bool gate_autoprobe; /* and where it is not, by drivers_autoprobe, see autoprobe.h */
	uint64_t gate_timeout_usec;
	enum gate_on_timeout gate_on_timeout;
	int log_level; /* syslog priority */
};

extern const struct settings settings_default;

/*
 * Reads /etc/iommu-policyd/iommu-policyd.conf and the drop-ins of
 * iommu-policyd.conf.d below /etc, /run, /usr/local/lib and /usr/lib, PATH instead of all that
 * where it is not NULL. A line that is wrong is logged with its place and
 * leaves the default, but a Mode that is not understood is audit. With a file
 * that cannot be read or believed (see policy/trusted.h) *SETTINGS stay as they
 * are if they are read AGAIN, and else are those that could be read, in audit
 * mode: such a file may have said so. Nothing here keeps the daemon from starting.
 */
void settings_load(const char *path, bool again, struct settings *settings);

/* The text of one such file; PATH is for messages. */
void settings_parse(const char *text, const char *path, struct settings *settings);

#endif
