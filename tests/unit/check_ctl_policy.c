/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>

#include "ctl/machine.h"
#include "ctl/metrics.h"
#include "ctl/plan.h"
#include "ctl/policy-read.h"
#include "ctl/rule-text.h"
#include "ctl/util.h"
#include "tests/unit/fake-sysfs.h"

#define FIRST "0000:3b:00.0"
#define SECOND "0000:3b:00.1"

static struct machine machine;

static void machine_make(void)
{
	fake_sysfs_make();
	fake_driver("e1000e");
	fake_group(7, "DMA");
	fake_device(FIRST, 7, "e1000e");
	fake_device(SECOND, 7, NULL);
	fake_group(12, "identity");
	fake_file("0x00000000fee00000 0x00000000feefffff msi\n0x7c000000 0x7c7fffff direct\n",
		  "kernel/iommu_groups/12/reserved_regions");
	fake_device("0000:3c:00.0", 12, NULL);
	fake_file("removable\n", "devices/pci0000:00/0000:00:1c.0/0000:3c:00.0/removable");
	fake_group(15, "DMA");
	fake_device("0000:3d:00.0", 15, NULL);
	fake_file("0x060400\n", "devices/pci0000:00/0000:00:1c.0/0000:3d:00.0/class");
	ck_assert_int_eq(machine_read(&machine), 0);
}

static void machine_unmake(void)
{
	machine_clear(&machine);
	fake_sysfs_remove();
}

START_TEST(machine_facts)
{
	const struct group_facts *facts;

	ck_assert_uint_eq(machine.n_groups, 3);
	ck_assert_ptr_null(machine_group(&machine, 1));
	facts = machine_group_facts(machine_group(&machine, 7));
	ck_assert_uint_eq(facts->n_devices, 2);
	ck_assert_str_eq(facts->devices[0]->address, FIRST);
	ck_assert_uint_eq(facts->devices[0]->vendor, 0x8086);
	ck_assert_str_eq(facts->devices[0]->iommu, "dmar0");
	ck_assert_str_eq(machine_group_driver(machine_group(&machine, 7), 0), "e1000e");
	ck_assert_ptr_null(machine_group_driver(machine_group(&machine, 7), 1));
	ck_assert_int_eq(facts->current, DOMAIN_DMA);
	ck_assert_int_eq(facts->boot, DOMAIN_NONE);
	ck_assert(!facts->requires_direct);
	facts = machine_group_facts(machine_group(&machine, 12));
	ck_assert(facts->requires_direct);
	ck_assert(facts->devices[0]->removable);

	machine_know(machine_group(&machine, 12), DOMAIN_BLOCKED, DOMAIN_DMA_FQ);
	ck_assert_int_eq(facts->current, DOMAIN_BLOCKED);
	ck_assert_int_eq(facts->boot, DOMAIN_DMA_FQ);
}
END_TEST

static struct policy *parse(const char *text)
{
	_cleanup_(policy_errors_clear) struct policy_errors errors = { 0 };
	_cleanup_free_ char *path = NULL;
	struct policy *policy = NULL;

	ck_assert_int_ge(asprintf(&path, "%s/test.conf", fake_sysfs_root()), 0);
	fake_file(text, "test.conf");
	ck_assert_int_eq(policy_load_files((const char *const[]){ path, NULL }, &policy, &errors), 0);
	return policy;
}

static const struct {
	unsigned group;
	const char *text;
	const char *target, *state, *way, *reason, *origin;
} sides[] = {
	{ 7, "# nothing\n", "", "unmanaged", "nothing", "no rule matches", "no rule" },
	{ 7, "[a]\nmatch-class = 02\ndomain = DMA\n", "DMA", "compliant", "nothing", "wished by [a]", "[a] " },
	{ 7, "[a]\nmatch-class = 02\ndomain = DMA-FQ\n", "DMA-FQ", "compliant", "live", "wished", "[a] " },
	{ 7, "[a]\nmatch-class = 02\ndomain = identity\n", "identity", "pending", "wait",
	  "waits for driver e1000e", "[a] " },
	{ 7, "[a]\nmatch-class = 02\ndomain = identity\nrebind = always\n", "identity", "compliant",
	  "transaction", "wished", "[a] " },
	{ 7, "[a]\nmatch-address = " SECOND "\ndomain = identity\n", "DMA", "compliant", "nothing",
	  "is overruled", "[a] " },
	{ 7, "[a]\nmatch-class = 02\ndomain = DMA\ndriver = vfio-pci\n", "DMA", "pending", "transaction",
	  "is not loaded", "[a] " },
	{ 12, "[a]\nmatch-class = 02\ndomain = DMA-FQ\n", "DMA-FQ", "refused", "nothing", "removable",
	  "[a] " },
	{ 12, "[a]\nmatch-class = 02\ndomain = blocked\n", "blocked", "refused", "nothing", "direct",
	  "[a] " },
	{ 12, "[a]\nmatch-class = 02\ndomain = auto\n", "identity", "compliant", "nothing",
	  "type at boot is not known", "[a] " },
	{ 12, "[a]\nmatch-class = 02\ndomain = DMA\n", "DMA", "compliant", "write", "wished", "[a] " },
	/* A bridge alone, which can have any type but that. */
	{ 15, "[a]\nmatch-address = 0000:3d:00.0\ndomain = blocked\n", "blocked", "refused", "nothing",
	  "nothing but bridges", "[a] " },
	{ 15, "[a]\nmatch-address = 0000:3d:00.0\ndomain = identity\n", "identity", "compliant", "write",
	  "wished", "[a] " },
};

START_TEST(side)
{
	_cleanup_(policy_freep) struct policy *policy = parse(sides[_i].text);
	const struct machine_group *group = machine_group(&machine, sides[_i].group);
	_cleanup_(plan_clear) struct plan plan = { 0 };
	struct plan_item *item = plan_add(&plan, sides[_i].group);
	_cleanup_free_ char *origin = NULL;
	struct plan_side *got = &item->candidate;

	ck_assert_int_eq(plan_item_describe(item, group), 0);
	ck_assert_int_eq(plan_side_decide(got, group, policy), 0);
	ck_assert_str_eq(got->target, sides[_i].target);
	ck_assert_str_eq(got->state, sides[_i].state);
	ck_assert_str_eq(got->way, sides[_i].way);
	ck_assert_msg(strstr(got->reason, sides[_i].reason) != NULL, "%s", got->reason);
	origin = plan_side_origin(got);
	ck_assert_msg(strncmp(origin, sides[_i].origin, strlen(sides[_i].origin)) == 0, "%s", origin);
	if (got->n_rules > 0)
		ck_assert_msg(strstr(origin, "/test.conf:1") != NULL, "%s", origin);
}
END_TEST

/* Of group 7 in force: [a] with these words for its first device, [b] with DMA for the second. */
static const struct {
	const char *first, *candidate, *files;
	bool stays;
} stays[] = {
#define B "\n[b]\nmatch-address = " SECOND "\ndomain = DMA\n"
#define A "[a]\nmatch-address = " FIRST "\ndomain = DMA-FQ\n"
	{ "a", A B, A B, true },
	{ "a", "# elsewhere\n\n" A "description = other\n" B, A B, true },
	{ "a", B A, NULL, true },
	/* Without the files, and where they have another rule by now, what the bus tells has to do. */
	{ "a", A "rebind = always\n" B, NULL, true },
	{ "a", A "rebind = always\n" B, "[c]\nmatch-class = 02\ndomain = DMA\n", true },
	{ "a", A "rebind = always\n" B, A B, false },
	{ "a", A "force = yes\n" B, A B, false },
	{ "a", A "driver = vfio-pci\n" B, A B, false },
	{ "a", A, A B, false },
	{ "a", B, A B, false },
	{ "a", "# nothing\n", A B, false },
	{ "a", A B "[z]\nmatch-address = " FIRST "\ndomain = DMA-FQ\n", A B, false },
	{ "a", "[a]\nmatch-address = " FIRST "\ndomain = identity\n" B, A B, false },
	/* No rule for the first one. */
	{ NULL, B, B, true },
	{ NULL, A B, B, false },
#undef A
#undef B
};

START_TEST(rules_stay)
{
	struct model_device devices[] = {
		{ .address = (char *)SECOND, .rule = { .name = (char *)"b" }, .wish = (char *)"DMA" },
		{ .address = (char *)FIRST,
		  .rule = { .name = (char *)str_or(stays[_i].first, "") },
		  .wish = (char *)(stays[_i].first ? "DMA-FQ" : "") },
	};
	struct model_device *members[] = { &devices[0], &devices[1] };
	struct model_group known = { .id = 7, .devices = members, .n_devices = 2 };
	_cleanup_(policy_freep) struct policy *candidate = parse(stays[_i].candidate);
	_cleanup_(policy_freep) struct policy *files =
		stays[_i].files ? parse(stays[_i].files) : NULL;
	const struct machine_group *group = machine_group(&machine, 7);

	ck_assert_int_eq(plan_rules_stay(group, &known, files, candidate), stays[_i].stays);
	/* One came or went: the daemon will have decided anew by then. */
	known.n_devices = 1;
	ck_assert(!plan_rules_stay(group, &known, files, candidate));
}
END_TEST

static const struct {
	const char *target, *state;
	bool foreign;
	const char *new_target, *new_state;
	bool differs;
} differences[] = {
	{ "DMA", "compliant", false, "DMA", "compliant", false },
	{ "DMA", "compliant", false, "identity", "compliant", true },
	{ "", "unmanaged", false, "DMA", "compliant", true },
	{ "DMA", "pending", false, "DMA", "compliant", true }, /* rebind = always, say */
	{ "DMA", "failed", true, "DMA", "compliant", false }, /* it would fail again */
	{ "DMA", "user-owned", true, "DMA", "pending", false },
	{ "DMA", "failed", true, "identity", "compliant", true },
	{ "blocked", "refused", false, "blocked", "compliant", true },
};

START_TEST(difference)
{
	struct plan_side from = { .target = (char *)differences[_i].target,
				  .state = (char *)differences[_i].state,
				  .foreign = differences[_i].foreign };
	struct plan_side to = { .target = (char *)differences[_i].new_target,
				.state = (char *)differences[_i].new_state };

	ck_assert_int_eq(plan_differs(&from, &to), differences[_i].differs);
}
END_TEST

/* What is written is what a policy takes, for these devices and no others. */
START_TEST(rule_text)
{
	const struct group_facts *facts = machine_group_facts(machine_group(&machine, 7));
	const struct group_facts *other = machine_group_facts(machine_group(&machine, 12));
	struct rule_text rule = { .prefix = "set", .domain = DOMAIN_DMA_FQ, .rebind = true, .force = true };
	_cleanup_(policy_freep) struct policy *policy = NULL;
	const struct policy_rule *found;
	char text[512] = "";
	FILE *f = fmemopen(text, sizeof(text), "w");

	rule_text_write(f, &rule, facts);
	fclose(f);
	ck_assert_str_eq(text, "[set-0000_3b_00.0]\nmatch-address = " FIRST "\nmatch-address = " SECOND
			       "\ndomain = DMA-FQ\nrebind = always\nforce = yes\n");
	policy = parse(text);
	found = policy_match(policy, facts->devices[1]);
	ck_assert_ptr_nonnull(found);
	ck_assert_int_eq(found->domain, DOMAIN_DMA_FQ);
	ck_assert_int_eq(found->rebind, REBIND_ALWAYS);
	ck_assert(found->force);
	ck_assert_ptr_null(policy_match(policy, other->devices[0]));
}
END_TEST

static char *write_metrics(const struct metrics *metrics)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	metrics_write(f, metrics);
	fclose(f);
	return text;
}

static void ck_sample(json_object *samples, size_t i, const char *wanted)
{
	ck_assert_str_eq(json_object_to_json_string_ext(json_object_array_get_idx(samples, i),
							JSON_C_TO_STRING_NOSLASHESCAPE),
			 wanted);
}

START_TEST(metrics_text)
{
	struct model_group groups[] = {
		{ .state = "compliant", .type = "DMA", .reason = "" },
		{ .state = "compliant", .type = "DMA", .reason = "" },
		{ .state = "pending", .type = "identity", .reason = "wished", .drifted = true },
		/* Of a quarantine whose claim somebody ended, and that no rule wishes any more. */
		{ .state = "unmanaged", .type = "blocked", .reason = "no rule", .drifted = true },
		{ .state = "asleep", .type = "", .reason = "drifted: not a word that counts" },
	};
	struct metrics_transactions transactions[] = { { "applied", 3, 1250001 }, { "odd\"\\\n\x1b", 0, 0 } };
	struct metrics metrics = {
		.up = true,
		.model = { .groups = groups,
			   .n_groups = ARRAY_SIZE(groups),
			   .manager = { .version = "0.1", .mode = "audit", .backend = "sysfs",
					.generation = 4, .n_errors = 2 } },
		.transactions = transactions,
		.n_transactions = ARRAY_SIZE(transactions),
		.reloads = 5,
		.failed_reloads = 1,
	};
	static const char *const lines[] = {
		"iommu_policy_up 1\n",
		"iommu_policy_info{version=\"0.1\",mode=\"audit\",backend=\"sysfs\"} 1\n",
		"iommu_policy_groups{state=\"compliant\",type=\"DMA\"} 2\n",
		"iommu_policy_groups{state=\"failed\",type=\"DMA\"} 0\n",
		"iommu_policy_groups{state=\"asleep\",type=\"unknown\"} 1\n",
		"iommu_policy_drifted_groups 2\n",
		"iommu_policy_transactions_total{result=\"applied\"} 3\n",
		"iommu_policy_transaction_seconds_total{result=\"applied\"} 1.250001\n",
		"iommu_policy_transactions_total{result=\"odd\\\"\\\\\\\\x0a\\\\x1b\"} 0\n",
		"iommu_policy_generation 4\n",
		"iommu_policy_errors 2\n",
		"iommu_policy_reloads_total{result=\"failed\"} 1\n",
	};
	_cleanup_free_ char *text = write_metrics(&metrics), *down = NULL;
	json_object *samples = json_object_new_array();
	struct json_builder b = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		ck_assert_msg(strstr(text, lines[i]) != NULL, "%s: %s", lines[i], text);
	metrics_document(&b, samples, &metrics);
	ck_assert(!b.failed);
	/* As many as there are lines that are no comments, with the same in them. */
	for (const char *c = text; c && *c; c = strchr(c, '\n') + 1)
		n += *c != '#';
	ck_assert_uint_eq(json_object_array_length(samples), n);
	ck_sample(samples, 0, "{\"name\":\"iommu_policy_up\",\"labels\":{},\"value\":1}");
	ck_sample(samples, 1,
		  "{\"name\":\"iommu_policy_info\",\"labels\":{\"version\":\"0.1\",\"mode\":\"audit\","
		  "\"backend\":\"sysfs\"},\"value\":1}");
	ck_sample(samples, n - 6,
		  "{\"name\":\"iommu_policy_transaction_seconds_total\","
		  "\"labels\":{\"result\":\"applied\"},\"value\":1.250001}");
	json_object_put(samples);
	metrics.up = false;
	down = write_metrics(&metrics);
	ck_assert_msg(strstr(down, "\niommu_policy_up 0\n") != NULL, "%s", down);
	ck_assert_ptr_null(strstr(down, "groups"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl policy");
	TCase *pure = tcase_create("pure"), *fake = tcase_create("fake /sys");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(pure, difference, 0, (int)ARRAY_SIZE(differences));
	tcase_add_test(pure, metrics_text);
	suite_add_tcase(suite, pure);
	tcase_add_checked_fixture(fake, machine_make, machine_unmake);
	tcase_add_test(fake, machine_facts);
	tcase_add_loop_test(fake, side, 0, (int)ARRAY_SIZE(sides));
	tcase_add_loop_test(fake, rules_stay, 0, (int)ARRAY_SIZE(stays));
	tcase_add_test(fake, rule_text);
	suite_add_tcase(suite, fake);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
