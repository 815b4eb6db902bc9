/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "ctl/address.h"
#include "ctl/args.h"
#include "ctl/outcome.h"
#include "ctl/term.h"

/* What a verb has to work with. */
struct ctl {
	struct arguments arguments;
	struct term term;
	sd_bus *bus; /* NULL until bus_connect() */
	pid_t agent; /* pkttyagent, 0 where it does not run */
	pid_t pager; /* 0 where there is none */
	bool version_checked; /* the daemon is new enough */
};

/* The whole command: what main() does, with its exit status. */
int ctl_main(int argc, char **argv);

/* One line to standard error after the program's name; arguments are escaped by the caller. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* complain() about the memory; returns EXIT_CODE_FAILED. */
int complain_memory(void);

/*
 * Takes apart what a person wrote for GROUP or DEVICE; complains and returns
 * EXIT_CODE_USAGE where it is neither. 0 otherwise.
 */
int ctl_parse_target(const char *text, struct target *ret);

#endif
