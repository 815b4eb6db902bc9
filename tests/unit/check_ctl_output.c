/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>

#include "config.h"

#include "ctl/agent.h"
#include "ctl/bus.h"
#include "ctl/describe.h"
#include "ctl/display.h"
#include "ctl/document.h"
#include "ctl/events-json.h"
#include "ctl/json.h"
#include "ctl/names.h"
#include "ctl/options.h"
#include "ctl/pager.h"
#include "ctl/util.h"
#include "ctl/verdict.h"

/* A group of three: a device, another one, and the bridge above them. */
struct fixture {
	struct model_device devices[3];
	struct model_device *members[3];
	struct model_group group;
};

#define TEXT(literal) ((char *)(literal))

static void make(struct fixture *f)
{
	static const char *const addresses[] = { "0000:01:00.0", "0000:01:00.1", "0000:00:1c.0" };

	*f = (struct fixture){ 0 };
	f->group = (struct model_group){
		.id = 12,
		.type = TEXT("DMA"),
		.boot_type = TEXT("DMA"),
		.target = TEXT("DMA"),
		.state = TEXT("compliant"),
		.reason = TEXT(""),
		.owner = TEXT("kernel"),
		.error_name = TEXT(""),
		.error_message = TEXT(""),
		.devices = f->members,
		.n_devices = 3,
		.n_rules = 1,
	};
	for (size_t i = 0; i < 3; i++) {
		f->devices[i] = (struct model_device){
			.address = TEXT(addresses[i]),
			.driver = TEXT(""),
			.vendor_name = TEXT(""),
			.device_name = TEXT(""),
			.class_name = TEXT(""),
			.wish = TEXT(""),
			.rule = { .file = TEXT(""), .name = TEXT("") },
			.bridge = i == 2,
			.group = &f->group,
		};
		f->members[i] = &f->devices[i];
	}
}

static void wish(struct fixture *f, size_t i, const char *word)
{
	f->devices[i].wish = TEXT(word);
	f->devices[i].rule = (struct model_rule){
		.name = TEXT("gpu"),
		.file = TEXT("/p/50-gpu.conf"),
		.line = 3,
	};
}

static const struct {
	const char *wishes[3]; /* NULL: no rule */
	const char *type, *boot_type, *target;
	enum vote_kind kinds[3];
	enum domain types[3];
	bool wins[3];
} counts[] = {
	/* Lowering needs every device; the one without a rule keeps what there is. */
	{ { "identity", NULL, NULL },
	  "DMA",
	  "DMA",
	  "DMA",
	  { VOTE_WISH, VOTE_NO_RULE, VOTE_ABSTAINS },
	  { DOMAIN_IDENTITY, DOMAIN_DMA, DOMAIN_NONE },
	  { false, true, false } },
	/* Raising needs one. */
	{ { "DMA", NULL, NULL },
	  "identity",
	  "identity",
	  "DMA",
	  { VOTE_WISH, VOTE_NO_RULE, VOTE_ABSTAINS },
	  { DOMAIN_DMA, DOMAIN_IDENTITY, DOMAIN_NONE },
	  { true, false, false } },
	{ { "keep", "auto", "blocked" },
	  "DMA-FQ",
	  "DMA",
	  "blocked",
	  { VOTE_KEEP, VOTE_WISH, VOTE_WISH },
	  { DOMAIN_DMA_FQ, DOMAIN_DMA, DOMAIN_BLOCKED },
	  { false, false, true } },
	/* A type that nobody knows cannot be weighed. */
	{ { "auto", NULL, NULL },
	  "odd",
	  "",
	  "",
	  { VOTE_WISH, VOTE_NO_RULE, VOTE_ABSTAINS },
	  { DOMAIN_NONE, DOMAIN_NONE, DOMAIN_NONE },
	  { false, false, false } },
};

START_TEST(verdict_counts)
{
	struct verdict verdict;
	struct fixture f;

	make(&f);
	f.group.type = TEXT(counts[_i].type);
	f.group.boot_type = TEXT(counts[_i].boot_type);
	f.group.target = TEXT(counts[_i].target);
	f.group.n_rules = 0;
	for (size_t i = 0; i < 3; i++) {
		if (!counts[_i].wishes[i])
			continue;
		wish(&f, i, counts[_i].wishes[i]);
		f.group.n_rules |= streq(counts[_i].wishes[i], f.group.target);
	}

	ck_assert_int_eq(verdict_reach(&f.group, &verdict), 0);
	ck_assert_uint_eq(verdict.n_votes, 3);
	ck_assert(!verdict.by_hand);
	for (size_t i = 0; i < 3; i++) {
		const struct vote *vote = &verdict.votes[i];
		bool asks = vote->kind == VOTE_WISH || vote->kind == VOTE_KEEP;

		/* Whose rule wants something weaker, be it what there is. */
		ck_assert_int_eq(vote_is_overruled(&verdict, vote),
				 asks && vote->type != DOMAIN_NONE && !vote->wins);
		ck_assert_int_eq(verdict.votes[i].kind, counts[_i].kinds[i]);
		ck_assert_int_eq(verdict.votes[i].type, counts[_i].types[i]);
		ck_assert_int_eq(verdict.votes[i].wins, counts[_i].wins[i]);
	}
	verdict_clear(&verdict);
}
END_TEST

/* One that is set at run time has the rules and votes that it had, and the daemon names no rule behind the target. */
static const struct {
	const char *state, *error;
	const char *wishes[2];
	const char *type, *target, *boot_type;
	bool set, drifted;
	const char *mode, *way;
	const char *first; /* words of the first piece of advice; NULL: there is none */
} advices[] = {
	{ "compliant", "", { "DMA", NULL }, "DMA", "DMA", "DMA", 0, 0, NULL, NULL, NULL },
	{ "unmanaged", "", { NULL, NULL }, "DMA", "", "DMA", 0, 0, NULL, NULL,
	  "/etc/iommu-policyd/policy.d" },
	{ "compliant", "", { "identity", NULL }, "DMA", "DMA", "DMA", 0, 0, NULL, NULL,
	  "0000:01:00.1 must be for identity, too: no rule matches it, so it keeps DMA" },
	{ "compliant", "", { "identity", "DMA" }, "DMA", "DMA", "DMA", 0, 0, NULL, NULL,
	  "0000:01:00.1 must be for identity, too: [gpu] (/p/50-gpu.conf:3) asks for DMA" },
	/* A keep that loses: it is for what there was before the change that waits. */
	{ "pending", "", { "keep", "blocked" }, "DMA-FQ", "blocked", "DMA", 0, 0, "enforce", "wait",
	  "0000:01:00.1 must be for DMA-FQ, too: [gpu] (/p/50-gpu.conf:3) asks for blocked" },
	/* And one that has what it keeps. */
	{ "compliant", "", { "keep", "DMA-FQ" }, "DMA-FQ", "DMA-FQ", "DMA", 0, 0, NULL, NULL, NULL },
	/* By 'set', without rules and beside some. */
	{ "compliant", "", { NULL, NULL }, "identity", "identity", "DMA", 1, 0, NULL, NULL,
	  "'iommu-policyctl restore 12' takes it back" },
	{ "compliant", "", { "DMA", NULL }, "identity", "identity", "DMA", 1, 0, NULL, NULL,
	  "'iommu-policyctl restore 12' brings DMA back" },
	{ "compliant", "", { "keep", NULL }, "blocked", "blocked", "DMA", 1, 0, NULL, NULL,
	  "'iommu-policyctl restore 12'" },
	/* By 'restore': another one would do nothing. */
	{ "compliant", "", { "DMA-FQ", NULL }, "DMA", "DMA", "DMA", 1, 0, NULL, NULL,
	  "a change of the group's rules or another 'set' ends that" },
	/* What waits, for the driver and for other things. */
	{ "pending", "", { "identity", "identity" }, "DMA", "identity", "DMA", 0, 0, "enforce",
	  "wait", "apply --rebind 12" },
	{ "pending", "", { "DMA", "DMA" }, "DMA", "DMA", "DMA", 0, 0, "enforce", "wait",
	  "apply --rebind 12" },
	{ "pending", "", { "DMA", NULL }, "DMA", "DMA", "DMA", 0, 0, "enforce", "nothing",
	  "modprobe" },
	{ "pending", "", { "identity", "identity" }, "DMA", "identity", "DMA", 0, 0, "audit",
	  "transaction", "Mode=enforce" },
	{ "pending", "", { "identity", "identity" }, "DMA", "identity", "DMA", 0, 0, "audit", "wait",
	  "Mode=enforce" },
	/* An earlier change of the same devices: it goes on by itself. */
	{ "pending", "", { "identity", "identity" }, "DMA", "identity", "DMA", 0, 0, "enforce",
	  "transaction", NULL },
	{ "pending", BUS_ERROR_IN_USE, { "identity", "identity" }, "DMA", "identity", "DMA", 0, 0,
	  "enforce", "transaction", "stop what uses it" },
	/* Drift: the type, a driver, the claim of a quarantine with a rule and without. */
	{ "pending", "", { "DMA", NULL }, "identity", "DMA", "DMA", 0, 1, "enforce", "transaction",
	  "'iommu-policyctl apply 12' brings back" },
	{ "pending", "", { "DMA", NULL }, "identity", "DMA", "DMA", 0, 1, "enforce", "wait",
	  "'iommu-policyctl apply --rebind 12'" },
	{ "pending", "", { "DMA", NULL }, "identity", "DMA", "DMA", 0, 1, "audit", "transaction",
	  "Mode=enforce" },
	{ "pending", "", { "blocked", NULL }, "blocked", "blocked", "DMA", 0, 1, "enforce",
	  "nothing", "'iommu-policyctl apply 12'" },
	{ "refused", BUS_ERROR_IN_USE, { "identity", "identity" }, "DMA", "identity", "DMA", 0, 0,
	  NULL, NULL, "stop what uses it" },
	{ "refused", BUS_ERROR_UNTRUSTED, { "identity", "identity" }, "DMA", "identity", "DMA", 0, 0,
	  NULL, NULL, "'force = yes' in [gpu] (/p/50-gpu.conf:3)" },
	{ "refused", BUS_ERROR_REQUIRES_DIRECT, { "blocked", NULL }, "DMA", "blocked", "DMA", 0, 0,
	  NULL, NULL, "not possible" },
	{ "refused", "org.iommupolicy1.Error.KernelRefused", { "identity", "identity" }, "DMA",
	  "identity", "DMA", 0, 0, NULL, NULL, "IOMMU_GROUP=12" },
	{ "user-owned", "org.iommupolicy1.Error.UserOwned", { "identity", "identity" }, "DMA",
	  "identity", "DMA", 0, 0, NULL, NULL, "stop the guest" },
	{ "failed", "org.iommupolicy1.Error.Timeout", { "identity", "identity" }, "DMA", "identity",
	  "DMA", 0, 0, NULL, NULL, "IOMMU_GROUP=12" },
};

START_TEST(verdict_advises)
{
	struct verdict verdict;
	char **advice = NULL;
	struct fixture f;

	make(&f);
	f.group.state = TEXT(advices[_i].state);
	f.group.error_name = TEXT(advices[_i].error);
	f.group.type = TEXT(advices[_i].type);
	f.group.boot_type = TEXT(advices[_i].boot_type);
	f.group.target = TEXT(advices[_i].target);
	f.group.set_at_run_time = advices[_i].set;
	f.group.drifted = advices[_i].drifted;
	f.group.n_rules = 0;
	for (size_t i = 0; i < 2; i++) {
		if (!advices[_i].wishes[i])
			continue;
		wish(&f, i, advices[_i].wishes[i]);
		/* As the daemon has it: the rules that are for the target, if rules decide. */
		if (!advices[_i].set && streq(advices[_i].wishes[i], f.group.target))
			f.group.n_rules = 1;
	}

	ck_assert_int_eq(verdict_reach(&f.group, &verdict), 0);
	ck_assert_int_eq(verdict.by_hand, advices[_i].set);
	verdict.mode = advices[_i].mode;
	verdict.way = advices[_i].way;
	ck_assert_int_eq(verdict_advise(&verdict, &f.devices[0], &advice), 0);
	if (advices[_i].first) {
		ck_assert_ptr_nonnull(advice);
		ck_assert_msg(strstr(advice[0], advices[_i].first), "%s", advice[0]);
	} else {
		ck_assert_ptr_null(advice);
	}
	verdict_free_advice(advice);
	verdict_clear(&verdict);
}
END_TEST

START_TEST(builtin_drivers)
{
	struct verdict verdict;
	char **advice = NULL;
	struct fixture f;
	size_t n = 0;

	make(&f);
	wish(&f, 0, "identity");
	f.group.state = TEXT("pending");
	f.group.target = TEXT("identity");
	f.group.reason = TEXT("waits for driver nvme; it is built into the kernel");
	ck_assert_int_eq(verdict_reach(&f.group, &verdict), 0);
	verdict.way = "wait";
	ck_assert_int_eq(verdict_advise(&verdict, &f.devices[0], &advice), 0);
	while (advice[n])
		n++;
	ck_assert_uint_eq(n, 3);
	ck_assert_ptr_nonnull(strstr(advice[1], "'rebind = always' in [gpu] (/p/50-gpu.conf:3)"));
	ck_assert_ptr_nonnull(strstr(advice[2], "iommu.passthrough="));
	verdict_free_advice(advice);
	verdict_clear(&verdict);
}
END_TEST

static const struct {
	const char *systemd_pager, *pager, *secure;
	bool other_user;
	bool none, wants_secure;
	const char *command;
} pagers[] = {
	{ NULL, NULL, NULL, false, false, false, NULL },
	{ NULL, NULL, NULL, true, false, true, NULL },
	{ "", "less", NULL, false, true, false, NULL },
	{ "cat", NULL, NULL, false, true, false, NULL },
	{ NULL, "cat", NULL, true, true, true, NULL },
	{ NULL, "vim -", NULL, false, false, false, NULL },
	{ NULL, "vim -", NULL, true, false, true, NULL },
	{ NULL, "vim -", "0", true, false, false, "vim -" },
	{ "more", "vim -", "yes", false, false, true, "more" },
	{ "more", NULL, "perhaps", false, false, true, "more" },
};

START_TEST(pager)
{
	const struct pager_environment environment = {
		.systemd_pager = pagers[_i].systemd_pager,
		.pager = pagers[_i].pager,
		.secure = pagers[_i].secure,
		.other_user = pagers[_i].other_user,
	};
	struct pager_choice got;

	pager_choose(&environment, &got);
	ck_assert_int_eq(got.none, pagers[_i].none);
	ck_assert_int_eq(got.secure, pagers[_i].wants_secure);
	if (pagers[_i].command)
		ck_assert_str_eq(got.command, pagers[_i].command);
	else if (!got.none)
		ck_assert_ptr_null(got.command);
}
END_TEST

START_TEST(agent)
{
	struct ctl ctl = { 0 };

#if ENABLE_POLKIT
	ck_assert(agent_wanted(&ctl, 1000, true));
#else
	ck_assert(!agent_wanted(&ctl, 1000, true));
#endif
	ck_assert(!agent_wanted(&ctl, 0, true));
	ck_assert(!agent_wanted(&ctl, 1000, false));
	ctl.arguments.host = "box";
	ck_assert(!agent_wanted(&ctl, 1000, true));
	ctl.arguments = (struct arguments){ .no_ask_password = true };
	ck_assert(!agent_wanted(&ctl, 1000, true));
}
END_TEST

START_TEST(modalias)
{
	const struct model_device device = { .vendor = 0x8086,
					     .device = 0x10d3,
					     .subvendor = 0x8086,
					     .subdevice = 0,
					     .class_code = 0x020000 };
	char got[NAMES_MODALIAS_MAX];

	names_modalias(&device, got);
	ck_assert_str_eq(got, "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00");
}
END_TEST

START_TEST(content)
{
	_cleanup_free_ char *text = NULL, *brief = NULL, *name = NULL;
	struct fixture f;
	size_t keep;

	make(&f);
	f.devices[0].driver = TEXT("nvme");
	f.devices[0].vendor_name = TEXT("Advanced Things, Inc.");
	f.devices[1].vendor_name = TEXT("Advanced Things, Inc.");
	f.devices[1].device_name = TEXT("Disk, fast");
	f.devices[2].address = TEXT("10000:00:1c.0");
	ck_assert_int_eq(describe_content(&f.group, &text, &keep, &brief), 0);
	ck_assert_str_eq(text, "0000:01:00.0 nvme Advanced Things Inc., "
			       "0000:01:00.1 (no driver) Disk fast, 10000:00:1c.0 (no driver)");
	ck_assert_str_eq(brief, "01:00.0 nvme, 01:00.1 -, 10000:00:1c.0 -");
	ck_assert_uint_eq(keep, DISPLAY_UNLIMITED);
	name = describe_name(&f.devices[1]);
	ck_assert_str_eq(name, "Advanced Things, Inc. Disk, fast");
}
END_TEST

START_TEST(property_keys)
{
	static const char *const keys[][2] = {
		{ "Type", "type" },	    { "LastError", "last_error" },
		{ "ChangedUSec", "changed_usec" }, { "RequiresDirect", "requires_direct" },
		{ "PolicyGeneration", "policy_generation" },
	};
	char got[32];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		event_json_key(keys[i][0], got, sizeof(got));
		ck_assert_str_eq(got, keys[i][1]);
	}
	event_json_key("ANameThatIsLongerThanThereIsRoomForIt", got, 8);
	ck_assert_uint_lt(strlen(got), 8);
}
END_TEST

/* What is absent is null, and what is no UTF-8 can still be read. */
START_TEST(documents)
{
	json_object *document = json_object_new_object(), *device, *group;
	struct json_builder b = { 0 };
	struct fixture f;

	make(&f);
	f.group.n_rules = 0;
	f.devices[0].driver = TEXT("nv\xffme");
	document_device(&b, document, "device", &f.devices[0]);
	document_group(&b, document, "group", &f.group);
	ck_assert(!b.failed);
	device = json_object_object_get(document, "device");
	ck_assert_str_eq(json_object_get_string(json_object_object_get(device, "driver")),
			 "nv\xef\xbf\xbdme");
	ck_assert(json_object_object_get_ex(device, "rule", NULL));
	ck_assert_ptr_null(json_object_object_get(device, "rule"));
	ck_assert_ptr_null(json_object_object_get(device, "wish"));
	group = json_object_object_get(document, "group");
	ck_assert_ptr_null(json_object_object_get(group, "reason"));
	ck_assert_ptr_null(json_object_object_get(group, "changed_usec"));
	ck_assert_uint_eq(json_object_array_length(json_object_object_get(group, "devices")), 3);
	json_object_put(document);
}
END_TEST

/* What a terminal may obey is escaped in documents, and means the same to a program. */
START_TEST(documents_are_harmless)
{
	static const char text[] = "a\x1b[1m\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x80\x81\u00e9\u65e5z\n";
	struct ctl ctl = { .arguments.json = JSON_SHORT };
	json_object *document = json_object_new_object();
	struct json_builder b = { 0 };
	char printed[256];
	FILE *keep = stdout;

	json_add_text(&b, document, "text", text);
	stdout = fmemopen(printed, sizeof(printed), "w");
	ck_assert_int_eq(json_print(&ctl, &b, document), EXIT_CODE_DONE);
	fclose(stdout);
	stdout = keep;
	ck_assert_str_eq(printed, "{\"text\":\"a\\u001b[1m\\u007f\\u009b\\u202e\\udb40\\udc01\u00e9\u65e5z\\n\"}\n");
	document = json_tokener_parse(printed);
	ck_assert_str_eq(json_object_get_string(json_object_object_get(document, "text")), text);
	json_object_put(document);
}
END_TEST

START_TEST(options_in_order)
{
	size_t n = 0;

	for (const struct option_info *o = options; o->id != OPTION_NONE; o++, n++) {
		ck_assert_msg(o->name && o->summary, "%d", o->id);
		ck_assert_msg(!o->optional || o->value, "%s", o->name);
	}
	ck_assert_uint_lt(n, OPTION_MAX);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl output");
	TCase *tc = tcase_create("ctl output");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, verdict_counts, 0, (int)ARRAY_SIZE(counts));
	tcase_add_loop_test(tc, verdict_advises, 0, (int)ARRAY_SIZE(advices));
	tcase_add_test(tc, builtin_drivers);
	tcase_add_loop_test(tc, pager, 0, (int)ARRAY_SIZE(pagers));
	tcase_add_test(tc, agent);
	tcase_add_test(tc, modalias);
	tcase_add_test(tc, content);
	tcase_add_test(tc, property_keys);
	tcase_add_test(tc, documents);
	tcase_add_test(tc, documents_are_harmless);
	tcase_add_test(tc, options_in_order);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
