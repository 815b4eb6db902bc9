/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decide.h"
#include "tests/unit/policy-fixture.h"

enum { DEVICES_MAX = 8 };

/* A group of devices 0000:01:00.0, .1 and so on. */
struct group {
	struct device_facts devices[DEVICES_MAX];
	const struct device_facts *list[DEVICES_MAX];
	char addresses[DEVICES_MAX][32];
	struct group_facts facts;
};

static void group_init(struct group *group, size_t n, enum domain current, enum domain boot)
{
	*group = (struct group){
		.facts = { .devices = group->list,
			   .n_devices = n,
			   .current = current,
			   .boot = boot },
	};

	for (size_t i = 0; i < n; i++) {
		snprintf(group->addresses[i], sizeof(group->addresses[i]), "0000:01:00.%zu", i);
		group->devices[i] = (struct device_facts){
			.address = group->addresses[i],
			.vendor = (uint16_t)(i + 1),
			.class_code = 0x020000,
		};
		group->list[i] = &group->devices[i];
	}
}

static const enum domain types[] = { DOMAIN_IDENTITY, DOMAIN_DMA_FQ, DOMAIN_DMA, DOMAIN_BLOCKED };

/*
 * Every group of one to three devices, each with every wish there is, under
 * every present type and type at boot. The device N with the wish W has the
 * ID N+1:W; rule [N+1:W] wishes W. W is 0 where no rule shall match.
 */
static struct policy *policy_of_all_wishes(void)
{
	char *text = NULL;
	size_t size;
	struct policy *policy;
	FILE *f = open_memstream(&text, &size);

	for (unsigned i = 1; i <= 3; i++)
		for (enum domain wish = DOMAIN_KEEP; wish <= DOMAIN_BLOCKED; wish++)
			fprintf(f, "[%u:%u]\ndomain = %s\n", i, wish, domain_to_string(wish));
	fclose(f);
	policy = fixture_policy(text);
	free(text);
	return policy;
}

static enum domain vote_of(const struct group *group, size_t i)
{
	enum domain wish = (enum domain)group->devices[i].device;

	if (wish >= DOMAIN_IDENTITY)
		return wish;
	return wish == DOMAIN_AUTO && group->facts.boot ? group->facts.boot : group->facts.current;
}

static bool has_rule(const struct decision *decision, const struct policy_rule *rule)
{
	for (size_t i = 0; i < decision->n_rules; i++)
		if (decision->rules[i] == rule)
			return true;

	return false;
}

static void check_vote(const struct policy *policy, const struct group *group)
{
	enum domain strongest = DOMAIN_NONE;
	struct decision decision;
	bool managed = false, unknown = false;

	for (size_t i = 0; i < group->facts.n_devices; i++) {
		managed = managed || group->devices[i].device != 0;
		unknown = unknown || vote_of(group, i) == DOMAIN_NONE;
		if (vote_of(group, i) > strongest)
			strongest = vote_of(group, i);
	}
	if (unknown && strongest != DOMAIN_BLOCKED)
		managed = false;

	ck_assert_int_eq(policy_decide(policy, &group->facts, NULL, &decision), 0);
	ck_assert_int_eq(decision.refusal, REFUSAL_NONE);
	ck_assert_int_eq(decision.verdict, managed ? VERDICT_TARGET : VERDICT_UNMANAGED);
	ck_assert_int_eq(decision.target, managed ? strongest : DOMAIN_NONE);
	ck_assert_uint_eq(decision.n_devices, group->facts.n_devices);
	ck_assert_str_ne(decision.reason, "");
	ck_assert_ptr_null(strchr(decision.reason, '\n'));
	ck_assert_ptr_null(strstr(decision.reason, "  "));

	/* The rules behind it are those of the strongest votes; the others are named as overruled. */
	for (size_t i = 0; i < group->facts.n_devices; i++) {
		const struct policy_rule *rule = decision.devices[i].rule;
		char place[64];

		ck_assert_ptr_eq(rule, policy_match(policy, &group->devices[i]));
		ck_assert_int_eq(rule == NULL, group->devices[i].device == 0);
		if (!rule || !managed)
			continue;
		ck_assert_int_eq(has_rule(&decision, rule), vote_of(group, i) == strongest);
		snprintf(place, sizeof(place), "[%s] (%s:%u)", rule->name, rule->path, rule->line);
		ck_assert_ptr_nonnull(strstr(decision.reason, place));
		if (vote_of(group, i) != strongest)
			ck_assert_ptr_nonnull(strstr(decision.reason, " overruled by "));
	}

	decision_clear(&decision);
}

START_TEST(strongest_vote_wins)
{
	struct policy *policy = policy_of_all_wishes();
	struct group group;

	for (size_t n = 1; n <= 3; n++)
		for (unsigned wishes = 0; wishes < 7 * 7 * 7; wishes++)
			for (unsigned state = 0; state < 5 * 5; state++) {
				const unsigned wish[] = { wishes % 7, wishes / 7 % 7, wishes / 49 };
				unsigned current = state % 5, boot = state / 5;

				group_init(&group, n, current ? types[current - 1] : DOMAIN_NONE,
					   boot ? types[boot - 1] : DOMAIN_NONE);
				for (size_t i = 0; i < n; i++)
					group.devices[i].device = (uint16_t)wish[i];
				check_vote(policy, &group);
			}

	policy_free(policy);
}
END_TEST

/* Each with what is said of it; DIR in a reason stands for the rules' file. */
struct reason_case {
	const char *rules;
	size_t n;
	enum domain current, boot;
	enum verdict verdict;
	enum refusal refusal;
	enum domain target;
	const char *reason;
	unsigned removable; /* a bit for each device */
	unsigned untrusted;
	unsigned bridges;
	bool requires_direct;
};

#define T(current_, boot_) .current = DOMAIN_##current_, .boot = DOMAIN_##boot_
#define TARGET(type) VERDICT_TARGET, REFUSAL_NONE, DOMAIN_##type
#define REFUSED(why, type) VERDICT_REFUSED, REFUSAL_##why, DOMAIN_##type
#define UNMANAGED VERDICT_UNMANAGED, REFUSAL_NONE, DOMAIN_NONE

#define A_IDENTITY "[a]\nmatch-id=1:*\ndomain=identity\n"
#define B_IDENTITY "[b]\nmatch-id=2:*\ndomain=identity\n"
#define A_FQ "[a]\nmatch-id=1:*\ndomain=dma-fq\n"
#define A_BLOCKED "[a]\nmatch-id=1:*\ndomain=blocked\n"
#define B_DMA "[b]\nmatch-id=2:*\ndomain=dma\n"
#define A_AUTO "[a]\nmatch-id=1:*\ndomain=auto\n"
#define A_KEEP "[a]\nmatch-id=1:*\ndomain=keep\n"
#define ALL_DMA "[*:*]\ndomain=dma\n"
#define FORCE "force=yes\n"

static const struct reason_case reasons[] = {
	/* unmanaged */
	{ "", 0, T(DMA, DMA), UNMANAGED, "the group has no PCI device" },
	{ "", 2, T(DMA, DMA), UNMANAGED, "no rule matches a device of the group" },
	{ ALL_DMA, 2, T(DMA_FQ, DMA_FQ), UNMANAGED,
	  "the group has only bridges, and no rule names one of them", .bridges = 3 },
	{ B_DMA, 1, T(DMA, DMA), UNMANAGED, "no rule matches a device of the group" },
	/* agreed */
	{ A_IDENTITY, 1, T(DMA, DMA), TARGET(IDENTITY),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0" },
	{ A_IDENTITY B_IDENTITY, 2, T(DMA, DMA), TARGET(IDENTITY),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0 and identity wished by [b] (DIR:4) for 0000:01:00.1" },
	{ ALL_DMA, 2, T(DMA_FQ, DMA), TARGET(DMA),
	  "DMA wished by [*:*] (DIR:1) for 0000:01:00.0 and 0000:01:00.1" },
	{ ALL_DMA, 4, T(DMA_FQ, DMA), TARGET(DMA),
	  "DMA wished by [*:*] (DIR:1) for 0000:01:00.0, 0000:01:00.1, 0000:01:00.2 and 0000:01:00.3" },
	{ ALL_DMA, 8, T(DMA_FQ, DMA), TARGET(DMA),
	  "DMA wished by [*:*] (DIR:1) for 0000:01:00.0, 0000:01:00.1, 0000:01:00.2 and 5 more" },
	{ A_KEEP, 1, T(DMA, IDENTITY), TARGET(DMA), "DMA kept by [a] (DIR:1) for 0000:01:00.0" },
	{ A_KEEP, 2, T(DMA, IDENTITY), TARGET(DMA),
	  "DMA kept by [a] (DIR:1) for 0000:01:00.0 and DMA kept by 0000:01:00.1, which no rule matches" },
	{ A_AUTO, 1, T(DMA, IDENTITY), TARGET(IDENTITY),
	  "auto (identity) wished by [a] (DIR:1) for 0000:01:00.0" },
	{ A_AUTO, 1, T(DMA, NONE), TARGET(DMA),
	  "auto (DMA) wished by [a] (DIR:1) for 0000:01:00.0; the type at boot is not known, so auto keeps DMA" },
	/* raised along with others */
	{ B_DMA, 2, T(IDENTITY, IDENTITY), TARGET(DMA),
	  "DMA wished by [b] (DIR:1) for 0000:01:00.1; 0000:01:00.0, which no rule matches, goes along" },
	{ B_DMA, 3, T(IDENTITY, IDENTITY), TARGET(DMA),
	  "DMA wished by [b] (DIR:1) for 0000:01:00.1; 0000:01:00.0 and 0000:01:00.2, which no rule matches, go along" },
	/* overruled */
	{ A_IDENTITY, 2, T(DMA, DMA), TARGET(DMA),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0 is overruled by 0000:01:00.1, which no rule matches and "
	  "which keeps DMA" },
	{ A_IDENTITY, 3, T(DMA, DMA), TARGET(DMA),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0 is overruled by 0000:01:00.1 and 0000:01:00.2, which no rule "
	  "matches and which keep DMA" },
	{ A_IDENTITY B_DMA, 2, T(DMA_FQ, DMA), TARGET(DMA),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0 is overruled by [b] (DIR:4), which wishes DMA for "
	  "0000:01:00.1" },
	{ A_KEEP B_DMA, 2, T(DMA_FQ, DMA), TARGET(DMA),
	  "DMA-FQ kept by [a] (DIR:1) for 0000:01:00.0 is overruled by [b] (DIR:4), which wishes DMA for 0000:01:00.1" },
	{ A_KEEP B_IDENTITY, 2, T(DMA_FQ, DMA), TARGET(DMA_FQ),
	  "identity wished by [b] (DIR:4) for 0000:01:00.1 is overruled by [a] (DIR:1), which keeps DMA-FQ for "
	  "0000:01:00.0" },
	{ A_AUTO B_IDENTITY, 2, T(DMA, DMA_FQ), TARGET(DMA_FQ),
	  "identity wished by [b] (DIR:4) for 0000:01:00.1 is overruled by [a] (DIR:1), which wishes auto (DMA-FQ) for "
	  "0000:01:00.0" },
	{ A_AUTO B_DMA, 3, T(DMA_FQ, IDENTITY), TARGET(DMA),
	  "auto (identity) wished by [a] (DIR:1) for 0000:01:00.0 is overruled by [b] (DIR:4), which wishes DMA for "
	  "0000:01:00.1; 0000:01:00.2, which no rule matches, goes along" },
	{ A_FQ B_IDENTITY "[c]\nmatch-id=3:*\ndomain=blocked\n", 3, T(DMA, DMA), TARGET(BLOCKED),
	  "DMA-FQ wished by [a] (DIR:1) for 0000:01:00.0 and identity wished by [b] (DIR:4) for 0000:01:00.1 are "
	  "overruled by [c] (DIR:7), which wishes blocked for 0000:01:00.2" },
	{ A_IDENTITY B_DMA, 3, T(DMA, DMA), TARGET(DMA),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0 is overruled by [b] (DIR:4), which wishes DMA for "
	  "0000:01:00.1 and by 0000:01:00.2, which no rule matches and which keeps DMA" },
	/* bridges: no vote unless named, and then one as any other */
	{ A_IDENTITY, 2, T(DMA, DMA), TARGET(IDENTITY),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0", .bridges = 2 },
	{ "[*:*]\ndomain=identity\n", 2, T(DMA, DMA), TARGET(IDENTITY),
	  "identity wished by [*:*] (DIR:1) for 0000:01:00.0", .bridges = 2 },
	{ "[*:*]\ndomain=identity\n[2:0]\ndomain=dma\n", 2, T(DMA, DMA), TARGET(DMA),
	  "identity wished by [*:*] (DIR:1) for 0000:01:00.0 is overruled by [2:0] (DIR:3), which wishes DMA for "
	  "0000:01:00.1",
	  .bridges = 2 },
	{ A_IDENTITY "[b]\nmatch-address=0000:01:00.1\ndomain=keep\n", 2, T(DMA, DMA), TARGET(DMA),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0 is overruled by [b] (DIR:4), which keeps DMA for "
	  "0000:01:00.1",
	  .bridges = 2 },
	{ "[b]\nmatch-class=02\ndomain=identity\n", 1, T(DMA, DMA), TARGET(IDENTITY),
	  "identity wished by [b] (DIR:1) for 0000:01:00.0", .bridges = 1 },
	/* refused: untrusted */
	{ A_IDENTITY, 1, T(DMA, DMA), REFUSED(UNTRUSTED, IDENTITY),
	  "identity is refused because 0000:01:00.0 is removable and [a] (DIR:1) does not say force; identity wished by "
	  "[a] (DIR:1) for 0000:01:00.0",
	  .removable = 1 },
	{ A_FQ, 1, T(DMA, DMA), REFUSED(UNTRUSTED, DMA_FQ),
	  "DMA-FQ is refused because 0000:01:00.0 is untrusted and [a] (DIR:1) does not say force; DMA-FQ wished by [a] "
	  "(DIR:1) for 0000:01:00.0",
	  .untrusted = 1 },
	{ A_FQ, 1, T(IDENTITY, DMA), REFUSED(UNTRUSTED, DMA_FQ),
	  "DMA-FQ is refused because 0000:01:00.0 is removable and [a] (DIR:1) does not say force; DMA-FQ wished by [a] "
	  "(DIR:1) for 0000:01:00.0",
	  .removable = 1 },
	{ A_AUTO, 1, T(DMA, DMA_FQ), REFUSED(UNTRUSTED, DMA_FQ),
	  "DMA-FQ is refused because 0000:01:00.0 is removable and [a] (DIR:1) does not say force; auto (DMA-FQ) wished "
	  "by [a] (DIR:1) for 0000:01:00.0",
	  .removable = 1 },
	{ A_IDENTITY, 2, T(DMA, DMA), REFUSED(UNTRUSTED, IDENTITY),
	  "identity is refused because 0000:01:00.1 is removable and no rule says force; identity wished by [a] (DIR:1) "
	  "for 0000:01:00.0",
	  .removable = 2, .bridges = 2 },
	{ A_IDENTITY B_IDENTITY FORCE, 2, T(DMA, DMA), REFUSED(UNTRUSTED, IDENTITY),
	  "identity is refused because 0000:01:00.0 is removable and [a] (DIR:1) does not say force; identity wished by "
	  "[a] (DIR:1) for 0000:01:00.0 and identity wished by [b] (DIR:4) for 0000:01:00.1",
	  .removable = 1 },
	{ A_FQ, 2, T(IDENTITY, DMA), REFUSED(UNTRUSTED, DMA_FQ),
	  "DMA-FQ is refused because 0000:01:00.1 is removable and no rule says force; DMA-FQ wished by [a] (DIR:1) for "
	  "0000:01:00.0; 0000:01:00.1, which no rule matches, goes along",
	  .removable = 2 },
	/* forced, or with nothing to refuse */
	{ A_IDENTITY FORCE, 1, T(DMA, DMA), TARGET(IDENTITY),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0", .removable = 1 },
	{ A_IDENTITY FORCE, 2, T(DMA, DMA), TARGET(IDENTITY),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0", .removable = 3, .bridges = 2 },
	{ A_IDENTITY FORCE B_IDENTITY, 2, T(DMA, DMA), TARGET(IDENTITY),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0 and identity wished by [b] (DIR:5) for 0000:01:00.1",
	  .untrusted = 1 },
	{ B_DMA, 2, T(DMA_FQ, DMA_FQ), TARGET(DMA),
	  "DMA wished by [b] (DIR:1) for 0000:01:00.1; 0000:01:00.0, which no rule matches, goes along",
	  .removable = 3 },
	{ A_IDENTITY, 2, T(DMA_FQ, DMA_FQ), TARGET(DMA_FQ),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0 is overruled by 0000:01:00.1, which no rule matches and "
	  "which keeps DMA-FQ",
	  .removable = 2 },
	{ A_FQ, 1, T(DMA_FQ, DMA_FQ), TARGET(DMA_FQ),
	  "DMA-FQ wished by [a] (DIR:1) for 0000:01:00.0", .removable = 1 },
	{ A_BLOCKED, 1, T(DMA_FQ, DMA_FQ), TARGET(BLOCKED),
	  "blocked wished by [a] (DIR:1) for 0000:01:00.0", .removable = 1, .untrusted = 1 },
	/* refused: firmware's mapping, which no force overcomes */
	{ A_BLOCKED, 1, T(DMA, DMA), REFUSED(REQUIRES_DIRECT, BLOCKED),
	  "blocked is refused because the group has a direct reserved region, whose 1:1 mapping its firmware needs; "
	  "blocked wished by [a] (DIR:1) for 0000:01:00.0",
	  .requires_direct = true },
	{ A_BLOCKED FORCE B_DMA, 2, T(DMA, DMA), REFUSED(REQUIRES_DIRECT, BLOCKED),
	  "blocked is refused because the group has a direct reserved region, whose 1:1 mapping its firmware needs; DMA "
	  "wished by [b] (DIR:5) for 0000:01:00.1 is overruled by [a] (DIR:1), which wishes blocked for 0000:01:00.0",
	  .requires_direct = true },
	{ A_BLOCKED, 1, T(BLOCKED, DMA), TARGET(BLOCKED),
	  "blocked wished by [a] (DIR:1) for 0000:01:00.0", .requires_direct = true },
	{ A_IDENTITY, 1, T(DMA, DMA), TARGET(IDENTITY),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0", .requires_direct = true },
	/* an unknown type */
	{ A_IDENTITY, 1, T(NONE, DMA), TARGET(IDENTITY),
	  "identity wished by [a] (DIR:1) for 0000:01:00.0" },
	{ A_KEEP, 1, T(NONE, DMA), UNMANAGED,
	  "the type that the group has is not known, and [a] (DIR:1) keeps it for 0000:01:00.0" },
	{ A_IDENTITY, 2, T(NONE, DMA), UNMANAGED,
	  "the type that the group has is not known, and 0000:01:00.1, which no rule matches, keeps it; nothing is done "
	  "for identity wished by [a] (DIR:1) for 0000:01:00.0" },
	{ A_IDENTITY, 3, T(NONE, DMA), UNMANAGED,
	  "the type that the group has is not known, and 0000:01:00.1 and 0000:01:00.2, which no rule matches, keep it; "
	  "nothing is done for identity wished by [a] (DIR:1) for 0000:01:00.0" },
	{ A_AUTO, 1, T(NONE, NONE), UNMANAGED,
	  "the type that the group has is not known, and [a] (DIR:1) keeps it for 0000:01:00.0" },
	{ A_AUTO B_DMA, 2, T(NONE, DMA_FQ), TARGET(DMA),
	  "auto (DMA-FQ) wished by [a] (DIR:1) for 0000:01:00.0 is overruled by [b] (DIR:4), which wishes DMA for "
	  "0000:01:00.1" },
	{ "[b]\nmatch-id=2:*\ndomain=keep\n" A_BLOCKED, 3, T(NONE, DMA), TARGET(BLOCKED),
	  "an unknown type kept by [b] (DIR:1) for 0000:01:00.1 is overruled by [a] (DIR:4), which wishes blocked for "
	  "0000:01:00.0; 0000:01:00.2, which no rule matches, goes along" },
};

static char *with_path(const char *text, const char *path)
{
	char *ret = NULL;
	size_t size;
	FILE *f = open_memstream(&ret, &size);

	for (const char *next; (next = strstr(text, "DIR:")); text = next + 3)
		fprintf(f, "%.*s%s", (int)(next - text), text, path);
	fputs(text, f);
	fclose(f);
	return ret;
}

START_TEST(reason)
{
	const struct reason_case *c = &reasons[_i];
	char *expected = with_path(c->reason, fixture_path("test.conf"));
	char rules[512];
	struct policy *policy;
	struct decision decision;
	struct group group;

	snprintf(rules, sizeof(rules), "%s", c->rules);
	policy = fixture_policy(rules);
	group_init(&group, c->n, c->current, c->boot);
	group.facts.requires_direct = c->requires_direct;
	for (size_t i = 0; i < c->n; i++) {
		group.devices[i].removable = c->removable >> i & 1;
		group.devices[i].untrusted = c->untrusted >> i & 1;
		group.devices[i].bridge = c->bridges >> i & 1;
	}

	ck_assert_int_eq(policy_decide(policy, &group.facts, NULL, &decision), 0);
	ck_assert_str_eq(decision.reason, expected);
	ck_assert_int_eq(decision.verdict, c->verdict);
	ck_assert_int_eq(decision.refusal, c->refusal);
	ck_assert_int_eq(decision.target, c->target);

	decision_clear(&decision);
	ck_assert_ptr_null(decision.reason);
	policy_free(policy);
	free(expected);
}
END_TEST

/* Whatever the vote: no change towards identity or DMA-FQ with an untrusted device, none to blocked with a direct region. */
START_TEST(refusals_hold_for_all_votes)
{
	struct policy *policy = policy_of_all_wishes();

	for (unsigned wishes = 0; wishes < 7 * 7 * 7; wishes++)
		for (unsigned state = 0; state < 4 * 4 * 8 * 2; state++) {
			const unsigned wish[] = { wishes % 7, wishes / 7 % 7, wishes / 49 };
			struct decision decision;
			struct group group;
			bool lowers, untrusted = state / 16 % 8 != 0;

			group_init(&group, 3, types[state % 4], types[state / 4 % 4]);
			group.facts.requires_direct = state / 128;
			for (size_t i = 0; i < 3; i++) {
				group.devices[i].device = (uint16_t)wish[i];
				group.devices[i].removable = state / 16 >> i & 1;
			}

			ck_assert_int_eq(policy_decide(policy, &group.facts, NULL, &decision), 0);
			lowers = decision.target == DOMAIN_IDENTITY ||
				 decision.target == DOMAIN_DMA_FQ;
			if (decision.target == DOMAIN_NONE ||
			    decision.target == group.facts.current)
				ck_assert_int_eq(decision.refusal, REFUSAL_NONE);
			else if (lowers && untrusted)
				ck_assert_int_eq(decision.refusal, REFUSAL_UNTRUSTED);
			else if (decision.target == DOMAIN_BLOCKED && group.facts.requires_direct)
				ck_assert_int_eq(decision.refusal, REFUSAL_REQUIRES_DIRECT);
			else
				ck_assert_int_eq(decision.refusal, REFUSAL_NONE);
			ck_assert_int_eq(decision.verdict == VERDICT_REFUSED,
					 decision.refusal != REFUSAL_NONE);
			decision_clear(&decision);
		}

	policy_free(policy);
}
END_TEST

/* What the rules behind a target allow together; rules that lost allow nothing. */
static const struct {
	const char *rules;
	size_t n;
	enum domain current;
	enum rebind rebind;
	bool force;
	size_t n_rules;
} allowances[] = {
	{ A_IDENTITY, 1, DOMAIN_DMA, REBIND_HOTPLUG, false, 1 },
	{ A_IDENTITY "rebind=never\n", 1, DOMAIN_DMA, REBIND_NEVER, false, 1 },
	{ A_IDENTITY "rebind=always\n" FORCE, 1, DOMAIN_DMA, REBIND_ALWAYS, true, 1 },
	{ A_IDENTITY "rebind=never\n" B_IDENTITY, 2, DOMAIN_DMA, REBIND_HOTPLUG, false, 2 },
	{ A_IDENTITY "rebind=never\n" B_IDENTITY "rebind=always\n" FORCE, 2, DOMAIN_DMA,
	  REBIND_ALWAYS, true, 2 },
	{ A_IDENTITY "rebind=always\n" FORCE B_DMA "rebind=never\n", 2, DOMAIN_DMA_FQ, REBIND_NEVER,
	  false, 1 },
	{ A_IDENTITY "rebind=always\n" FORCE, 2, DOMAIN_DMA, REBIND_HOTPLUG, false, 0 },
	{ A_KEEP "rebind=always\n", 1, DOMAIN_DMA, REBIND_ALWAYS, false, 1 },
	{ ALL_DMA, 3, DOMAIN_IDENTITY, REBIND_HOTPLUG, false, 1 },
};

START_TEST(allowance)
{
	struct policy *policy = fixture_policy(allowances[_i].rules);
	struct decision decision;
	struct group group;

	group_init(&group, allowances[_i].n, allowances[_i].current, DOMAIN_DMA);
	ck_assert_int_eq(policy_decide(policy, &group.facts, NULL, &decision), 0);
	ck_assert_int_eq(decision.verdict, VERDICT_TARGET);
	ck_assert_int_eq(decision.rebind, allowances[_i].rebind);
	ck_assert_int_eq(decision.force, allowances[_i].force);
	ck_assert_uint_eq(decision.n_rules, allowances[_i].n_rules);
	decision_clear(&decision);
	policy_free(policy);
}
END_TEST

START_TEST(rules_are_in_order)
{
	struct policy *policy =
		fixture_policy("[3:*]\ndomain=dma\n[1:*]\ndomain=dma\n[2:*]\ndomain=dma\n");
	struct decision decision;
	struct group group;

	group_init(&group, 3, DOMAIN_DMA_FQ, DOMAIN_DMA);
	ck_assert_int_eq(policy_decide(policy, &group.facts, NULL, &decision), 0);
	ck_assert_uint_eq(decision.n_rules, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(decision.rules[i]->position, i);
	decision_clear(&decision);
	policy_free(policy);
}
END_TEST

START_TEST(drivers)
{
	struct policy *policy = fixture_policy(A_IDENTITY "driver=vfio-pci\n" B_DMA
							  "driver=nvme\n[c]\nmatch-id=3:*\n"
							  "domain=keep\n[4:*]\ndomain=blocked\n");
	struct decision decision;
	struct group group;

	group_init(&group, 3, DOMAIN_DMA_FQ, DOMAIN_DMA);
	ck_assert_int_eq(policy_decide(policy, &group.facts, NULL, &decision), 0);
	ck_assert_str_eq(decision.devices[0].driver, "vfio-pci");
	ck_assert_str_eq(decision.devices[1].driver, "nvme");
	ck_assert_ptr_null(decision.devices[2].driver);
	decision_clear(&decision);

	/* A fourth device blocks the group, and so all drivers. */
	group_init(&group, 4, DOMAIN_DMA_FQ, DOMAIN_DMA);
	ck_assert_int_eq(policy_decide(policy, &group.facts, NULL, &decision), 0);
	ck_assert_int_eq(decision.target, DOMAIN_BLOCKED);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_ptr_nonnull(decision.devices[i].rule);
		ck_assert_ptr_null(decision.devices[i].driver);
	}
	decision_clear(&decision);
	policy_free(policy);
}
END_TEST

static const struct {
	struct decide_override override;
	enum domain current, boot;
	bool removable, requires_direct;
	enum verdict verdict;
	enum refusal refusal;
	enum domain target;
	const char *reason;
} overrides[] = {
	{ { DOMAIN_IDENTITY, REBIND_ALWAYS, true },
	  T(DMA, DMA),
	  false,
	  false,
	  TARGET(IDENTITY),
	  "identity was set at run time" },
	{ { DOMAIN_DMA_FQ, REBIND_NEVER, false },
	  T(DMA, DMA),
	  false,
	  false,
	  TARGET(DMA_FQ),
	  "DMA-FQ was set at run time" },
	{ { DOMAIN_BLOCKED, REBIND_ALWAYS, false },
	  T(DMA, DMA),
	  true,
	  false,
	  TARGET(BLOCKED),
	  "blocked was set at run time" },
	{ { DOMAIN_AUTO, REBIND_HOTPLUG, false },
	  T(DMA, DMA_FQ),
	  false,
	  false,
	  TARGET(DMA_FQ),
	  "auto (DMA-FQ) was set at run time" },
	/* What the kernel itself gave at boot may always come back. */
	{ { DOMAIN_AUTO, REBIND_ALWAYS, false },
	  T(DMA, DMA_FQ),
	  true,
	  false,
	  TARGET(DMA_FQ),
	  "auto (DMA-FQ) was set at run time" },
	{ { DOMAIN_AUTO, REBIND_HOTPLUG, false },
	  T(DMA, NONE),
	  false,
	  false,
	  TARGET(DMA),
	  "auto (DMA) was set at run time; the type at boot is not known, so auto keeps DMA" },
	{ { DOMAIN_AUTO, REBIND_HOTPLUG, false },
	  T(NONE, NONE),
	  false,
	  false,
	  UNMANAGED,
	  "the type that the group has is not known, so auto has no meaning" },
	{ { DOMAIN_KEEP, REBIND_HOTPLUG, false },
	  T(DMA_FQ, DMA),
	  true,
	  false,
	  TARGET(DMA_FQ),
	  "keep (DMA-FQ) was set at run time" },
	{ { DOMAIN_IDENTITY, REBIND_ALWAYS, false },
	  T(DMA, DMA),
	  true,
	  false,
	  REFUSED(UNTRUSTED, IDENTITY),
	  "identity is refused because 0000:01:00.1 is removable and force was not given; identity was set at run "
	  "time" },
	{ { DOMAIN_IDENTITY, REBIND_ALWAYS, true },
	  T(DMA, DMA),
	  true,
	  false,
	  TARGET(IDENTITY),
	  "identity was set at run time" },
	{ { DOMAIN_BLOCKED, REBIND_ALWAYS, true },
	  T(DMA, DMA),
	  false,
	  true,
	  REFUSED(REQUIRES_DIRECT, BLOCKED),
	  "blocked is refused because the group has a direct reserved region, whose 1:1 mapping its firmware needs; "
	  "blocked was set at run time" },
	{ { DOMAIN_IDENTITY, REBIND_ALWAYS, false },
	  T(NONE, NONE),
	  false,
	  false,
	  TARGET(IDENTITY),
	  "identity was set at run time" },
};

/* In place of a vote that would otherwise be blocked, with a driver wish, or where there is no rule at all. */
START_TEST(override)
{
	static const char *const rules[] = { "", A_IDENTITY "driver=vfio-pci\n",
					     A_IDENTITY "driver=vfio-pci\n"
							"[2:*]\ndomain=blocked\n" };

	for (size_t i = 0; i < N_ELEMENTS(rules); i++) {
		struct policy *policy = fixture_policy(rules[i]);
		struct decision decision;
		struct group group;

		group_init(&group, 2, overrides[_i].current, overrides[_i].boot);
		group.devices[1].removable = overrides[_i].removable;
		group.facts.requires_direct = overrides[_i].requires_direct;
		ck_assert_int_eq(
			policy_decide(policy, &group.facts, &overrides[_i].override, &decision), 0);
		ck_assert_str_eq(decision.reason, overrides[_i].reason);
		ck_assert_int_eq(decision.verdict, overrides[_i].verdict);
		ck_assert_int_eq(decision.refusal, overrides[_i].refusal);
		ck_assert_int_eq(decision.target, overrides[_i].target);
		ck_assert_uint_eq(decision.n_rules, 0);
		if (decision.verdict != VERDICT_UNMANAGED) {
			ck_assert_int_eq(decision.rebind, overrides[_i].override.rebind);
			ck_assert_int_eq(decision.force, overrides[_i].override.force);
		}
		ck_assert_int_eq(decision.devices[0].rule != NULL, i > 0);
		ck_assert_int_eq(decision.devices[0].driver != NULL,
				 i > 0 && decision.target != DOMAIN_BLOCKED);
		decision_clear(&decision);
		policy_free(policy);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy decisions");
	TCase *tcase = tcase_create("decide");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, strongest_vote_wins);
	tcase_add_loop_test(tcase, reason, 0, N_ELEMENTS(reasons));
	tcase_add_test(tcase, refusals_hold_for_all_votes);
	tcase_add_loop_test(tcase, allowance, 0, N_ELEMENTS(allowances));
	tcase_add_test(tcase, rules_are_in_order);
	tcase_add_test(tcase, drivers);
	tcase_add_loop_test(tcase, override, 0, N_ELEMENTS(overrides));
	suite_add_tcase(suite, tcase);

	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
