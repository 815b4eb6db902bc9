/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FAKE_KERNEL_H
#define TESTS_FAKE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/domain.h"

/*
 * A model of the driver core, of one IOMMU group with its default domain, of
 * the kernel module and of the daemon's state files. It stands in for sysfs.c,
 * in-use.c, user.c, module-link.c and state-file.c, so a program that has it runs real
 * transactions on it. Each thing that a transaction does to it is an operation
 * with a number; any of them can be told to fail, or to be the last.
 *
 * It answers with the errnos of docs/architecture.md, and is stricter than a
 * kernel: what a kernel allows and a transaction must not do is noted as a
 * violation.
 */
#define FAKE_DEVICES 2
#define FAKE_GROUP 7
#define FAKE_OPS_MAX 8192

struct fake_device {
	const char *address;
	char driver[32], override[32]; /* "": none */
	bool in_use;
	bool gated; /* waits at the module's gate */
	bool gone; /* has been unplugged */
	bool fenced; /* has been, if only for a while */
	int fd; /* the last one that its directory was opened by */
};

struct fake_fault {
	unsigned at; /* number of the operation, from 1; 0: none */
	int error; /* positive errno */
};

struct fake_kernel {
	bool many; /* can change groups of several devices, as 6.4 and later */
	bool module; /* the kernel module is there */
	enum domain type;
	struct fake_device devices[FAKE_DEVICES];
	size_t n_devices;
	enum domain probe_fails; /* under this type every driver's probe fails */
	bool held, bracket, claimed;

	struct fake_fault faults[2];
	unsigned last; /* nothing has any effect from this operation on; 0: all has */
	unsigned meddle; /* before this operation somebody replaces the pin of the first device by "other" */
	bool meddled;
	unsigned n_ops;
	const char *ops[FAKE_OPS_MAX + 1]; /* their names, by number */
	char *record; /* the state file, NULL for none */
	const char *violation; /* the first one, NULL for none */
};

extern struct fake_kernel fake;

/* The process is gone: what was its own has ended, and operations are counted anew. */
void fake_process_ends(void);
/* All of it, before another round. */
void fake_reset(void);

#endif
