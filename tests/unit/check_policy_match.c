/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What trace says key by key, and that the index finds what a walk over all rules finds. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/policy-fixture.h"

struct trace {
	char details[16][512];
	const struct policy_rule *last; /* that matched */
	size_t n;
};

static int on_rule(const struct policy_rule *rule, bool matched, const char *detail, void *userdata)
{
	struct trace *trace = userdata;

	ck_assert_uint_eq(rule->position, trace->n);
	ck_assert_int_eq(matched, *detail == '\0');
	if (trace->n < N_ELEMENTS(trace->details))
		snprintf(trace->details[trace->n], sizeof(trace->details[0]), "%s", detail);
	if (matched)
		trace->last = rule;
	trace->n++;
	return 0;
}

/* KEYS are a rule's, parted by newlines; SECTION is its name. */
static const struct {
	const char *section;
	const char *keys;
	const char *device;
	const char *detail; /* "": it matches */
} details[] = {
	{ "144d:*", "", "nvme", "" },
	{ "144d:*", "", "nic", "section: 8086:10d3:8086:0000 is not 144d:*" },
	{ "144D:A808:1:2", "", "nvme", "section: 144d:a808:144d:a801 is not 144d:a808:0001:0002" },
	{ "x", "match-id=10de:*", "nic", "match-id: 8086:10d3:8086:0000 is not 10de:*" },
	{ "x", "match-id=10de:* 144d:a808", "nic",
	  "match-id: 8086:10d3:8086:0000 is none of 10de:*, 144d:a808" },
	{ "8086:*", "match-id=10de:*", "nic", "match-id: 8086:10d3:8086:0000 is not 10de:*" },
	{ "x", "match-class=0108", "nic", "match-class: 020000 is not 0108" },
	{ "x", "match-class=0108 03", "nic", "match-class: 020000 is none of 0108, 03" },
	{ "x", "match-address=0000:3b:00.*", "nic",
	  "match-address: 0000:02:00.0 is not 0000:3b:00.*" },
	{ "x", "match-address=*.1 *.2", "nic", "match-address: 0000:02:00.0 is none of *.1, *.2" },
	{ "x", "match-parent=0000:3a:*", "nic",
	  "match-parent: no bridge above (0000:00:1c.0) is not 0000:3a:*" },
	{ "x", "match-parent=0000:3b:* *.1", "gpu",
	  "match-parent: no bridge above (0000:3a:00.0, 0000:39:00.0) is none of 0000:3b:*, *.1" },
	{ "x", "match-parent=*\nmatch-class=06", "bridge",
	  "match-parent: there is no bridge above" },
	{ "x", "match-removable=yes", "nic", "match-removable: the device is not removable" },
	{ "x", "match-removable=no", "dock", "match-removable: the device is removable" },
	{ "x", "match-virtual-function=yes", "nic",
	  "match-virtual-function: the device is not a virtual function" },
	{ "x", "match-virtual-function=no", "vf",
	  "match-virtual-function: the device is a virtual function" },
	{ "x", "match-iommu=dmar2", "nic", "match-iommu: dmar1 is not dmar2" },
	{ "x", "match-iommu=DMAR1", "nic", "" },
	{ "*:*", "", "bridge",
	  "the device is a bridge, which only match-class, match-address or an ID without '*' names" },
	{ "8086:*", "match-removable=no", "bridge",
	  "the device is a bridge, which only match-class, match-address or an ID without '*' names" },
	{ "x", "match-removable=no", "bridge",
	  "the device is a bridge, which only match-class, match-address or an ID without '*' names" },
	{ "x", "match-iommu=*", "bridge",
	  "the device is a bridge, which only match-class, match-address or an ID without '*' names" },
	{ "8086:a110:*:*", "", "bridge",
	  "the device is a bridge, which only match-class, match-address or an ID without '*' names" },
	{ "8086:*", "match-id=8086:a110", "bridge", "" },
	{ "8086:*", "match-class=06", "bridge", "" },
	{ "8086:a110:0:0", "", "bridge", "" },
	{ "*:*", "match-address=*", "bridge", "" },
};

START_TEST(trace_details)
{
	struct trace trace = { 0 };
	struct policy *policy;
	char text[1024];

	snprintf(text, sizeof(text), "[%s]\ndomain = DMA\n%s\n", details[_i].section,
		 details[_i].keys);
	policy = fixture_policy(text);
	ck_assert_int_eq(policy_trace(policy, fixture_device(details[_i].device), on_rule, &trace),
			 0);
	ck_assert_uint_eq(trace.n, 1);
	ck_assert_str_eq(trace.details[0], details[_i].detail);
	ck_assert_ptr_eq(policy_match(policy, fixture_device(details[_i].device)), trace.last);
	policy_free(policy);
}
END_TEST

/* Facts that a device may lack. */
START_TEST(missing_facts)
{
	static const struct device_facts bare;
	struct trace trace = { 0 };
	struct policy *policy =
		fixture_policy("[a]\nmatch-address=*\ndomain=DMA\n[b]\nmatch-iommu=*\ndomain=DMA\n"
			       "[c]\nmatch-parent=*\ndomain=DMA\n[0:0:0:0]\ndomain=DMA\n");

	policy_trace(policy, &bare, on_rule, &trace);
	ck_assert_str_eq(trace.details[0], "match-address: a device without an address is not *");
	ck_assert_str_eq(trace.details[1], "match-iommu: a device without an IOMMU is not *");
	ck_assert_str_eq(trace.details[2], "match-parent: there is no bridge above");
	ck_assert_str_eq(trace.details[3], "");
	ck_assert_uint_eq(policy_match(policy, &bare)->position, 3);
	policy_free(policy);
}
END_TEST

START_TEST(long_detail_is_cut)
{
	struct trace trace = { 0 };
	struct policy *policy;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("[x]\ndomain=DMA\n", f);
	for (unsigned i = 0; i < 100; i++)
		fprintf(f, "match-id=10de:%04x\n", i);
	fclose(f);
	policy = fixture_policy(text);
	free(text);

	policy_trace(policy, fixture_device("nic"), on_rule, &trace);
	ck_assert_uint_eq(strlen(trace.details[0]), sizeof(trace.details[0]) - 1);
	ck_assert_str_eq(trace.details[0] + sizeof(trace.details[0]) - 4, "...");
	policy_free(policy);
}
END_TEST

static int stop(const struct policy_rule *rule, bool matched, const char *detail, void *userdata)
{
	(void)matched;
	(void)detail;
	++*(unsigned *)userdata;
	return rule->position == 1 ? -7 : 1;
}

START_TEST(trace_ends_at_a_negative_return)
{
	struct policy *policy =
		fixture_policy("[1:1]\ndomain=DMA\n[2:2]\ndomain=DMA\n[3:3]\ndomain=DMA\n");
	unsigned n = 0;

	ck_assert_int_eq(policy_trace(policy, fixture_device("nic"), stop, &n), -7);
	ck_assert_uint_eq(n, 2);
	policy_free(policy);
}
END_TEST

/* Few numbers, so that rules and devices often meet. */
static const char *part(char buffer[static 8])
{
	if (fixture_random(3) == 0)
		strcpy(buffer, "*");
	else
		snprintf(buffer, 8, "%x", fixture_random(3));
	return buffer;
}

static void put_id(FILE *f)
{
	char a[8], b[8], c[8], d[8];

	if (fixture_random(2))
		fprintf(f, "%s:%s", part(a), part(b));
	else
		fprintf(f, "%s:%s:%s:%s", part(a), part(b), part(c), part(d));
}

static void put_address(FILE *f)
{
	static const char *const some[] = { "*",
					    "*.0",
					    "*:01:*",
					    "0000:0[01]:00.0",
					    "0000:00:00.0",
					    "0000:00:00.1",
					    "0000:01:00.0",
					    "0000:01:00.1",
					    "10000:00:00.0",
					    "0000:0?:00.1" };

	fputs(some[fixture_random(N_ELEMENTS(some))], f);
}

static void put_class(FILE *f)
{
	static const char *const some[] = { "01",   "02",     "06",     "0100",  "0101",
					    "0200", "010000", "010101", "020001" };

	fputs(some[fixture_random(N_ELEMENTS(some))], f);
}

static void put_iommu(FILE *f)
{
	fprintf(f, "dmar%c", "01*"[fixture_random(3)]);
}

static void put_key(FILE *f, const char *key, void (*put)(FILE *f))
{
	unsigned n = 1 + fixture_random(3);

	fprintf(f, "%s =", key);
	for (unsigned i = 0; i < n; i++) {
		fputc(' ', f);
		put(f);
	}
	fputc('\n', f);
}

static void put_rule(FILE *f, unsigned number)
{
	unsigned keys = 1 + fixture_random(127);

	fprintf(f, "[rule %u]\ndomain = DMA\n", number);
	keys &= 1 + fixture_random(127);
	if (keys == 0)
		keys = 1u << fixture_random(7);
	if (keys & 1)
		put_key(f, "match-id", put_id);
	if (keys & 2)
		put_key(f, "match-address", put_address);
	if (keys & 4)
		put_key(f, "match-parent", put_address);
	if (keys & 8)
		put_key(f, "match-class", put_class);
	if (keys & 16)
		put_key(f, "match-iommu", put_iommu);
	if (keys & 32)
		fprintf(f, "match-removable = %u\n", fixture_random(2));
	if (keys & 64)
		fprintf(f, "match-virtual-function = %u\n", fixture_random(2));
}

/* Every PCI-ID section there is over the numbers 0 to 2 and '*', with two parts, in a random order. */
static void put_id_sections(FILE *f)
{
	static const char *const parts[] = { "0", "1", "2", "*" };
	unsigned n = fixture_random(17), first = fixture_random(16);

	for (unsigned i = 0; i < n; i++) {
		unsigned id = (first + i * 5) % 16;

		fprintf(f, "[%s:%s]\ndomain = DMA\n", parts[id / 4], parts[id % 4]);
		if (fixture_random(3) == 0)
			put_key(f, "match-class", put_class);
	}
}

static void check_random_device(const struct policy *policy)
{
	static const char *const some[] = { "0000:00:00.0", "0000:00:00.1",  "0000:01:00.0",
					    "0000:01:00.1", "10000:00:00.0", "0000:02:00.0" };
	const char *const parents[] = { some[fixture_random(6)], some[fixture_random(6)], NULL };
	const struct device_facts device = {
		.address = some[fixture_random(6)],
		.vendor = (uint16_t)fixture_random(3),
		.device = (uint16_t)fixture_random(3),
		.subvendor = (uint16_t)fixture_random(3),
		.subdevice = (uint16_t)fixture_random(3),
		.class_code = fixture_random(3) << 16 | fixture_random(2) << 8 | fixture_random(2),
		.parents = fixture_random(4) ? parents : NULL,
		.iommu = fixture_random(4) ? fixture_random(2) ? "dmar0" : "dmar1" : NULL,
		.removable = fixture_random(2),
		.virtual_function = fixture_random(2),
		.bridge = fixture_random(4) == 0,
	};
	struct trace trace = { 0 };

	policy_trace(policy, &device, on_rule, &trace);
	ck_assert_uint_eq(trace.n, policy_n_rules(policy));
	ck_assert_ptr_eq(policy_match(policy, &device), trace.last);
}

START_TEST(index_agrees_with_a_walk)
{
	/* TEST_ROUNDS: fewer where each takes long, as under valgrind. */
	const char *asked = getenv("TEST_ROUNDS");
	unsigned rounds = asked ? (unsigned)atoi(asked) : 300;

	ck_assert_uint_gt(rounds, 0);
	for (unsigned round = 0; round < rounds; round++) {
		struct policy *policy;
		char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);
		unsigned n = fixture_random(40), sections_at = fixture_random(40);

		fputs("# random rules\n", f);
		for (unsigned i = 0; i < n; i++) {
			if (i == sections_at)
				put_id_sections(f);
			put_rule(f, i);
		}
		fclose(f);

		policy = fixture_policy(text);
		free(text);
		for (unsigned i = 0; i < 300; i++)
			check_random_device(policy);
		policy_free(policy);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy matching");
	TCase *tcase = tcase_create("match");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, trace_details, 0, N_ELEMENTS(details));
	tcase_add_test(tcase, missing_facts);
	tcase_add_test(tcase, long_detail_is_cut);
	tcase_add_test(tcase, trace_ends_at_a_negative_return);
	tcase_add_test(tcase, index_agrees_with_a_walk);
	suite_add_tcase(suite, tcase);

	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
