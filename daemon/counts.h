/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_COUNTS_H
#define DAEMON_COUNTS_H

#include <stdint.h>

#include "daemon/outcome.h"

/* What the daemon has done since it started, for those who keep statistics. */
enum count {
	COUNT_APPLIED,
	COUNT_FAILED, /* tried and rolled back, or cut off and undone */
	COUNT_REFUSED, /* nothing was changed: in use, owned by somebody, or the kernel would not */
	COUNT_TIMEOUT, /* the kernel had not answered at the deadline; its late end is not counted again */
	COUNT_MAX,
};

struct counts {
	struct {
		uint64_t n;
		uint64_t usec; /* the sum of what each has taken */
	} transactions[COUNT_MAX];
	uint64_t policies_good, policies_bad; /* readings of the policy files, without errors and with */
};

const char *count_to_string(enum count count);

/* One more transaction has come to OUTCOME; not one that is to be decided and begun anew. */
void counts_note(struct counts *counts, const struct outcome *outcome, uint64_t duration_usec);

#endif
