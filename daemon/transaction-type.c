/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "daemon/sysfs.h"
#include "daemon/transaction-steps.h"

/* The group's type, and what the kernel's answers to a write of it mean. */

/* blocked without the kernel module: strict translation, no driver, and the fence stays closed. */
enum domain transaction_kernel_type(enum domain domain)
{
	return domain == DOMAIN_BLOCKED ? DOMAIN_DMA : domain;
}

/* What is held, else what has the number now. */
static int open_directory(const struct transaction *t)
{
	int fd = t->group_fd > 0 ? fcntl(t->group_fd, F_DUPFD_CLOEXEC, 3) : sysfs_open_group(t->group);

	return fd == -1 ? -errno : fd;
}

bool transaction_read_type(const struct transaction *t, enum domain *ret)
{
	_cleanup_close_ int fd = open_directory(t);

	return fd >= 0 && sysfs_group_type(fd, ret) >= 0;
}

int transaction_open_group(const struct transaction *t)
{
	_cleanup_close_ int fd = open_directory(t);
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
	case EREMOTEIO:
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, error,
			    "the kernel accepts %s and makes it another type", word);
		break;
	default:
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, error, "writing the type %s: %s", word,
			    strerror(error));
	}
}

/* 1: the group has the type already. The same word written again would give it a new domain. */
static int compare_type(const struct transaction *t)
{
	_cleanup_close_ int fd = transaction_open_group(t);
	enum domain current = DOMAIN_NONE;

	if (fd < 0)
		return fd;
	return sysfs_group_type(fd, &current) >= 0 && current == transaction_kernel_type(t->to);
}

/* -EREMOTEIO: it has been accepted, and another one has come of it. */
static int compare_and_write(const struct transaction *t)
{
	enum domain wanted = transaction_kernel_type(t->to), current = DOMAIN_NONE;
	_cleanup_close_ int fd = transaction_open_group(t);
	int r;

	if (fd < 0)
		return fd;
	if (sysfs_group_type(fd, &current) >= 0 && current == wanted)
		return 0;
	r = sysfs_write_group_type(fd, wanted);
	if (r >= 0 && (sysfs_group_type(fd, &current) < 0 || current != wanted))
		r = -EREMOTEIO;
	return r;
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

int transaction_try_type(const struct transaction *t, struct outcome *outcome)
{
	return write_type(t, true, outcome);
}
