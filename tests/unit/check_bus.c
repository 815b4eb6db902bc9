/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "daemon/bus-auth.h"
#include "daemon/bus-digest.h"
#include "daemon/log.h"
#include "tests/unit/fake-bus.h"

#define MANAGER BUS_NAME ".Manager"
#define NOT_AUTHORIZED BUS_NAME ".Error.NotAuthorized"
#define NO_GROUP BUS_NAME ".Error.NoSuchGroup"
#define CALLER ":1.7"
#define USER 1000

static struct fake_bus fake;

static void setup(void)
{
	fake = (struct fake_bus){ .uid = USER };
	fake_bus_start(&fake);
}

static void teardown(void)
{
	fake_bus_stop(&fake);
	ck_assert_ptr_null(fake.m.asked);
	ck_assert_ptr_null(fake.m.asked_polkit);
	ck_assert_uint_eq(fake.m.n_asked, 0);
	ck_assert_ptr_null(fake.m.callers);
	ck_assert_ptr_null(fake.m.gone_slot);
}

static void restore(struct fake_answer *answer)
{
	fake_bus_call(&fake, CALLER, MANAGER, "Restore", "u", answer);
}

/* The methods that change nothing. A new one belongs here, or asks who calls. */
static bool is_reader(const char *member)
{
	static const char *const readers[] = { "GetGroupByDevice", "Explain", "Plan" };

	for (size_t i = 0; i < ARRAY_LEN(readers); i++)
		if (strcmp(readers[i], member) == 0)
			return true;
	return false;
}

static void refused(const struct fake_answer *answer, const char *member)
{
	ck_assert_msg(answer->here, "%s: no answer", member);
	ck_assert_msg(strcmp(answer->error, NOT_AUTHORIZED) == 0, "%s: %s: %s", member, answer->error, answer->text);
}

static unsigned walk(const char *path, const char *interface, const sd_bus_vtable *v)
{
	unsigned n = 0;

	for (; v->type != _SD_BUS_VTABLE_END; v++) {
		struct fake_answer answer = {};

		if (v->type == _SD_BUS_VTABLE_METHOD && !is_reader(v->x.method.member)) {
			ck_assert_str_eq(path, BUS_ROOT);
			fake_bus_call(&fake, CALLER, interface, v->x.method.member, strempty(v->x.method.signature),
				      &answer);
			refused(&answer, v->x.method.member);
			n++;
		} else if (v->type == _SD_BUS_VTABLE_WRITABLE_PROPERTY) {
			/* Groups and devices have no object here: one that can be set is to be made known to bus_authorize(). */
			ck_assert_str_eq(path, BUS_LOG_PATH);
			fake_bus_set(&fake, CALLER, path, interface, v->x.property.member, v->x.property.signature,
				     NULL, &answer);
			refused(&answer, v->x.property.member);
			n++;
		}
		/* sd-bus would ask who calls, and wait for the answer. */
		if (v->type == _SD_BUS_VTABLE_METHOD || v->type == _SD_BUS_VTABLE_WRITABLE_PROPERTY)
			ck_assert_msg(v->flags & SD_BUS_VTABLE_UNPRIVILEGED, "%s", v->x.method.member);
	}
	return n;
}

START_TEST(every_member_that_changes_something_is_authorized)
{
	ck_assert_uint_eq(walk(BUS_ROOT, MANAGER, bus_manager_vtable), 5);
	ck_assert_uint_eq(walk("", BUS_NAME ".Group", bus_group_vtable), 0);
	ck_assert_uint_eq(walk("", BUS_NAME ".Device", bus_device_vtable), 0);
	ck_assert_uint_eq(walk(BUS_LOG_PATH, BUS_LOG_INTERFACE, bus_log_vtable), 2);
	ck_assert_uint_eq(fake.n_users, 7);
}
END_TEST

static bool group_flag(const char *property, const struct group *group)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
	int value = -1;

	ck_assert_int_ge(sd_bus_message_new_signal(fake.m.bus, &message, "/", "a.b", "C"), 0);
	for (const sd_bus_vtable *v = bus_group_vtable; v->type != _SD_BUS_VTABLE_END; v++)
		if (v->type == _SD_BUS_VTABLE_PROPERTY && strcmp(v->x.property.member, property) == 0)
			ck_assert_int_ge(v->x.property.get(fake.m.bus, "/", "a.b", property, message,
							   (void *)group, &error), 0);
	ck_assert_int_ge(sd_bus_message_seal(message, 1, 0), 0);
	ck_assert_int_gt(sd_bus_message_read(message, "b", &value), 0);
	return value;
}

START_TEST(flags_of_a_group)
{
	static const struct {
		struct group group;
		bool direct, set, drifted;
	} table[] = {
		{ { .state = STATE_COMPLIANT }, false, false, false },
		{ { .requires_direct = true }, true, false, false },
		{ { .has_override = true }, false, true, false },
		{ { .state = STATE_PENDING, .drifted = true }, false, false, true },
		/* Also where no rule wishes the quarantine any more. */
		{ { .state = STATE_UNMANAGED, .claim_lost = true }, false, false, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		ck_assert_int_eq(group_flag("RequiresDirect", &table[i].group), table[i].direct);
		ck_assert_int_eq(group_flag("SetAtRunTime", &table[i].group), table[i].set);
		ck_assert_int_eq(group_flag("Drifted", &table[i].group), table[i].drifted);
	}
}
END_TEST

START_TEST(nobody_without_a_name)
{
	struct fake_answer answer;

	fake_bus_call(&fake, NULL, MANAGER, "Restore", "u", &answer);
	refused(&answer, "Restore");
	ck_assert_uint_eq(fake.n_users, 0);
}
END_TEST

START_TEST(root_is_not_asked_about)
{
	struct fake_answer answer;

	fake.uid = 0;
	restore(&answer);
	ck_assert_str_eq(answer.error, NO_GROUP);
	ck_assert_uint_eq(fake.n_checks, 0);
}
END_TEST

START_TEST(who_has_gone_is_refused)
{
	struct fake_answer answer;

	fake.user_error = SD_BUS_ERROR_NAME_HAS_NO_OWNER;
	restore(&answer);
	refused(&answer, "Restore");
	ck_assert_uint_eq(fake.n_checks, 0);
}
END_TEST

START_TEST(log_level)
{
	struct fake_answer answer;
	int before = log_get_max_level();

	fake_bus_set(&fake, CALLER, BUS_LOG_PATH, BUS_LOG_INTERFACE, "LogLevel", "s", "debug", &answer);
	refused(&answer, "LogLevel");
	ck_assert_int_eq(log_get_max_level(), before);
	ck_assert(!fake.m.log_level_asked);

	fake.uid = 0;
	fake_bus_set(&fake, CALLER, BUS_LOG_PATH, BUS_LOG_INTERFACE, "LogLevel", "s", "crit", &answer);
	ck_assert(answer.here);
	ck_assert_str_eq(answer.error, "");
	ck_assert_int_eq(log_get_max_level(), LOG_CRIT);
	ck_assert(fake.m.log_level_asked);
	fake_bus_set(&fake, CALLER, BUS_LOG_PATH, BUS_LOG_INTERFACE, "LogLevel", "s", "loud", &answer);
	ck_assert_str_eq(answer.error, SD_BUS_ERROR_INVALID_ARGS);
	fake_bus_set(&fake, CALLER, BUS_LOG_PATH, BUS_LOG_INTERFACE, "LogLevel", "u", NULL, &answer);
	ck_assert_str_eq(answer.error, SD_BUS_ERROR_INVALID_ARGS);
	fake_bus_set(&fake, CALLER, BUS_LOG_PATH, BUS_LOG_INTERFACE, "LogTarget", "s", "console", &answer);
	ck_assert_str_eq(answer.error, SD_BUS_ERROR_INVALID_ARGS);
	fake_bus_set(&fake, CALLER, BUS_LOG_PATH, BUS_LOG_INTERFACE, "LogTarget", "s", "auto", &answer);
	ck_assert_str_eq(answer.error, "");
	fake_bus_set(&fake, CALLER, BUS_LOG_PATH, BUS_LOG_INTERFACE, "SyslogIdentifier", "s", "x", &answer);
	ck_assert_str_eq(answer.error, SD_BUS_ERROR_PROPERTY_READ_ONLY);
	log_set_max_level(before);
}
END_TEST

/* What its caller is told was not taken would be tried again behind their back, and outlive the daemon. */
START_TEST(a_wish_that_cannot_wait_is_not_kept)
{
	struct group group = { .type = DOMAIN_DMA, .boot_type = DOMAIN_DMA }, *groups[] = { &group };
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct policy_errors errors = {};
	struct fake_answer answer;
	size_t n = 0;

	ck_assert_int_ge(policy_load_files((const char *const[]){ NULL }, &fake.m.policy, &errors), 0);
	fake.m.inventory = (struct inventory){ .groups = groups, .n_groups = 1 };
	ck_assert_int_ge(sd_bus_message_new_method_call(fake.peer, &call, NULL, BUS_ROOT, MANAGER, "Restore"), 0);
	ck_assert_int_ge(sd_bus_message_set_sender(call, CALLER), 0);
	while (bus_wait_for(&fake.m, call, false, &group.id, 1, &error) > 0)
		n++;
	ck_assert_uint_gt(n, 0);
	ck_assert_str_eq(error.name, SD_BUS_ERROR_LIMITS_EXCEEDED);
	fake.uid = 0;
	restore(&answer);
	ck_assert_str_eq(answer.error, SD_BUS_ERROR_LIMITS_EXCEEDED);
	ck_assert_ptr_nonnull(strstr(answer.text, "too many calls wait for an answer"));
	ck_assert(!group.has_override);
	ck_assert_ptr_null(group.override_key);
	ck_assert_uint_eq(fake.m.n_queue, 0);
	fake.m.inventory = (struct inventory){};
	fake.m.policy = policy_free(fake.m.policy);
	policy_errors_clear(&errors);
}
END_TEST

#if ENABLE_POLKIT
START_TEST(polkit_decides)
{
	static const struct {
		int allowed, challenge;
		const char *polkit_error;
		const char *text; /* NULL: goes on */
	} table[] = {
		{ true, false, NULL, NULL },
		{ false, false, NULL, "does not allow user 1000" },
		{ false, true, NULL, "needs a password" },
		{ false, false, SD_BUS_ERROR_SERVICE_UNKNOWN, "polkit is not running" },
		{ false, false, SD_BUS_ERROR_NAME_HAS_NO_OWNER, "polkit is not running" },
		{ false, false, "org.freedesktop.DBus.Error.Spawn.ChildExited", "polkit is not running" },
		{ false, false, "org.freedesktop.PolicyKit1.Error.Failed", "polkit has no answer" },
		{ false, false, SD_BUS_ERROR_NO_REPLY, "polkit has no answer" },
	};
	struct fake_answer answer;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		fake.allowed = table[i].allowed;
		fake.challenge = table[i].challenge;
		fake.polkit_error = table[i].polkit_error;
		restore(&answer);
		ck_assert_str_eq(fake.action, BUS_ACTION_RESTORE);
		ck_assert_str_eq(answer.error, table[i].text ? NOT_AUTHORIZED : NO_GROUP);
		ck_assert_msg(!table[i].text || strstr(answer.text, table[i].text), "%zu: %s", i, answer.text);
		ck_assert_uint_eq(fake.m.n_asked, 0);
	}
	ck_assert_uint_eq(fake.n_checks, ARRAY_LEN(table));
}
END_TEST

START_TEST(actions)
{
	static const struct {
		const char *member, *signature, *action;
	} table[] = {
		{ "Reload", "", BUS_ACTION_RELOAD },
		{ "Apply", "a{sv}", BUS_ACTION_APPLY },
		{ "ApplyGroup", "ua{sv}", BUS_ACTION_APPLY },
		{ "SetGroupType", "usa{sv}", BUS_ACTION_SET_TYPE },
		{ "Restore", "u", BUS_ACTION_RESTORE },
	};
	struct fake_answer answer;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		fake_bus_call(&fake, CALLER, MANAGER, table[i].member, table[i].signature, &answer);
		refused(&answer, table[i].member);
		ck_assert_str_eq(fake.action, table[i].action);
		/* Asked without leave to bother a person. */
		ck_assert_uint_eq(fake.flags, 0);
	}
	fake_bus_set(&fake, CALLER, BUS_LOG_PATH, BUS_LOG_INTERFACE, "LogLevel", "s", "debug", &answer);
	ck_assert_str_eq(fake.action, BUS_ACTION_LOG_LEVEL);
}
END_TEST

/* Whom polkit allows a member is not yet allowed its option force. */
START_TEST(force_is_an_action_besides)
{
	static const struct {
		const char *member, *signature;
	} table[] = { { "Apply", "a{sv}" }, { "ApplyGroup", "ua{sv}" }, { "SetGroupType", "usa{sv}" } };
	struct fake_answer answer;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		fake.allowed_action = strcmp(table[i].member, "SetGroupType") == 0 ? BUS_ACTION_SET_TYPE :
										    BUS_ACTION_APPLY;
		fake.option = "rebind";
		fake_bus_call(&fake, CALLER, MANAGER, table[i].member, table[i].signature, &answer);
		ck_assert_str_ne(answer.error, NOT_AUTHORIZED);
		ck_assert_str_eq(fake.action, fake.allowed_action);
		fake.option = "force";
		fake_bus_call(&fake, CALLER, MANAGER, table[i].member, table[i].signature, &answer);
		refused(&answer, table[i].member);
		ck_assert_str_eq(fake.action, BUS_ACTION_FORCE);
		/* Nor does that alone do. */
		fake.allowed_action = BUS_ACTION_FORCE;
		fake_bus_call(&fake, CALLER, MANAGER, table[i].member, table[i].signature, &answer);
		refused(&answer, table[i].member);
		fake.allowed_action = NULL;
		fake.allowed = true;
		fake_bus_call(&fake, CALLER, MANAGER, table[i].member, table[i].signature, &answer);
		ck_assert_str_ne(answer.error, NOT_AUTHORIZED);
		fake.allowed = false;
	}
	ck_assert_uint_eq(fake.m.n_asked, 0);
}
END_TEST

START_TEST(a_caller_that_goes)
{
	struct fake_answer answer, other;

	fake.silent = true;
	restore(&answer);
	fake_bus_call(&fake, ":1.70", MANAGER, "Restore", "u", &other);
	ck_assert_uint_eq(fake.n_checks, 2);
	fake_bus_gone(&fake, ":1.8");
	ck_assert_uint_eq(fake.n_cancelled, 0);
	fake_bus_gone(&fake, CALLER);
	ck_assert_uint_eq(fake.n_cancelled, 1);
	ck_assert(!answer.here);
	ck_assert_ptr_nonnull(fake.m.gone_slot);
	fake_bus_gone(&fake, ":1.70");
	ck_assert_uint_eq(fake.n_cancelled, 2);
	ck_assert_uint_eq(fake.m.n_asked, 0);
	ck_assert_ptr_null(fake.m.gone_slot);
}
END_TEST

#else
START_TEST(polkit_is_not_asked)
{
	struct fake_answer answer;

	fake.allowed = true;
	restore(&answer);
	refused(&answer, "Restore");
	ck_assert_ptr_nonnull(strstr(answer.text, "built without polkit"));
	ck_assert_uint_eq(fake.n_checks, 0);
}
END_TEST
#endif

START_TEST(what_could_not_be_told_is_still_to_be_told)
{
	struct group group = { .type = DOMAIN_DMA, .dirty = true, .published = true }, *groups[] = { &group };

	fake.m.inventory = (struct inventory){ .groups = groups, .n_groups = 1 };
	ck_assert(bus_flush(&fake.m));
	ck_assert(!group.dirty);
	group.type = DOMAIN_IDENTITY;
	group.dirty = true;
	sd_bus_close(fake.m.bus);
	ck_assert(!bus_flush(&fake.m));
	ck_assert(group.dirty);
	fake.m.inventory = (struct inventory){};
}
END_TEST

START_TEST(no_file_descriptors_are_taken)
{
	struct fake_bus joining = {};

	ck_assert_int_eq(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1), 0);
	ck_assert_int_ge(sd_event_new(&joining.m.event), 0);
	ck_assert_int_eq(bus_start(&joining.m), 0);
	ck_assert_ptr_nonnull(joining.m.bus);
	/* Said at once only if none are; otherwise it would depend on the bus. */
	ck_assert_int_eq(sd_bus_can_send(joining.m.bus, 'h'), 0);
	bus_stop(&joining.m);
	sd_event_unref(joining.m.event);
}
END_TEST

static uint64_t digest(const char *types, ...)
{
	struct bus_digest found = BUS_DIGEST_INIT;
	sd_bus_message *message;
	va_list ap;
	int r;

	ck_assert_int_ge(sd_bus_message_new_signal(fake.m.bus, &message, "/", "a.b", "C"), 0);
	va_start(ap, types);
	ck_assert_int_ge(sd_bus_message_appendv(message, types, ap), 0);
	va_end(ap);
	ck_assert_int_ge(sd_bus_message_seal(message, 1, 0), 0);
	while ((r = bus_digest_next(message, SIZE_MAX, &found)) > 0)
		;
	ck_assert_int_eq(r, 0);
	sd_bus_message_unref(message);
	return found.hash;
}

START_TEST(digests)
{
	uint64_t table[] = {
		digest("s", "a"), digest("s", "b"), digest("ss", "a", "b"), digest("ss", "ab", ""), digest("ss", "", "ab"),
		digest("as", 0), digest("as", 1, ""), digest("as", 2, "a", "b"), digest("asas", 1, "a", 1, "b"),
		digest("asas", 2, "a", "b", 0), digest("u", 0), digest("u", 1), digest("t", (uint64_t)1),
		digest("v", "s", "a"), digest("v", "u", 1), digest("a(su)", 1, "a", 1), digest("a(su)", 1, "a", 2),
		digest("a{sv}", 1, "k", "b", 1), digest("a{sv}", 1, "k", "b", 0), digest("b", 1), digest("y", 1),
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		for (size_t j = 0; j < i; j++)
			ck_assert_msg(table[i] != table[j], "%zu %zu", i, j);
	ck_assert_uint_eq(digest("a(su)", 1, "a", 1), digest("a(su)", 1, "a", 1));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bus");
	TCase *tcase = tcase_create("bus");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, every_member_that_changes_something_is_authorized);
	tcase_add_test(tcase, flags_of_a_group);
	tcase_add_test(tcase, nobody_without_a_name);
	tcase_add_test(tcase, root_is_not_asked_about);
	tcase_add_test(tcase, who_has_gone_is_refused);
	tcase_add_test(tcase, log_level);
	tcase_add_test(tcase, a_wish_that_cannot_wait_is_not_kept);
#if ENABLE_POLKIT
	tcase_add_test(tcase, polkit_decides);
	tcase_add_test(tcase, actions);
	tcase_add_test(tcase, force_is_an_action_besides);
	tcase_add_test(tcase, a_caller_that_goes);
#else
	tcase_add_test(tcase, polkit_is_not_asked);
#endif
	tcase_add_test(tcase, what_could_not_be_told_is_still_to_be_told);
	tcase_add_test(tcase, no_file_descriptors_are_taken);
	tcase_add_test(tcase, digests);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
