/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>

#include "daemon/log.h"
#include "daemon/policy-copy.h"
#include "policy/file.h"
#include "policy/trusted.h"

#define NEW_DIR STATE_DIR "/policy.new"

static int remove_files(const char *dir)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	struct dirent *entry;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.' && unlinkat(dirfd(d), entry->d_name, 0) < 0)
			return -errno;
	return 0;
}

static int copy_file(const char *from, const char *to)
{
	char fault[TRUSTED_FAULT_SIZE];
	_cleanup_close_ int in = trusted_open(from, POLICY_FILE_BYTES_MAX, fault);
	_cleanup_close_ int out = -1;
	size_t left = POLICY_FILE_BYTES_MAX;
	ssize_t n;

	if (in < 0)
		return in == -ENODATA ? -ESTALE : in; /* emptied since it was read */
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (out < 0)
		return -errno;
	while ((n = sendfile(out, in, NULL, left)) > 0)
		left -= (size_t)n;
	if (n < 0 || fsync(out) < 0)
		return -errno;
	return 0;
}

/* The order of reading is in the names: 0000-50-storage.conf. */
static int copy_files(const char *const *files)
{
	for (unsigned i = 0; files[i]; i++) {
		const char *base = strrchr(files[i], '/');
		/* The name is for a person; its end must stay .conf, and its length within NAME_MAX. */
		const char *name = base ? base + 1 : files[i];
		size_t length = strlen(name);
		_cleanup_free_ char *to = strf("%s/%04u-%s", NEW_DIR, i, length > 200 ? name + length - 200 : name);
		int r;

		if (!to)
			return -ENOMEM;
		r = copy_file(files[i], to);
		if (r < 0)
			return r;
	}
	return 0;
}

static int load(const char *dir, struct policy **ret)
{
	const char *const dirs[] = { dir, NULL };
	struct policy_errors errors = {};
	int r;

	r = policy_load(NULL, dirs, ret, &errors);
	policy_errors_clear(&errors);
	return r;
}

/* A file may have been written again since it was read: a copy that is not sound is worse than the old one. */
static int check_copy(const struct policy *policy)
{
	struct policy *copy;
	int r;

	r = load(NEW_DIR, &copy);
	if (r < 0)
		return r;
	r = policy_n_rules(copy) == policy_n_rules(policy) ? 0 : -ESTALE;
	policy_free(copy);
	return r;
}

static int save(const struct policy *policy)
{
	int r;

	if ((r = state_dir_make(POLICY_COPY_DIR)) < 0 || (r = state_dir_make(NEW_DIR)) < 0 ||
	    (r = remove_files(NEW_DIR)) < 0 || (r = copy_files(policy_files(policy))) < 0)
		return r;
	if ((r = check_copy(policy)) < 0)
		return r;
	/* Both folders exist, so that the two can change places in one step. */
	if (renameat2(AT_FDCWD, NEW_DIR, AT_FDCWD, POLICY_COPY_DIR, RENAME_EXCHANGE) < 0)
		return -errno;
	remove_files(NEW_DIR);
	rmdir(NEW_DIR);
	return 0;
}

void policy_copy_save(const struct policy *policy)
{
	int r = save(policy);

	if (r < 0)
		log_warning("Cannot keep a copy of the policy in %s: %s", POLICY_COPY_DIR, strerror(-r));
}

int policy_copy_load(struct policy **ret)
{
	if (access(POLICY_COPY_DIR, F_OK) < 0)
		return -errno;
	return load(POLICY_COPY_DIR, ret);
}
