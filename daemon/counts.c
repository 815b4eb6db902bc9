/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/counts.h"

const char *count_to_string(enum count count)
{
	static const char *const names[] = {
		[COUNT_APPLIED] = "applied",
		[COUNT_FAILED] = "failed",
		[COUNT_REFUSED] = "refused",
		[COUNT_TIMEOUT] = "timeout",
	};

	return names[count];
}

static enum count count_of(const struct outcome *outcome)
{
	if (outcome->problem == PROBLEM_TIMEOUT)
		return COUNT_TIMEOUT;
	switch (outcome->result) {
	case RESULT_DONE:
		return COUNT_APPLIED;
	case RESULT_PENDING:
	case RESULT_REFUSED:
		return COUNT_REFUSED;
	case RESULT_FAILED:
		break;
	}
	return COUNT_FAILED;
}

void counts_note(struct counts *counts, const struct outcome *outcome, uint64_t duration_usec)
{
	enum count count = count_of(outcome);

	if (outcome->result == RESULT_FAILED && outcome->again)
		return;
	counts->transactions[count].n++;
	counts->transactions[count].usec += duration_usec;
}
