/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>

struct options {
	bool once; /* apply and exit */
	bool types_only; /* with once: leave alone what gives a device another driver, or none */
	bool put_back; /* undo what Gate=autoprobe of a daemon that has ended left behind, and exit */
	const char *config; /* settings file, NULL for the usual ones */
};

/* Returns 0, or a positive value where the program is to end with status *RET_STATUS (help, version, usage). */
int options_parse(int argc, char **argv, struct options *ret, int *ret_status);

#endif
