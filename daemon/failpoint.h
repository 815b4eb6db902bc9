/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_FAILPOINT_H
#define DAEMON_FAILPOINT_H

#include "config.h"

/*
 * Places at which a test can have a process killed, stopped, delayed or told
 * that the kernel has refused, see CONTRIBUTING.md. Built in by configure
 * --enable-failpoints; in any other build nothing of them is left.
 *
 * A process is in a phase: "daemon", or as a worker "run", "undo" (a step has
 * failed) or "recover" (another was cut off).
 */
#ifdef ENABLE_FAILPOINTS

/* A process begins: what it shall meet is read. GROUP: the one that it works for. */
void failpoint_begin(const char *phase, unsigned group);
/* The same process goes on to another phase. */
void failpoint_phase(const char *phase);

/* 0, or the negative errno that was asked for. Use failpoint(). */
int failpoint_hit(const char *name);

/* All names, one a line: those that are built in, so that none can be forgotten. */
void failpoint_list(void);

#define failpoint(name)                                                                               \
	({                                                                                            \
		static const char *const place_ __attribute__((used, section("failpoints"))) = (name); \
		failpoint_hit(place_);                                                                \
	})

/*
 * CALL, an expression of type int that is negative on failure, between NAME.before
 * and NAME.after. An error before it is instead of it; an error after it is what
 * the kernel says of something that it has done.
 */
#define failpoint_around(name, call)                         \
	({                                                   \
		int around_ = failpoint(name ".before");     \
		if (around_ >= 0)                            \
			around_ = (call);                    \
		if (around_ >= 0) {                          \
			int after_ = failpoint(name ".after"); \
			if (after_ < 0)                      \
				around_ = after_;            \
		}                                            \
		around_;                                     \
	})

#else

#define failpoint_begin(phase, group) ((void)0)
#define failpoint_phase(phase) ((void)0)
#define failpoint(name) 0
#define failpoint_around(name, call) (call)

#endif

#endif
