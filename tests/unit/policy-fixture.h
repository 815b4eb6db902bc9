/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_POLICY_FIXTURE_H
#define TESTS_UNIT_POLICY_FIXTURE_H

#include <stddef.h>
#include <sys/types.h>

#include "policy/policy.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* A temporary folder for one test; all of it goes with fixture_teardown(). */
void fixture_setup(void);
void fixture_teardown(void);
const char *fixture_dir(void);

/* "fixture_dir()/NAME"; the string lives until the 64th call after it. */
const char *fixture_path(const char *name);

void fixture_mkdir(const char *name);
void fixture_write_bytes(const char *name, const void *data, size_t size);
void fixture_write(const char *name, const char *text);

/* Sound or not: the policy (NULL where it is not), and its errors one a line, malloc'd. */
struct policy *fixture_load(const char *const *dirs, char **errors);
struct policy *fixture_load_files(const char *const *paths, char **errors);

/* A policy of one file "test.conf" with TEXT, which must be sound. */
struct policy *fixture_policy(const char *text);

/* Some machine's devices, which the data files' expectations name. */
struct fixture_device {
	const char *name;
	struct device_facts facts;
};

extern const struct fixture_device fixture_devices[];
extern const size_t fixture_n_devices;

const struct device_facts *fixture_device(const char *name);

/* The tests' data, in the source tree. */
const char *fixture_data_dir(void);

/* The whole file and a terminating zero. malloc'd. */
char *fixture_read(const char *path, size_t *size);

/* A small generator: the same numbers in every run. */
unsigned fixture_random(unsigned below);

#endif
