/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_DRAFT_H
#define CTL_DRAFT_H

#include <stdbool.h>

#include "ctl/ctl.h"

/*
 * A file that appears as a whole or not at all: written under a name that begins
 * with a dot, which the daemon and others leave alone, and then given its own. All
 * complain and return an enum exit_code other than 0 where something fails. A
 * signal that ends the command (SIGHUP, SIGINT, SIGTERM) removes the hidden file
 * first; for that there is one draft at a time.
 */
enum draft_over {
	DRAFT_OVER_NOTHING, /* there must be no file of that name */
	DRAFT_OVER_OWN, /* it may replace a file whose first line is the draft's first line */
	DRAFT_OVER_ANY, /* it may replace any regular file */
};

struct draft {
	char *path; /* where it will be */
	char *temporary; /* where it is, NULL once it is there no more */
	char *first_line; /* what DRAFT_OVER_OWN goes by, with its newline */
	enum draft_over over;
	bool replaces; /* a file that may be replaced is there */
};

/* Creates the file with mode 0644. draft_clear() is due in any case. */
int draft_write(const struct ctl *ctl, struct draft *ret, const char *path, const char *text,
		enum draft_over over);

/*
 * Gives it its name. What came there since draft_write() is not replaced where
 * nothing was, and what was there only if it still may be.
 */
int draft_commit(const struct ctl *ctl, struct draft *draft);

/* Removes what was not committed. */
void draft_clear(struct draft *draft);

#endif
