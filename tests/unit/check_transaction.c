/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "daemon/fence.h"
#include "daemon/log.h"
#include "daemon/record.h"
#include "daemon/transaction.h"
#include "daemon/util.h"
#include "tests/unit/fake-kernel.h"

/*
 * Transactions on a model of the kernel (fake-kernel.h): everything that one
 * does is made to fail, once and twice, with each errno that a kernel has for
 * it; and to be the last thing that its process does, also in the recovery.
 */

enum {
	PAIR = 1, /* a group of two */
	FRESH = 2, /* plugged in just now, not bound yet */
	GATED = 4, /* FRESH, and at the module's gate */
	OWN = 8, /* the devices have an override of somebody's */
	WANTS = 16, /* the rule has a driver */
	RESTORE = 32, /* a rule's driver is taken back */
	NEWCOMER = 64, /* of a PAIR: the first is in quarantine, the second comes */
	IN_USE = 128, /* and must be left alone */
	FAILS = 256, /* no driver's probe works under the new type */
};

static const struct scenario {
	const char *name;
	enum domain from, to;
	unsigned flags;
} scenarios[] = {
	{ "to identity", DOMAIN_DMA, DOMAIN_IDENTITY, 0 },
	{ "back, with an override", DOMAIN_IDENTITY, DOMAIN_DMA, OWN },
	{ "lazy, a live change that is none", DOMAIN_DMA, DOMAIN_DMA_FQ, PAIR },
	{ "a group of two", DOMAIN_DMA, DOMAIN_IDENTITY, PAIR },
	{ "plugged in", DOMAIN_DMA, DOMAIN_IDENTITY, FRESH },
	{ "plugged in, at the gate", DOMAIN_DMA, DOMAIN_IDENTITY, FRESH | GATED },
	{ "with a driver", DOMAIN_DMA, DOMAIN_IDENTITY, WANTS },
	{ "with a driver, plugged in", DOMAIN_DMA, DOMAIN_IDENTITY, WANTS | FRESH | GATED },
	{ "with a driver, two", DOMAIN_DMA, DOMAIN_IDENTITY, WANTS | PAIR | OWN },
	{ "only the driver", DOMAIN_DMA, DOMAIN_DMA, WANTS },
	{ "restore", DOMAIN_IDENTITY, DOMAIN_DMA, RESTORE },
	{ "restore, only the driver", DOMAIN_DMA, DOMAIN_DMA, RESTORE },
	{ "into quarantine", DOMAIN_IDENTITY, DOMAIN_BLOCKED, OWN },
	{ "into quarantine, two", DOMAIN_DMA, DOMAIN_BLOCKED, PAIR },
	{ "out of quarantine", DOMAIN_BLOCKED, DOMAIN_IDENTITY, OWN },
	{ "out of quarantine, two, with a driver", DOMAIN_BLOCKED, DOMAIN_IDENTITY, PAIR | WANTS },
	{ "a newcomer to a quarantine", DOMAIN_DMA, DOMAIN_BLOCKED, PAIR | NEWCOMER },
	{ "a newcomer that is not bound yet", DOMAIN_DMA, DOMAIN_BLOCKED, PAIR | NEWCOMER | FRESH },
	{ "in use", DOMAIN_DMA, DOMAIN_IDENTITY, IN_USE },
	{ "a newcomer in use", DOMAIN_DMA, DOMAIN_BLOCKED, PAIR | NEWCOMER | IN_USE },
	{ "a driver that fails", DOMAIN_DMA, DOMAIN_IDENTITY, FAILS },
	{ "drivers that fail", DOMAIN_DMA, DOMAIN_IDENTITY, PAIR | FAILS | OWN },
	{ "a driver that fails after quarantine", DOMAIN_BLOCKED, DOMAIN_IDENTITY, FAILS },
};

/* Each kernel and each fence: 6.1 and later, without the module and with it. */
enum { MANY = 1, MODULE = 2, N_MACHINES = 4 };

static const char *const addresses[FAKE_DEVICES] = { "0000:01:00.0", "0000:01:00.1" };
static const int errors[] = { EPERM, EBUSY, EINVAL, EIO, ENODEV, ENOMEM };

static const struct scenario *scenario;
static struct fake_kernel before;
static char where[512]; /* for messages: what is being tried */

static bool was_shut(size_t i)
{
	return scenario->from == DOMAIN_BLOCKED || ((scenario->flags & NEWCOMER) && i == 0);
}

static bool stays_shut(void)
{
	return scenario->from == DOMAIN_BLOCKED || (scenario->flags & NEWCOMER);
}

static const char *own_override(void)
{
	return scenario->flags & (OWN | RESTORE) ? (scenario->flags & RESTORE ? "other" : "e1000e") : "";
}

static void set_up_device(size_t i)
{
	struct fake_device *device = &fake.devices[i];

	device->address = addresses[i];
	snprintf(device->override, sizeof(device->override), "%s", was_shut(i) ? TRANSACTION_PIN : own_override());
	if (!was_shut(i) && !(scenario->flags & FRESH))
		snprintf(device->driver, sizeof(device->driver), "%s", scenario->flags & RESTORE ? "other" : "e1000e");
	device->gated = (scenario->flags & GATED) && fake.module;
	device->in_use = (scenario->flags & IN_USE) && !was_shut(i);
}

/* What way_prepare() makes of such a group. */
static struct transaction *prepare(void)
{
	struct transaction *t = calloc(1, sizeof(*t));

	ck_assert_ptr_nonnull(t);
	t->group = FAKE_GROUP;
	t->way = WAY_TRANSACTION;
	t->from = scenario->from;
	t->to = scenario->to;
	t->quarantined = stays_shut();
	t->record_dir = "fake";
	for (size_t i = 0; i < fake.n_devices; i++) {
		struct transaction_device device = {
			.address = (char *)addresses[i],
			.driver = fake.devices[i].driver[0] ? fake.devices[i].driver : NULL,
			.wanted = (char *)(scenario->flags & WANTS ? "vfio-pci" : NULL),
			.given = (char *)(scenario->flags & RESTORE ? "other" : NULL),
			.release = scenario->flags & RESTORE,
			.may_unbind = true,
			.fresh = scenario->flags & FRESH,
		};

		if (was_shut(i)) {
			device.driver = (char *)"e1000e";
			device.override = (char *)(*own_override() ? own_override() : NULL);
			device.pinned = device.unbound = device.fresh = true;
		}
		ck_assert_int_eq(transaction_add_device(t, &device), 0);
	}
	return t;
}

/* A record as a quarantine leaves it. */
static void write_quarantine(void)
{
	struct transaction *t = prepare();

	if ((scenario->flags & NEWCOMER)) {
		t->n_devices = 1;
	}
	t->from = DOMAIN_DMA;
	t->to = DOMAIN_BLOCKED;
	t->quarantined = false;
	t->step = STEP_VERIFY;
	t->fence = &fence_pin;
	t->claimed = fake.claimed;
	for (size_t i = 0; i < t->n_devices; i++) {
		free(t->devices[i].wanted);
		t->devices[i].wanted = NULL;
	}
	ck_assert_int_eq(record_write("fake", t), 0);
	t->n_devices = fake.n_devices;
	transaction_free(t);
}

static void set_up(const struct scenario *s, unsigned machine)
{
	fake_reset();
	scenario = s;
	fake.many = machine & MANY;
	fake.module = machine & MODULE;
	fake.n_devices = s->flags & PAIR ? 2 : 1;
	fake.type = s->from == DOMAIN_BLOCKED ? DOMAIN_DMA : s->from;
	fake.claimed = stays_shut() && fake.module;
	fake.probe_fails = s->flags & FAILS ? s->to : DOMAIN_NONE;
	for (size_t i = 0; i < fake.n_devices; i++)
		set_up_device(i);
	if (stays_shut())
		write_quarantine();
	fake.n_ops = 0;
	before = fake;
	before.record = NULL;
}

static void run(struct outcome *outcome)
{
	struct transaction *t = prepare();

	transaction_run(t, outcome);
	transaction_free(t);
}

/* -- what must be true ---------------------------------------------------------- */

#define must(condition, ...)                                                           \
	do {                                                                           \
		if (!(condition)) {                                                    \
			char text_[1400];                                              \
			snprintf(text_, sizeof(text_), __VA_ARGS__);                   \
			ck_abort_msg("%s: %s: %.1200s", scenario->name, where, text_); \
		}                                                                      \
	} while (0)

static bool quarantine_is_in_force(void)
{
	struct transaction *t = NULL;
	bool in_force;

	if (record_read("fake", FAKE_GROUP, &t) < 0)
		return false;
	in_force = record_is_quarantine(t);
	transaction_free(t);
	return in_force;
}

/* A device that was plugged in has the driver that it would have got without us. */
static const char *driver_before(size_t i)
{
	return (scenario->flags & FRESH) && !was_shut(i) ? "e1000e" : before.devices[i].driver;
}

static void check_done(void)
{
	bool blocked = scenario->to == DOMAIN_BLOCKED;

	must(fake.type == (blocked ? DOMAIN_DMA : scenario->to), "the type is not what was asked for");
	must(fake.claimed == (blocked && fake.module), "the claim");
	must(quarantine_is_in_force() == blocked, "the record");
	for (size_t i = 0; i < fake.n_devices; i++) {
		const struct fake_device *device = &fake.devices[i];
		const char *driver = blocked ? "" : scenario->flags & WANTS ? "vfio-pci" : "e1000e";
		const char *override = blocked			 ? TRANSACTION_PIN :
				       scenario->flags & WANTS	 ? "vfio-pci" :
				       scenario->flags & RESTORE ? "" :
								   own_override();

		if (device->gone)
			continue;
		must(strcmp(device->driver, driver) == 0, "%s has driver '%s'", device->address, device->driver);
		must(strcmp(device->override, override) == 0, "%s has override '%s'", device->address,
		     device->override);
	}
}

/* What is not as it was; "" for nothing. With REASON only what that keeps quiet about. */
static const char *difference(const char *reason)
{
	static char text[128];
	size_t gone = 0;

	text[0] = '\0';
	for (size_t i = 0; i < fake.n_devices; i++)
		gone += fake.devices[i].gone;
	/* Of a group that is another now nothing is promised. */
	if (!gone && fake.type != before.type && !(reason && strstr(reason, "could not put back the type")))
		snprintf(text, sizeof(text), "type %s", domain_to_string(fake.type));
	/* A claim ends with the group. */
	if (gone < fake.n_devices && fake.claimed != before.claimed && !(reason && strstr(reason, "claim")))
		snprintf(text, sizeof(text), "the claim");
	for (size_t i = 0; i < fake.n_devices; i++) {
		const struct fake_device *device = &fake.devices[i];
		bool told = reason && strstr(reason, device->address);

		if (device->gone)
			continue;
		/* A newcomer that had no chance to be left alone is in quarantine too. */
		if ((scenario->flags & NEWCOMER) && i == 1 && !*device->driver &&
		    strcmp(device->override, TRANSACTION_PIN) == 0)
			continue;
		if (strcmp(device->driver, driver_before(i)) != 0 && !told)
			snprintf(text, sizeof(text), "%s has driver '%s'", device->address, device->driver);
		if (strcmp(device->override, before.devices[i].override) != 0 && !told)
			snprintf(text, sizeof(text), "%s has override '%s'", device->address, device->override);
	}
	return text;
}

static bool failed_op_was(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(fake.faults); i++)
		if (fake.faults[i].at && fake.faults[i].at <= FAKE_OPS_MAX && fake.ops[fake.faults[i].at] &&
		    strcmp(fake.ops[fake.faults[i].at], name) == 0)
			return true;
	return false;
}

/* What the daemon's own gate does in the end, and what nobody is told of: a newcomer without a driver. */
static void let_through(void)
{
	for (size_t i = 0; i < fake.n_devices; i++) {
		struct fake_device *device = &fake.devices[i];

		if (!(scenario->flags & (FRESH | RESTORE)) || was_shut(i) || *device->driver ||
		    !(device->gated || !device->fenced || failed_op_was("probe") || failed_op_was("gate-release")))
			continue;
		device->gated = false;
		if (!*device->override)
			snprintf(device->driver, sizeof(device->driver), "e1000e");
	}
}

static void check_end(const struct outcome *outcome, bool must_be_back)
{
	must(!fake.violation, "%s", fake.violation);
	let_through();
	if (outcome->result == RESULT_DONE) {
		if (!failed_op_was("record-remove"))
			check_done();
		return;
	}
	must(*outcome->reason, "no reason");
	must(!must_be_back || !*difference(NULL), "%s (%s)", difference(NULL), outcome->reason);
	must(!*difference(outcome->reason), "%s, and nobody is told (%s)", difference(outcome->reason),
	     outcome->reason);
	if (stays_shut() && !failed_op_was("record"))
		must(quarantine_is_in_force(), "the quarantine's record is lost");
}

/* -- tests ---------------------------------------------------------------------- */

static void learn(const struct scenario *s, unsigned machine, struct outcome *outcome)
{
	set_up(s, machine);
	snprintf(where, sizeof(where), "%s, %s", machine & MANY ? "6.12" : "6.1", machine & MODULE ? "module" : "pins");
	run(outcome);
}

static void describe_ops(unsigned machine, unsigned first, int error, unsigned second)
{
	snprintf(where, sizeof(where), "%s, %s: operation %u (%s) %s, %u (%s)", machine & MANY ? "6.12" : "6.1",
		 machine & MODULE ? "module" : "pins", first, first <= fake.n_ops ? fake.ops[first] : "none",
		 error ? strerror(error) : "is the last", second,
		 second && second <= fake.n_ops ? fake.ops[second] : "none");
}

static bool is_possible(const struct scenario *s, unsigned machine)
{
	bool refused = (s->flags & IN_USE) || ((s->flags & PAIR) && !(machine & MANY) && s->from != s->to);

	return !refused && !(s->flags & FAILS);
}

START_TEST(all_goes_well)
{
	for (unsigned machine = 0; machine < N_MACHINES; machine++) {
		const struct scenario *s = &scenarios[_i];
		struct outcome outcome;

		learn(s, machine, &outcome);
		check_end(&outcome, true);
		/* A quarantine of two is one of pins on any kernel, if the type is right already. */
		if (is_possible(s, machine))
			must(outcome.result == RESULT_DONE, "%s", outcome.reason);
		else if (!(s->flags & PAIR))
			must(outcome.result != RESULT_DONE, "it cannot be done");
		fake_reset();
	}
}
END_TEST

START_TEST(each_fails)
{
	for (unsigned machine = 0; machine < N_MACHINES; machine++) {
		struct outcome outcome;
		bool possible;
		unsigned n;

		learn(&scenarios[_i], machine, &outcome);
		possible = outcome.result == RESULT_DONE;
		n = fake.n_ops;
		for (unsigned at = 1; at <= n; at++)
			for (size_t e = 0; e < ARRAY_LEN(errors); e++) {
				set_up(&scenarios[_i], machine);
				fake.faults[0] = (struct fake_fault){ at, errors[e] };
				run(&outcome);
				describe_ops(machine, at, errors[e], 0);
				/* Else it may have been the way back that failed. */
				check_end(&outcome, possible);
			}
		fake_reset();
	}
}
END_TEST

/* The second may be one of the way back: not all can be put back then, and that is said. */
START_TEST(two_fail)
{
	static const int seconds[] = { EIO, EBUSY };

	for (unsigned machine = 0; machine < N_MACHINES; machine++) {
		struct outcome outcome;
		unsigned n;

		learn(&scenarios[_i], machine, &outcome);
		n = fake.n_ops;
		for (unsigned first = 1; first <= n; first++) {
			unsigned ends = first + 1;

			for (unsigned second = first + 1; second <= ends; second++) {
				set_up(&scenarios[_i], machine);
				fake.faults[0] = (struct fake_fault){ first, EIO };
				fake.faults[1] = (struct fake_fault){ second, seconds[second % 2] };
				run(&outcome);
				ends = fake.n_ops;
				describe_ops(machine, first, EIO, second);
				check_end(&outcome, false);
			}
		}
		fake_reset();
	}
}
END_TEST

/* Whether a change that was cut off after operation AT had been recorded as done. */
static bool is_committed(void)
{
	return scenario->to == DOMAIN_BLOCKED ? quarantine_is_in_force() : !fake.record;
}

/* As the daemon does it at its start. */
static void recover(unsigned last)
{
	struct transaction *t = NULL;
	struct outcome outcome;

	fake_process_ends();
	if (record_read("fake", FAKE_GROUP, &t) < 0)
		return;
	if (record_is_quarantine(t)) {
		transaction_free(t);
		return;
	}
	fake.last = last;
	transaction_recover(t, &outcome);
	transaction_free(t);
}

static void check_recovered(void)
{
	enum domain type = fake.type;

	must(!fake.violation, "%s", fake.violation);
	must(type == before.type || type == scenario->to || (scenario->to == DOMAIN_BLOCKED && type == DOMAIN_DMA),
	     "type %s", domain_to_string(type));
	must(quarantine_is_in_force() == (stays_shut() || (fake.record && scenario->to == DOMAIN_BLOCKED)),
	     "the record: %s", strempty(fake.record));
	/* The old or the new type is fine. */
	fake.type = before.type;
	let_through();
	if (stays_shut() && fake.module)
		must(fake.claimed, "the claim is lost");
	must(!*difference(NULL), "%s", difference(NULL));
}

static void cut_off(const struct scenario *s, unsigned machine, unsigned at)
{
	struct outcome outcome;

	set_up(s, machine);
	fake.last = at;
	run(&outcome);
	describe_ops(machine, at, 0, 0);
}

START_TEST(each_is_the_last)
{
	for (unsigned machine = 0; machine < N_MACHINES; machine++) {
		const struct scenario *s = &scenarios[_i];
		struct outcome outcome;
		unsigned n;

		learn(s, machine, &outcome);
		n = fake.n_ops;
		for (unsigned at = 1; at <= n + 1; at++) {
			unsigned ends = 1;

			/* And the recovery's operations in turn; after its last one it is through. */
			for (unsigned again = 0; again <= ends; again++) {
				cut_off(s, machine, at);
				if (at > 1 && is_committed() && !(scenario->flags & NEWCOMER))
					continue;
				if (again) {
					recover(again);
					ends = fake.n_ops;
					describe_ops(machine, at, 0, again);
				}
				recover(0);
				check_recovered();
			}
		}
		fake_reset();
	}
}
END_TEST

/* The way back is cut off too. */
START_TEST(the_way_back_is_cut_off)
{
	for (unsigned machine = 0; machine < N_MACHINES; machine++) {
		struct outcome outcome;
		unsigned n;

		learn(&scenarios[_i], machine, &outcome);
		n = fake.n_ops;
		for (unsigned at = 1; at <= n; at++) {
			unsigned ends = at + 1;

			for (unsigned last = at + 1; last <= ends; last++) {
				set_up(&scenarios[_i], machine);
				fake.faults[0] = (struct fake_fault){ at, EIO };
				fake.last = last;
				run(&outcome);
				ends = fake.n_ops;
				describe_ops(machine, at, EIO, last);
				if (is_committed() && !(scenario->flags & NEWCOMER))
					continue;
				recover(0);
				check_recovered();
			}
		}
		fake_reset();
	}
}
END_TEST

/* What a recovery cannot take away is left to the next one. */
START_TEST(a_recovery_fails)
{
	for (unsigned machine = 0; machine < N_MACHINES; machine++) {
		struct outcome outcome;
		unsigned n;

		learn(&scenarios[_i], machine, &outcome);
		n = fake.n_ops;
		for (unsigned at = 1; at <= n; at++) {
			unsigned ends = 1;

			for (unsigned again = 1; again <= ends; again++) {
				struct transaction *t = NULL;

				cut_off(&scenarios[_i], machine, at);
				if (is_committed() && !(scenario->flags & NEWCOMER))
					break;
				fake_process_ends();
				fake.faults[0] = (struct fake_fault){ again, EIO };
				if (record_read("fake", FAKE_GROUP, &t) < 0 || record_is_quarantine(t)) {
					transaction_free(t);
					break;
				}
				transaction_recover(t, &outcome);
				transaction_free(t);
				ends = fake.n_ops;
				describe_ops(machine, at, 0, again);
				fake.type = before.type; /* either is fine */
				let_through();
				must(!*difference(outcome.reason), "%s, and nobody is told (%s)",
				     difference(outcome.reason), outcome.reason);
				recover(0);
				for (size_t i = 0; i < fake.n_devices && !stays_shut(); i++)
					must(strcmp(fake.devices[i].override, TRANSACTION_PIN) != 0, "a pin is left");
				must(stays_shut() || !fake.claimed, "the claim is left");
			}
		}
		fake_reset();
	}
}
END_TEST

/* Whoever writes an override over our pin has the newer wish. */
START_TEST(somebody_else_writes)
{
	for (unsigned machine = 0; machine < N_MACHINES; machine++) {
		const struct scenario *s = &scenarios[_i];
		struct outcome outcome;
		unsigned n;

		if (s->from == DOMAIN_BLOCKED || s->to == DOMAIN_BLOCKED)
			continue;
		learn(s, machine, &outcome);
		n = fake.n_ops;
		for (unsigned at = 1; at <= n; at++) {
			set_up(s, machine);
			fake.meddle = at;
			run(&outcome);
			describe_ops(machine, at, 0, 0);
			must(!fake.violation, "%s", fake.violation);
			must(!fake.meddled || strcmp(fake.devices[0].override, "other") == 0, "override '%s'",
			     fake.devices[0].override);
			/* And after a crash. */
			set_up(s, machine);
			fake.meddle = at;
			fake.last = at;
			run(&outcome);
			recover(0);
			must(!fake.meddled || strcmp(fake.devices[0].override, "other") == 0, "override '%s'",
			     fake.devices[0].override);
		}
		fake_reset();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("transaction");
	TCase *tc = tcase_create("transaction");
	SRunner *runner;
	int failed;

	log_set_console(true);
	log_set_max_level(LOG_EMERG);
	tcase_add_loop_test(tc, all_goes_well, 0, ARRAY_LEN(scenarios));
	tcase_add_loop_test(tc, each_fails, 0, ARRAY_LEN(scenarios));
	tcase_add_loop_test(tc, two_fail, 0, ARRAY_LEN(scenarios));
	tcase_add_loop_test(tc, each_is_the_last, 0, ARRAY_LEN(scenarios));
	tcase_add_loop_test(tc, the_way_back_is_cut_off, 0, ARRAY_LEN(scenarios));
	tcase_add_loop_test(tc, a_recovery_fails, 0, ARRAY_LEN(scenarios));
	tcase_add_loop_test(tc, somebody_else_writes, 0, ARRAY_LEN(scenarios));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
