/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_PAGER_H
#define CTL_PAGER_H

#include <stdbool.h>

#include "ctl/ctl.h"

/*
 * Has what follows on standard output shown by a pager, as systemd's commands
 * do (systemd(1), ENVIRONMENT): $SYSTEMD_PAGER, $PAGER, less, more. Nothing
 * where standard output is no terminal, or none is wanted. After
 * term_detect(), which looks at the terminal itself.
 */
void pager_open(struct ctl *ctl);

/* Waits until the person has seen enough. */
void pager_close(struct ctl *ctl);

/* What the environment says about it; any string may be NULL. */
struct pager_environment {
	const char *systemd_pager, *pager, *secure;
	bool other_user; /* the login session is not that of the effective user: sudo, pkexec */
};

struct pager_choice {
	bool none; /* no pager is wanted */
	bool secure; /* one that cannot start other programs */
	const char *command; /* words; NULL: the first that is there */
};

/*
 * The rules of SYSTEMD_PAGERSECURE: set, it decides, and who has set it is
 * trusted to have chosen the pager; unset, a pager of somebody's choice is not
 * run, and where the user is another one than who logged in, only one that is
 * known to be secure.
 */
void pager_choose(const struct pager_environment *environment, struct pager_choice *ret);

#endif
