/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include <systemd/sd-event.h>

#include "policy/domain.h"
#include "policy/errors.h"
#include "policy/policy.h"

#include "daemon/util.h"

/*
 * The journal where it listens, else standard error with the priority in
 * front as sd-daemon(3) describes (the initramfs, a terminal). Each entry that
 * a program may look for has a fixed MESSAGE_ID; systemd/iommu-policyd.catalog
 * explains them to a person.
 */
#define MESSAGE_DECIDED "0f5672f8527d4a95b169d0b12725064f"
#define MESSAGE_APPLIED "d78709716d1f491bb84d3223daaaec5d"
#define MESSAGE_PENDING "b936fd317fdf41918dd179439efc51a3"
#define MESSAGE_REFUSED "836dda4713d444acbbddc178b5354d53"
#define MESSAGE_FAILED "1e4bd510e63b464b977b500675d5d349"
#define MESSAGE_USER_OWNED "05d101dce79a4d92a1ae15adde39e885"
#define MESSAGE_UNMANAGED "c635a119cabd44d4a2bfee25c57c9755"
#define MESSAGE_DRIFTED "9a70026844df4e5ab0481086609514f5"
#define MESSAGE_POLICY_LOADED "1fbdcf58f90743888d0340a52aef4cfd"
#define MESSAGE_POLICY_ERROR "6499f5fe701d4c999770dad94d703109"
#define MESSAGE_POLICY_KEPT "b7ec199f1b1f41e6afa81f99538f4400"
#define MESSAGE_RECOVERED "ee1b5ba7d8ac4f069c5a3a74f9ee21f0"
#define MESSAGE_MODULE_CAME "204be75cda184d26a3652bac8a8a2b49"
#define MESSAGE_MODULE_WENT "e06a0fcfc85d414cafe5d380864c6ff6"
#define MESSAGE_NO_IOMMU "60e6bbf54d464756b7ff0c5b1259d7b1"
#define MESSAGE_CANNOT_CHANGE "0b92403fb02c4a5f9a61e98693ed1967"
#define MESSAGE_LEFT_OUT "0884fd8eae474512927cae24b57c9b3b"

/* Fields of design section 9; what is NULL, negative or zero is left out. */
struct log_fields {
	const char *message_id;
	long group; /* -1: none */
	char *const *devices;
	enum domain from, to;
	const char *state, *reason;
	const struct policy_rule *rule;
	const struct policy_error *error;
	int error_number; /* positive errno */
	uint64_t duration_usec;
	const char *dropped_id; /* of MESSAGE_LEFT_OUT: what was left out, and how often */
	uint64_t n_dropped;
};

void log_struct(int priority, const struct log_fields *fields, const char *format, ...) _printf_(3, 4);

#define log_debug(...) log_plain(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_plain(LOG_INFO, __VA_ARGS__)
#define log_notice(...) log_plain(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...) log_plain(LOG_WARNING, __VA_ARGS__)
#define log_error(...) log_plain(LOG_ERR, __VA_ARGS__)

void log_plain(int priority, const char *format, ...) _printf_(2, 3);
/* About one group: "Group N: " in front, and the field. */
void log_group(int priority, unsigned group, const char *format, ...) _printf_(3, 4);

/* Out of memory has no context that would help; returns -ENOMEM. */
int log_oom(void);

/* Entries above this syslog priority are dropped. Default LOG_INFO. */
void log_set_max_level(int priority);
int log_get_max_level(void);
/* Standard error only, for --once on a terminal. */
void log_set_console(bool console);

/*
 * What comes too often is left out of the journal (daemon/log-limit.h), but for
 * errors in policy files, which are a person's, and unless the level is debug.
 * With an event loop the number is told a minute later, without one by
 * log_detach(), which tells of all that is left. Returns 0 or a negative errno.
 */
int log_attach(sd_event *event);
void log_detach(void);

/* "debug", "info", "notice", "warning", "err", "crit", "alert", "emerg", or a digit; -EINVAL otherwise. */
int log_level_from_string(const char *word);
const char *log_level_to_string(int priority);

#endif
