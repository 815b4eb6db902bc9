/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Look-ups per second with 10, 1,000 and 100,000 rules, as ratios to the
 * first. Nothing passes or fails: the numbers are for a person to look at.
 *
 * "machine": the 64 devices of one machine over and over, as the daemon has
 * them; "any": each time another of all IDs, which with many rules are not in
 * the processor's cache. Half of these look-ups find a rule. "walk": what a
 * look-up would cost without an index, by policy_trace() over all rules.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/policy.h"

static const unsigned sizes[] = { 10, 1000, 100000 };

enum { N_SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The Ith ID that has a rule; odd devices have none. */
static uint16_t vendor_of(unsigned i)
{
	return (uint16_t)(0x1000 + i / 0x4000);
}

static uint16_t device_of(unsigned i)
{
	return (uint16_t)(i % 0x4000 * 2);
}

static struct policy *make_policy(unsigned n, double *seconds)
{
	char path[] = "/tmp/bench-policy-XXXXXX";
	const char *const paths[] = { path, NULL };
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "we");

	if (!f) {
		perror(path);
		exit(EXIT_FAILURE);
	}

	for (unsigned i = 0; i < n; i++)
		fprintf(f, "[%04x:%04x]\ndomain = DMA\n", vendor_of(i), device_of(i));
	fclose(f);

	*seconds = now();
	if (policy_load_files(paths, &policy, &errors) < 0)
		fprintf(stderr, "%s: %s\n", path, errors.n_items ? errors.items[0].message : "?");
	*seconds = now() - *seconds;
	unlink(path);
	policy_errors_clear(&errors);
	if (!policy)
		exit(EXIT_FAILURE);
	return policy;
}

static struct device_facts pick(unsigned n, uint32_t *random)
{
	unsigned i;

	*random = *random * 1664525 + 1013904223;
	i = (*random >> 8) % n;
	return (struct device_facts){
		.address = "0000:01:00.0",
		.vendor = vendor_of(i),
		.device = (uint16_t)(device_of(i) + (*random >> 31)),
		.class_code = 0x020000,
	};
}

/* N_DEVICES of N IDs in turn. */
static double lookups_per_second(const struct policy *policy, unsigned n, unsigned n_devices)
{
	struct device_facts *devices = calloc(n_devices, sizeof(*devices));
	double start, seconds;
	unsigned done = 0, found = 0;
	uint32_t random = 1;

	if (!devices)
		exit(EXIT_FAILURE);
	for (unsigned i = 0; i < n_devices; i++)
		devices[i] = pick(n, &random);

	start = now();
	do {
		for (unsigned i = 0; i < n_devices; i++, done++)
			found += policy_match(policy, &devices[i]) != NULL;
		seconds = now() - start;
	} while (seconds < 1);

	free(devices);
	if (found < done / 4 || found > done - done / 4)
		fprintf(stderr, "%u of %u look-ups found a rule\n", found, done);
	return done / seconds;
}

static int ignore(const struct policy_rule *rule, bool matched, const char *detail, void *userdata)
{
	(void)rule;
	(void)detail;
	*(unsigned *)userdata += matched;
	return 0;
}

static double walks_per_second(const struct policy *policy, unsigned n)
{
	double start = now(), seconds;
	unsigned done = 0, found = 0;
	uint32_t random = 1;

	do {
		struct device_facts device = pick(n, &random);

		policy_trace(policy, &device, ignore, &found);
		done++;
		seconds = now() - start;
	} while (seconds < 0.5);

	return done / seconds;
}

enum { MACHINE, ANY, WALK, N_COLUMNS };

int main(void)
{
	double first[N_COLUMNS] = { 0 }, load;

	umask(022);
	policy_free(make_policy(sizes[N_SIZES - 1], &load)); /* wakes the processor up */

	printf("%8s %11s %6s %11s %6s %11s %8s %9s\n", "rules", "machine/s", "ratio", "any/s",
	       "ratio", "walk/s", "ratio", "load, ms");
	for (unsigned i = 0; i < N_SIZES; i++) {
		struct policy *policy = make_policy(sizes[i], &load);
		const double column[N_COLUMNS] = {
			[MACHINE] = lookups_per_second(policy, sizes[i], 64),
			[ANY] = lookups_per_second(policy, sizes[i], 1 << 17),
			[WALK] = walks_per_second(policy, sizes[i]),
		};

		for (unsigned k = 0; k < N_COLUMNS; k++)
			if (i == 0)
				first[k] = column[k];
		printf("%8u %11.0f %6.2f %11.0f %6.2f %11.0f %8.5f %9.1f\n", sizes[i],
		       column[MACHINE], column[MACHINE] / first[MACHINE], column[ANY],
		       column[ANY] / first[ANY], column[WALK], column[WALK] / first[WALK],
		       load * 1e3);
		policy_free(policy);
	}

	return EXIT_SUCCESS;
}
