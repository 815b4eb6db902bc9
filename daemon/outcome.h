/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_OUTCOME_H
#define DAEMON_OUTCOME_H

#include "daemon/user.h"
#include "daemon/util.h"

/* Why something was refused or failed; each has a D-Bus error of the same name. */
enum problem {
	PROBLEM_NONE,
	PROBLEM_IN_USE,
	PROBLEM_USER_OWNED,
	PROBLEM_REQUIRES_DIRECT,
	PROBLEM_UNTRUSTED,
	PROBLEM_KERNEL_REFUSED,
	PROBLEM_TIMEOUT,
	PROBLEM_FAILED, /* an error of another kind, the change was rolled back */
};

enum result {
	RESULT_DONE, /* the group has the type, every device its driver */
	RESULT_PENDING, /* nothing was changed: somebody has the group from whom it must not be taken */
	RESULT_REFUSED, /* nothing was changed: see problem */
	RESULT_FAILED, /* tried and rolled back: see problem and reason */
};

/* What carrying out a decision came to. Plain data: it crosses a pipe from the worker. */
struct outcome {
	enum result result;
	enum problem problem;
	int error; /* positive errno of the step that failed, 0 for none */
	bool held; /* RESULT_PENDING: for a hold or a claim of somebody else, to which the kernel module testifies */
	bool again; /* RESULT_FAILED: nothing is left of it, and it is to be decided and begun anew */
	bool claimed; /* RESULT_DONE: the kernel module has claimed the group's DMA for a quarantine */
	struct user user; /* PROBLEM_USER_OWNED: who it is, as far as that is known */
	char reason[1024]; /* for a person; "" with RESULT_DONE and nothing to say */
};

/* The reason that goes with PROBLEM_USER_OWNED where it is not known who it is. */
extern const char outcome_user_owned[];

void outcome_set(struct outcome *outcome, enum result result, enum problem problem, int error, const char *format, ...)
	_printf_(5, 6);

/* The problem's D-Bus error name, "" for PROBLEM_NONE. */
const char *problem_to_bus_error(enum problem problem);

#endif
