/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_BUS_H
#define CTL_BUS_H

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "ctl/ctl.h"

#define BUS_NAME "org.iommupolicy1"
#define BUS_ROOT "/org/iommupolicy1"
#define BUS_GROUPS "/org/iommupolicy1/group"
#define BUS_DEVICES "/org/iommupolicy1/device"
#define BUS_MANAGER "org.iommupolicy1.Manager"
#define BUS_GROUP "org.iommupolicy1.Group"
#define BUS_DEVICE "org.iommupolicy1.Device"

#define BUS_ERROR_NO_SUCH_GROUP "org.iommupolicy1.Error.NoSuchGroup"
#define BUS_ERROR_NO_SUCH_DEVICE "org.iommupolicy1.Error.NoSuchDevice"
#define BUS_ERROR_IN_USE "org.iommupolicy1.Error.InUse"
#define BUS_ERROR_REQUIRES_DIRECT "org.iommupolicy1.Error.RequiresDirect"
#define BUS_ERROR_UNTRUSTED "org.iommupolicy1.Error.Untrusted"

/*
 * Apply() answers when the last transaction has ended, and a machine with
 * many groups has many. If the daemon dies the bus answers for it at once, so
 * that a long wait costs nothing.
 */
#define BUS_TIMEOUT_USEC (60ULL * 60 * 1000000)

/* Connects ctl->bus. Complains and returns an enum exit_code other than 0 where that fails. */
int bus_connect(struct ctl *ctl);

/* What the daemon's InterfaceVersion must be at least; see org.iommupolicy1(5). */
#define BUS_INTERFACE_VERSION 1

/* 0, or -EPROTO with ERROR set where a daemon of VERSION is older than this command needs. */
int bus_check_version(uint32_t version, sd_bus_error *error);

/*
 * Calls a method of the manager whose answer may take until transactions have
 * ended; appends the options --rebind and --force where WITH_OPTIONS says so,
 * after the arguments that TYPES describes. The first call asks the daemon for
 * its version before, and fails where that is too old. Negative errno with ERROR
 * set.
 */
int bus_call_manager(struct ctl *ctl, const char *method, bool with_options, sd_bus_error *error,
		     sd_bus_message **reply, const char *types, ...);

/*
 * Says "what was being done: what came back (what to do)" for a call that
 * returned R with ERROR, and returns the exit code for it. DOING is escaped,
 * and may be NULL where ERROR says enough. With --json there is a document of
 * it, too, so that a program need not read sentences.
 */
int bus_complain(const struct ctl *ctl, const char *doing, const sd_bus_error *error, int r);

/*
 * The group that TARGET means: itself, or its device's, which is asked for.
 * Complains and returns an enum exit_code other than 0 where there is none.
 */
int bus_resolve_group(struct ctl *ctl, const struct target *target, uint32_t *ret);

#endif
