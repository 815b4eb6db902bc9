/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_LOG_LIMIT_H
#define DAEMON_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How many entries the journal gets of what hardware can say again and again: a
 * device that comes and goes by itself, a driver that fails at each try. Each
 * kind of entry has, for each group, a bucket of tokens. An entry takes one;
 * where none is left the entry is counted instead of written.
 *
 * Only the journal is limited. States, reasons and errors on the bus are not
 * made of entries.
 */

#define LOG_LIMIT_BURST 50
/* A token comes back after so many microseconds. */
#define LOG_LIMIT_REFILL_USEC (10 * 1000000ULL)
/* What was left out is told of so many microseconds after the first of it. */
#define LOG_LIMIT_REPORT_USEC (60 * 1000000ULL)
/* Kinds times groups; beyond that the bucket that has been quiet longest is used again. */
#define LOG_LIMIT_BUCKETS 512

struct log_limit_bucket {
	const char *kind; /* NULL: free */
	long group;
	unsigned tokens;
	uint64_t filled_usec; /* until when tokens have been counted */
	uint64_t used_usec;
	uint64_t dropped_usec; /* when the first of n_dropped was left out */
	uint64_t n_dropped;
	char *last; /* the last of these */
};

struct log_limit {
	struct log_limit_bucket buckets[LOG_LIMIT_BUCKETS];
	size_t n; /* used so far, from the first on */
};

/* What has been left out; strings are the caller's to free but for KIND. */
struct log_limit_report {
	const char *kind;
	long group;
	uint64_t n_dropped;
	char *last; /* NULL: out of memory */
};

/*
 * Whether an entry of KIND, a string that stays, about GROUP (-1: none) may be
 * written at NOW_USEC, of a clock that never goes back. If not, it is counted,
 * and MESSAGE is remembered as the last of them.
 */
bool log_limit_take(struct log_limit *limit, const char *kind, long group, const char *message, uint64_t now_usec);

/* Fills REPORT with what has been left out for long enough, or for any time if ALL, and forgets it. False: nothing. */
bool log_limit_report(struct log_limit *limit, uint64_t now_usec, bool all, struct log_limit_report *report);

/* When log_limit_report() will next have something to say; UINT64_MAX: nothing is left out. */
uint64_t log_limit_next(const struct log_limit *limit);

#endif
