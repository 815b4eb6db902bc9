/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include <ini.h>

#include "daemon/fence.h"
#include "daemon/record.h"
#include "daemon/state-file.h"

#define DEVICES_MAX 4096
/* inih takes lines of 198 bytes. */
#define VALUE_MAX 160

static const char *const step_names[] = {
	[STEP_PREPARE] = "prepare", [STEP_FENCE] = "fence", [STEP_UNBIND] = "unbind", [STEP_WRITE] = "write",
	[STEP_UNFENCE] = "unfence", [STEP_PROBE] = "probe", [STEP_VERIFY] = "verify",
};

const char *step_to_string(enum step step)
{
	return step_names[step];
}

static void write_flag(FILE *f, const char *key, bool value)
{
	if (value)
		fprintf(f, "%s=yes\n", key);
}

static void write_text(FILE *f, const char *key, const char *value)
{
	if (value)
		fprintf(f, "%s=%s\n", key, value);
}

static void write_body(FILE *f, const void *data)
{
	const struct transaction *t = data;

	fprintf(f, "[transaction]\ngroup=%u\nstep=%s\n", t->group, step_names[t->step]);
	fprintf(f, "from=%s\nto=%s\n", domain_to_string(t->from), domain_to_string(t->to));
	write_text(f, "fence", t->fence ? t->fence->name : NULL);
	write_flag(f, "quarantined", t->quarantined);
	write_flag(f, "claimed", t->claimed);
	for (size_t i = 0; i < t->n_devices; i++) {
		const struct transaction_device *d = &t->devices[i];

		fprintf(f, "[%s]\n", d->address);
		if (d->id)
			fprintf(f, "id=%016" PRIx64 "\n", d->id);
		write_text(f, "driver", d->driver);
		write_text(f, "override", d->override);
		write_text(f, "wanted", d->wanted);
		write_text(f, "given", d->given);
		write_flag(f, "bridge", d->bridge);
		write_flag(f, "release", d->release);
		write_flag(f, "fresh", d->fresh);
		write_flag(f, "pinned", d->pinned);
		write_flag(f, "unbound", d->unbound);
	}
}

/*
 * Whether inih gives it back as it is. The kernel takes anything for an
 * override, up to a page of it; no driver has a name that is not.
 */
static bool is_plain(const char *value)
{
	size_t length = value ? strlen(value) : 0;

	if (length == 0)
		return !value;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)value[i] < ' ' || value[i] == '\x7f' || value[i] == ';')
			return false;
	return length <= VALUE_MAX && value[0] != ' ' && value[length - 1] != ' ';
}

/* A record that could not be read again would be none. */
static bool can_be_read_again(const struct transaction *t)
{
	for (size_t i = 0; i < t->n_devices; i++) {
		const struct transaction_device *d = &t->devices[i];

		if (!is_plain(d->driver) || !is_plain(d->override) || !is_plain(d->wanted) || !is_plain(d->given))
			return false;
	}
	return t->n_devices <= DEVICES_MAX;
}

int record_write(const char *dir, const struct transaction *t)
{
	char name[16];

	if (!can_be_read_again(t))
		return -EINVAL;
	snprintf(name, sizeof(name), "%u", t->group);
	return state_file_write(dir, name, write_body, t);
}

int record_remove(const char *dir, unsigned group)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", group);
	return state_file_remove(dir, name);
}

struct reader {
	struct transaction *t;
	struct transaction_device *device; /* the section being read */
	int error;
};

static int read_id(const char *value, uint64_t *ret)
{
	if (strspn(value, "0123456789abcdef") != 16 || value[16])
		return -EBADMSG;
	*ret = strtoull(value, NULL, 16);
	return 0;
}

static int read_device_key(struct transaction_device *d, const char *key, const char *value)
{
	bool yes = strcmp(value, "yes") == 0;

	if (strcmp(key, "driver") == 0)
		return replace_str(&d->driver, value);
	if (strcmp(key, "override") == 0)
		return replace_str(&d->override, value);
	if (strcmp(key, "wanted") == 0)
		return replace_str(&d->wanted, value);
	if (strcmp(key, "given") == 0)
		return replace_str(&d->given, value);
	if (strcmp(key, "id") == 0)
		return read_id(value, &d->id);
	if (strcmp(key, "bridge") == 0)
		d->bridge = yes;
	else if (strcmp(key, "release") == 0)
		d->release = yes;
	else if (strcmp(key, "fresh") == 0)
		d->fresh = yes;
	else if (strcmp(key, "pinned") == 0)
		d->pinned = yes;
	else if (strcmp(key, "unbound") == 0)
		d->unbound = yes;
	else
		return -EBADMSG;
	return 0;
}

static int read_transaction_key(struct transaction *t, const char *key, const char *value)
{
	if (strcmp(key, "group") == 0) {
		unsigned long group;
		char *end;

		errno = 0;
		group = strtoul(value, &end, 10);
		if (errno || *end || end == value || group > INT_MAX)
			return -EBADMSG;
		t->group = (unsigned)group;
		return 0;
	}
	if (strcmp(key, "from") == 0) {
		t->from = domain_from_string(value);
		return 0;
	}
	if (strcmp(key, "to") == 0) {
		t->to = domain_from_string(value);
		return 0;
	}
	if (strcmp(key, "fence") == 0) {
		t->fence = fence_by_name(value);
		return t->fence ? 0 : -EBADMSG;
	}
	if (strcmp(key, "quarantined") == 0) {
		t->quarantined = strcmp(value, "yes") == 0;
		return 0;
	}
	if (strcmp(key, "claimed") == 0) {
		t->claimed = strcmp(value, "yes") == 0;
		return 0;
	}
	if (strcmp(key, "step") == 0)
		for (size_t i = 0; i < ARRAY_LEN(step_names); i++)
			if (strcmp(value, step_names[i]) == 0) {
				t->step = (enum step)i;
				return 0;
			}
	return -EBADMSG;
}

static int on_key(void *userdata, const char *section, const char *key, const char *value)
{
	struct reader *reader = userdata;
	struct transaction *t = reader->t;

	if (reader->error < 0)
		return 0;
	if (strcmp(section, "transaction") == 0) {
		reader->error = read_transaction_key(t, key, value);
	} else if (!address_is_valid(section) || t->n_devices >= DEVICES_MAX) {
		reader->error = -EBADMSG;
	} else {
		if (t->n_devices == 0 || strcmp(t->devices[t->n_devices - 1].address, section) != 0) {
			struct transaction_device device = { .address = (char *)section };

			reader->error = transaction_add_device(t, &device);
		}
		if (reader->error >= 0)
			reader->error = read_device_key(&t->devices[t->n_devices - 1], key, value);
	}
	return reader->error >= 0;
}

int record_read(const char *dir, unsigned group, struct transaction **ret)
{
	_cleanup_(transaction_freep) struct transaction *t = calloc(1, sizeof(*t));
	struct reader reader = { .t = t };
	char name[16];
	int r;

	if (!t)
		return -ENOMEM;
	snprintf(name, sizeof(name), "%u", group);
	r = state_file_read(dir, name, on_key, &reader);
	if (reader.error < 0)
		r = reader.error;
	if (r < 0)
		return r;
	if (t->group != group)
		return -EBADMSG;
	t->record_dir = dir;
	/* A record of an older version, which had but one. */
	if (!t->fence)
		t->fence = &fence_pin;
	*ret = TAKE_PTR(t);
	return 0;
}

bool record_is_quarantine(const struct transaction *t)
{
	return t->to == DOMAIN_BLOCKED && t->step == STEP_VERIFY;
}

int record_read_quarantine(const char *dir, unsigned group, struct transaction **ret)
{
	_cleanup_(transaction_freep) struct transaction *t = NULL;
	int r;

	r = record_read(dir, group, &t);
	if (r < 0)
		return r;
	if (!record_is_quarantine(t))
		return -ENOENT;
	*ret = TAKE_PTR(t);
	return 0;
}

int record_list(const char *dir, unsigned **ret, size_t *ret_n)
{
	return state_file_list_numbers(dir, ret, ret_n);
}
