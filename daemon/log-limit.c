/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "daemon/log-limit.h"
#include "daemon/util.h"

static void refill(struct log_limit_bucket *bucket, uint64_t now_usec)
{
	uint64_t more = (now_usec - bucket->filled_usec) / LOG_LIMIT_REFILL_USEC;

	if (more >= LOG_LIMIT_BURST - bucket->tokens) {
		bucket->tokens = LOG_LIMIT_BURST;
		bucket->filled_usec = now_usec;
	} else {
		bucket->tokens += (unsigned)more;
		/* The part of a token that has come back already is not lost. */
		bucket->filled_usec += more * LOG_LIMIT_REFILL_USEC;
	}
}

/* A bucket for something new; NULL where each still has something to tell. */
static struct log_limit_bucket *vacant(struct log_limit *limit)
{
	struct log_limit_bucket *oldest = NULL;

	if (limit->n < LOG_LIMIT_BUCKETS)
		return &limit->buckets[limit->n++];
	for (size_t i = 0; i < limit->n; i++) {
		struct log_limit_bucket *bucket = &limit->buckets[i];

		if (!bucket->n_dropped && (!oldest || bucket->used_usec < oldest->used_usec))
			oldest = bucket;
	}
	return oldest;
}

static struct log_limit_bucket *find(struct log_limit *limit, const char *kind, long group, uint64_t now_usec)
{
	struct log_limit_bucket *bucket;

	for (size_t i = 0; i < limit->n; i++) {
		bucket = &limit->buckets[i];
		if (bucket->group == group && (bucket->kind == kind || strcmp(bucket->kind, kind) == 0)) {
			refill(bucket, now_usec);
			return bucket;
		}
	}
	bucket = vacant(limit);
	if (bucket)
		*bucket = (struct log_limit_bucket){
			.kind = kind,
			.group = group,
			.tokens = LOG_LIMIT_BURST,
			.filled_usec = now_usec,
		};
	return bucket;
}

bool log_limit_take(struct log_limit *limit, const char *kind, long group, const char *message, uint64_t now_usec)
{
	struct log_limit_bucket *bucket = find(limit, kind, group, now_usec);

	/* So many floods at once are journald's own limit to stop. */
	if (!bucket)
		return true;
	bucket->used_usec = now_usec;
	/* An entry after others that were left out would look like the one next to the last that was written. */
	if (bucket->tokens && !bucket->n_dropped) {
		bucket->tokens--;
		return true;
	}
	if (!bucket->n_dropped++)
		bucket->dropped_usec = now_usec;
	/* Out of memory: an earlier one is as good an example. */
	replace_str(&bucket->last, message);
	return false;
}

bool log_limit_report(struct log_limit *limit, uint64_t now_usec, bool all, struct log_limit_report *report)
{
	for (size_t i = 0; i < limit->n; i++) {
		struct log_limit_bucket *bucket = &limit->buckets[i];

		if (!bucket->n_dropped || (!all && now_usec - bucket->dropped_usec < LOG_LIMIT_REPORT_USEC))
			continue;
		*report = (struct log_limit_report){
			.kind = bucket->kind,
			.group = bucket->group,
			.n_dropped = bucket->n_dropped,
			.last = TAKE_PTR(bucket->last),
		};
		bucket->n_dropped = 0;
		return true;
	}
	return false;
}

uint64_t log_limit_next(const struct log_limit *limit)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < limit->n; i++) {
		const struct log_limit_bucket *bucket = &limit->buckets[i];

		if (bucket->n_dropped && bucket->dropped_usec + LOG_LIMIT_REPORT_USEC < next)
			next = bucket->dropped_usec + LOG_LIMIT_REPORT_USEC;
	}
	return next;
}
