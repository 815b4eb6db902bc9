/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_DRAFT_H
#define CTL_DRAFT_H

#include <stdbool.h>

/*
 * A file that appears as a whole or not at all: written under a name that begins
 * with a dot, which the daemon and others leave alone, and then given its own. All
 * complain and return an enum exit_code other than 0 where something fails.
 */
enum draft_over {
	DRAFT_OVER_NOTHING, /* there must be no file of that name */
	DRAFT_OVER_OWN, /* it may replace a file whose first line is the draft's first line */
	DRAFT_OVER_ANY, /* it may replace any regular file */
};

struct draft {
	char *path; /* where it will be */
	char *temporary; /* where it is, NULL once it is there no more */
	bool replaces; /* a file that may be replaced was there */
};

/* Creates the file with mode 0644. draft_clear() is due in any case. */
int draft_write(struct draft *ret, const char *path, const char *text, enum draft_over over);

/* Gives it its name. What came there since draft_write() is not replaced where nothing was. */
int draft_commit(struct draft *draft);

/* Removes what was not committed. */
void draft_clear(struct draft *draft);

#endif
