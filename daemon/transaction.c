/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fence.h"
#include "daemon/in-use.h"
#include "daemon/module-link.h"
#include "daemon/record.h"
#include "daemon/sysfs.h"
#include "daemon/transaction-steps.h"

/*
 * The steps of a transaction, in order:
 *
 *   prepare   the group is still the same devices; nothing that stays bound is in the way
 *   fence     nothing can bind any more; only now is it known what is bound
 *   unbind    each device is asked about once more right before
 *   write     the type; a quarantine's claim is given up before, or made after
 *   unfence   overrides as they were, or the rule's driver
 *   probe     each device gets the driver it had, or the rule's
 *   verify    by reading, not by trusting the writes
 *
 * The record is written before each step and before each device's part of it,
 * so that whatever is found after a crash is undone from the record alone.
 */

/* What a device that has lost its driver in the last step gets to go away altogether: a second. */
#define AWAIT_TRIES 50
#define AWAIT_USEC (20 * 1000)
/*
 * A driver that is just being registered probes its devices before its bind and
 * unbind files are there (bus_add_driver() in drivers/base/bus.c). Each probe may
 * take its time: ten seconds.
 */
#define REGISTER_TRIES 500
/* How long a fence that has just been opened, or has ended with its process, may still be felt. */
#define FENCE_GONE_TRIES 50

const char *way_to_string(enum way way)
{
	static const char *const names[] = {
		[WAY_NOTHING] = "nothing",	   [WAY_LIVE] = "live", [WAY_WRITE] = "write",
		[WAY_TRANSACTION] = "transaction", [WAY_WAIT] = "wait",
	};

	return names[way];
}

static void device_clear(struct transaction_device *device)
{
	free(device->address);
	free(device->driver);
	free(device->override);
	free(device->wanted);
	free(device->given);
}

struct transaction *transaction_free(struct transaction *t)
{
	if (!t)
		return NULL;
	for (size_t i = 0; i < t->n_devices; i++)
		device_clear(&t->devices[i]);
	free(t->devices);
	strv_free(t->drivers_before);
	module_link_close(t->link);
	free(t->in_the_way);
	free(t);
	return NULL;
}

int transaction_add_device(struct transaction *t, const struct transaction_device *device)
{
	struct transaction_device *grown = reallocarray(t->devices, t->n_devices + 1, sizeof(*device));
	struct transaction_device copy = *device;

	if (!grown)
		return -ENOMEM;
	t->devices = grown;
	copy.address = copy.driver = copy.override = copy.wanted = copy.given = NULL;
	if (replace_str(&copy.address, device->address) < 0 || replace_str(&copy.driver, device->driver) < 0 ||
	    replace_str(&copy.override, device->override) < 0 || replace_str(&copy.wanted, device->wanted) < 0 ||
	    replace_str(&copy.given, device->given) < 0) {
		device_clear(&copy);
		return -ENOMEM;
	}
	t->devices[t->n_devices++] = copy;
	return 0;
}

/* blocked without the kernel module: strict translation, no driver, and the fence stays closed. */
enum domain transaction_kernel_type(enum domain domain)
{
	return domain == DOMAIN_BLOCKED ? DOMAIN_DMA : domain;
}

bool transaction_read_type(const struct transaction *t, enum domain *ret)
{
	_cleanup_close_ int fd = sysfs_open_group(t->group);

	return fd >= 0 && sysfs_group_type(fd, ret) >= 0;
}

/* The group's directory, if its number still stands for the devices of the request. */
static int open_same_group(const struct transaction *t)
{
	_cleanup_close_ int fd = sysfs_open_group(t->group);
	_cleanup_strv_ char **devices = NULL;
	int r, result;

	if (fd < 0)
		return fd;
	r = sysfs_group_devices(fd, &devices, NULL);
	if (r < 0)
		return r;
	if (strv_len(devices) != t->n_devices)
		return -ESTALE;
	for (size_t i = 0; i < t->n_devices; i++)
		if (!strv_contains(devices, t->devices[i].address))
			return -ESTALE;
	result = fd;
	fd = -1;
	return result;
}

static int begin(struct transaction *t, enum step step)
{
	t->step = step;
	return t->record_dir ? record_write(t->record_dir, t) : 0;
}

void transaction_describe_write_error(const struct transaction *t, int error, struct outcome *outcome)
{
	const char *word = domain_to_string(transaction_kernel_type(t->to));

	switch (error) {
	case EPERM:
	case EBUSY:
		outcome_set(outcome, RESULT_PENDING, PROBLEM_KERNEL_REFUSED, error,
			    "the kernel refuses %s while a driver or a user has a device of the group", word);
		break;
	case EINVAL:
		if (t->n_devices > 1)
			outcome_set(outcome, RESULT_REFUSED, PROBLEM_KERNEL_REFUSED, error,
				    "the kernel refuses %s for a group of %zu devices "
				    "(kernels before 6.4 change groups of one device only)",
				    word, t->n_devices);
		else
			outcome_set(outcome, RESULT_REFUSED, PROBLEM_KERNEL_REFUSED, error,
				    "the kernel refuses %s for this device "
				    "(untrusted, or its IOMMU cannot do it; dmesg may tell)",
				    word);
		break;
	case EACCES:
		outcome_set(outcome, RESULT_REFUSED, PROBLEM_KERNEL_REFUSED, error,
			    "not allowed to write the type (CAP_SYS_ADMIN and CAP_SYS_RAWIO are needed)");
		break;
	case ENODEV:
	case ENOENT:
	case ESTALE:
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, error,
			    "the group's devices changed while its type was to be changed");
		break;
	default:
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, error, "writing the type %s: %s", word,
			    strerror(error));
	}
}

/* 1: the group has the type already. The same word written again would give it a new domain. */
static int compare_type(const struct transaction *t)
{
	_cleanup_close_ int fd = open_same_group(t);
	enum domain current = DOMAIN_NONE;

	if (fd < 0)
		return fd;
	return sysfs_group_type(fd, &current) >= 0 && current == transaction_kernel_type(t->to);
}

static int compare_and_write(const struct transaction *t)
{
	_cleanup_close_ int fd = open_same_group(t);
	enum domain current = DOMAIN_NONE;

	if (fd < 0)
		return fd;
	if (sysfs_group_type(fd, &current) >= 0 && current == transaction_kernel_type(t->to))
		return 0;
	return sysfs_write_group_type(fd, transaction_kernel_type(t->to));
}

/* LIVE: whether a kernel driver may have the group meanwhile. */
static int write_type(const struct transaction *t, bool live, struct outcome *outcome)
{
	int r = compare_type(t);

	/* Before anything else: a claimed group, which cannot be written, may have what it shall have. */
	if (r > 0)
		return 0;
	if (r >= 0) {
		r = transaction_bracket_begin(t, live, outcome);
		if (r < 0)
			return r;
		/* What the group is made of cannot change now, so that is looked at once more. */
		r = compare_and_write(t);
		transaction_bracket_end(t);
	}
	if (r < 0)
		transaction_describe_write_error(t, -r, outcome);
	return r;
}

int transaction_write_type(const struct transaction *t, struct outcome *outcome)
{
	return write_type(t, t->way == WAY_LIVE, outcome);
}

static int fail_device(struct outcome *outcome, const struct transaction_device *device, const char *doing, int r)
{
	outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, -r, "%s %s: %s", doing, device ? device->address : "group",
		    strerror(-r));
	return r;
}

/* The one place that decides whether a driver may be taken away. */
static int check_may_unbind(const struct transaction *t, const struct transaction_device *device,
			    struct outcome *outcome)
{
	_cleanup_free_ char *why = NULL;
	int r;

	if (!device->may_unbind) {
		outcome_set(outcome, RESULT_PENDING, PROBLEM_NONE, 0, "waits for driver %s to let go of %s",
			    device->driver, device->address);
		return -EBUSY;
	}
	/* Not even by force: the unbinding would wait for the user, and the user's guest would lose its device. */
	r = transaction_check_owner(t, outcome);
	if (r < 0)
		return r;
	if (t->force)
		return 0;
	r = in_use(device->address, &why);
	if (r < 0) {
		outcome_set(outcome, RESULT_REFUSED, PROBLEM_IN_USE, -r, "cannot tell whether %s is in use: %s",
			    device->address, strerror(-r));
		return r;
	}
	if (r > 0) {
		outcome_set(outcome, RESULT_REFUSED, PROBLEM_IN_USE, EBUSY, "%s is in use: %s", device->address, why);
		return -EBUSY;
	}
	return 0;
}

/* With the type right already, only a device that its rule's driver has not is touched. */
static bool must_unbind(const struct transaction *t, const struct transaction_device *device)
{
	if (t->from != t->to || t->to == DOMAIN_BLOCKED)
		return true;
	if (device->release)
		return true;
	return device->wanted && device->driver && strcmp(device->wanted, device->driver) != 0;
}

static int read_drivers(struct transaction *t, struct outcome *outcome)
{
	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		_cleanup_free_ char *driver = NULL;
		int r;

		if (device->bridge)
			continue;
		r = sysfs_device_driver(device->address, &driver);
		if (r < 0)
			return fail_device(outcome, device, "reading the driver of", r);
		/* What a group had before quarantine is in the request, and nothing is bound now. */
		if (driver && (r = replace_str(&device->driver, driver)) < 0)
			return fail_device(outcome, device, "reading the driver of", r);
		if (!driver && !device->unbound) {
			free(device->driver);
			device->driver = NULL;
		}
		if (driver && must_unbind(t, device) && (r = check_may_unbind(t, device, outcome)) < 0)
			return r;
	}
	return 0;
}

static int step_prepare(struct transaction *t, struct outcome *outcome)
{
	_cleanup_close_ int fd = open_same_group(t);
	int r;

	if (fd < 0) {
		transaction_describe_write_error(t, ESTALE, outcome);
		return fd;
	}
	sysfs_list_drivers(&t->drivers_before);
	/* Also where nothing of the group would be unbound: a user's group is not to be touched at all. */
	r = transaction_check_owner(t, outcome);
	return r < 0 ? r : read_drivers(t, outcome);
}

static int step_fence(struct transaction *t, struct outcome *outcome)
{
	const struct transaction_device *failed = NULL;
	int r;

	r = t->fence->close(t, &failed);
	if (r == -ENOLINK && t->fence == &fence_module) {
		/* The module has just gone, and nothing has been done yet. */
		t->fence = &fence_pin;
		r = t->fence->close(t, &failed);
	}
	if (r == -EBUSY && t->in_the_way) {
		outcome_set(outcome, RESULT_PENDING, PROBLEM_KERNEL_REFUSED, EBUSY, "waits for %s, which holds the group",
			    t->in_the_way);
		outcome->held = true;
		return r;
	}
	if (r == -ENODEV && !failed) {
		transaction_describe_write_error(t, ENODEV, outcome);
		return r;
	}
	if (r < 0)
		return fail_device(outcome, failed, "holding", r);
	return read_drivers(t, outcome);
}

int transaction_unbind(const char *address, const char *driver)
{
	int r;

	for (unsigned i = 0; (r = sysfs_unbind(address, driver)) == -ENOENT && i < REGISTER_TRIES; i++) {
		_cleanup_free_ char *bound = NULL;

		if (sysfs_device_driver(address, &bound) < 0 || !bound || strcmp(bound, driver) != 0)
			return -ENODEV;
		usleep(AWAIT_USEC);
	}
	return r;
}

static int step_unbind(struct transaction *t, struct outcome *outcome)
{
	size_t n_bound = 0;

	for (size_t i = 0; i < t->n_devices; i++)
		n_bound += t->devices[i].driver && !t->devices[i].bridge && !t->devices[i].unbound;
	/*
	 * A kernel that cannot change groups of several devices says so while
	 * they are bound (EINVAL), and then nothing needs to be unbound to learn it.
	 */
	if (n_bound && t->n_devices > 1 && t->from != t->to) {
		struct outcome trial = {};

		if (write_type(t, true, &trial) < 0 && trial.result != RESULT_PENDING) {
			*outcome = trial;
			return -EINVAL;
		}
	}
	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		int r;

		if (!device->driver || device->bridge || device->unbound || !must_unbind(t, device))
			continue;
		r = check_may_unbind(t, device, outcome);
		if (r < 0)
			return r;
		device->unbound = true;
		r = begin(t, STEP_UNBIND);
		if (r < 0)
			return fail_device(outcome, device, "recording the step for", r);
		r = transaction_unbind(device->address, device->driver);
		if (r < 0 && r != -ENODEV) /* ENODEV: it has let go by itself */
			return fail_device(outcome, device, "unbinding", r);
	}
	return 0;
}

static int step_write(struct transaction *t, struct outcome *outcome)
{
	int r = 0;

	if (t->to != DOMAIN_BLOCKED)
		r = transaction_unclaim(t, outcome);
	if (r >= 0)
		r = transaction_write_type(t, outcome);
	return r >= 0 && t->to == DOMAIN_BLOCKED ? transaction_claim(t, outcome) : r;
}

static int step_unfence(struct transaction *t, struct outcome *outcome)
{
	const struct transaction_device *failed = NULL;
	int r;

	r = t->fence->open(t, &failed);
	return r < 0 ? fail_device(outcome, failed, "releasing", r) : 0;
}

/* A driver that was loaded while the fence was closed has missed the devices. */
static bool driver_arrived(const struct transaction *t)
{
	_cleanup_strv_ char **drivers = NULL;

	if (!t->drivers_before || sysfs_list_drivers(&drivers) < 0)
		return false;
	for (char **driver = drivers; driver && *driver; driver++)
		if (!strv_contains(t->drivers_before, *driver))
			return true;
	return false;
}

/* What must be bound in the end: the rule's driver, else what was bound before; NULL for whatever takes it. */
static const char *expected_driver(const struct transaction_device *device)
{
	if (device->release)
		return NULL;
	return device->wanted ? device->wanted : device->driver;
}

/* -EAGAIN: it is still fenced; the module opens a fence a moment after it was told to, or its process has ended. */
static int bind_when_open(const struct transaction *t, const char *address, const char *driver)
{
	_cleanup_free_ char *bound = NULL;
	int r = sysfs_bind(address, driver);

	for (unsigned i = 0; r == -EAGAIN && t->fence == &fence_module && i < FENCE_GONE_TRIES; i++) {
		usleep(AWAIT_USEC);
		r = sysfs_bind(address, driver);
	}
	/* The driver core has been quicker: it tries again what has been asked for while the fence was closed. */
	if (r < 0 && sysfs_device_driver(address, &bound) >= 0 && bound && strcmp(bound, driver) == 0)
		return 0;
	return r;
}

int transaction_probe_device(const struct transaction *t, const struct transaction_device *device, const char *driver)
{
	_cleanup_free_ char *bound = NULL;
	bool offered = transaction_let_through(t, device, !driver);
	int r;

	r = sysfs_device_driver(device->address, &bound);
	if (r < 0 || bound)
		return r;
	if (!driver) {
		/* Nobody had it. It gets a chance only if it may have lost one to the fence. */
		if (!offered && (device->fresh || device->release || driver_arrived(t)))
			sysfs_probe(device->address);
		return 0;
	}
	r = bind_when_open(t, device->address, driver);
	if (r == -ENOENT) {
		/* The driver's module went away meanwhile: what is left may take it. */
		sysfs_probe(device->address);
		return 0;
	}
	return r;
}

static int step_probe(struct transaction *t, struct outcome *outcome)
{
	for (size_t i = 0; i < t->n_devices; i++) {
		struct transaction_device *device = &t->devices[i];
		const char *driver = expected_driver(device);
		int r;

		if (device->bridge)
			continue;
		r = transaction_probe_device(t, device, driver);
		if (r < 0) {
			outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, -r, "driver %s does not take %s under %s: %s",
				    strempty(driver), device->address, domain_to_string(t->to), strerror(-r));
			return r;
		}
	}
	return 0;
}

/*
 * A device that is being unplugged has lost its driver a moment before it goes
 * itself, and that is no failure of its driver: waits for either.
 */
static int await_driver(const char *address, char **ret)
{
	int r;

	for (unsigned i = 0; (r = sysfs_device_driver(address, ret)) >= 0 && !*ret && i < AWAIT_TRIES; i++)
		usleep(AWAIT_USEC);
	return r;
}

static int step_verify(struct transaction *t, struct outcome *outcome)
{
	enum domain type = DOMAIN_NONE;

	if (!transaction_read_type(t, &type) || type != transaction_kernel_type(t->to)) {
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, ESTALE,
			    "the type is %s after %s was written and accepted", domain_to_string(type),
			    domain_to_string(t->to));
		return -ESTALE;
	}
	for (size_t i = 0; i < t->n_devices; i++) {
		const struct transaction_device *device = &t->devices[i];
		const char *expected = t->to == DOMAIN_BLOCKED ? NULL : expected_driver(device);
		_cleanup_free_ char *driver = NULL;
		bool expects;
		int r;

		if (device->bridge)
			continue;
		expects = expected && sysfs_driver_exists(expected);
		r = expects ? await_driver(device->address, &driver) : sysfs_device_driver(device->address, &driver);
		if (r < 0)
			return fail_device(outcome, device, "reading the driver of", r);
		if (t->to == DOMAIN_BLOCKED && driver) {
			outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, EBUSY, "%s has driver %s although it is held",
				    device->address, driver);
			return -EBUSY;
		}
		if (expects && device->wanted && driver && strcmp(driver, expected) != 0) {
			outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, EBUSY, "%s has driver %s where %s was to be",
				    device->address, driver, expected);
			return -EBUSY;
		}
		if (expects && !driver) {
			outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, ENODEV, "%s has no driver although %s took it",
				    device->address, expected);
			return -ENODEV;
		}
	}
	return 0;
}

static void run_steps(struct transaction *t, struct outcome *outcome)
{
	static const struct {
		enum step step;
		int (*run)(struct transaction *t, struct outcome *outcome);
		bool skip_blocked; /* a quarantine leaves the fence closed */
	} steps[] = {
		{ STEP_PREPARE, step_prepare, false }, { STEP_FENCE, step_fence, false },
		{ STEP_UNBIND, step_unbind, false },   { STEP_WRITE, step_write, false },
		{ STEP_UNFENCE, step_unfence, true },  { STEP_PROBE, step_probe, true },
		{ STEP_VERIFY, step_verify, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		int r;

		if (steps[i].skip_blocked && t->to == DOMAIN_BLOCKED)
			continue;
		r = begin(t, steps[i].step);
		if (r < 0)
			fail_device(outcome, NULL, "recording a step for the", r);
		else
			r = steps[i].run(t, outcome);
		if (r < 0) {
			transaction_roll_back(t, outcome);
			return;
		}
	}
}

/*
 * A quarantine is its pins also where the module claims the group's DMA on top
 * of them: so neither the module's end nor anybody who gives up the claim opens
 * it, and the way out begins at them.
 */
static const struct fence *choose_fence(const struct transaction *t)
{
	bool quarantine = t->to == DOMAIN_BLOCKED || t->from == DOMAIN_BLOCKED || t->quarantined;

	return t->link && !quarantine ? &fence_module : &fence_pin;
}

void transaction_run(struct transaction *t, struct outcome *outcome)
{
	*outcome = (struct outcome){ .result = RESULT_DONE };
	/* Not loaded, or not for us: everything goes without it. */
	if (module_link_open(&t->link) < 0)
		t->link = NULL;
	t->fence = choose_fence(t);
	if (t->way == WAY_TRANSACTION) {
		run_steps(t, outcome);
		outcome->claimed = outcome->result == RESULT_DONE && t->claimed;
		/* A quarantine's record lives on: it is what its end has to put back. */
		if (t->record_dir && !(t->to == DOMAIN_BLOCKED && outcome->result == RESULT_DONE) &&
		    !((t->from == DOMAIN_BLOCKED || t->quarantined) && outcome->result != RESULT_DONE))
			record_remove(t->record_dir, t->group);
		return;
	}
	transaction_write_type(t, outcome);
}
