/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_METRICS_H
#define CTL_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/json.h"
#include "ctl/model.h"

/* What 'metrics' tells: the daemon's properties, in Prometheus's text format. */

struct metrics_transactions {
	char *result;
	uint64_t count;
	uint64_t usec; /* of all of them together */
};

struct metrics {
	bool up; /* the daemon has answered; without it nothing else is known */
	struct model model;
	struct metrics_transactions *transactions;
	size_t n_transactions;
	uint64_t reloads, failed_reloads; /* readings of the policy files */
};

/* Writes all families, each with HELP and TYPE. */
void metrics_write(FILE *f, const struct metrics *metrics);

/* The same as an array: of each sample name, labels and value. */
void metrics_document(struct json_builder *b, json_object *samples, const struct metrics *metrics);

void metrics_clear(struct metrics *metrics);

#endif
