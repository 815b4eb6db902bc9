/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/policy-fixture.h"

#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[4096];

void fixture_setup(void)
{
	const char *tmp = getenv("TMPDIR");

	/* Files that others may write are refused: the tests must not depend on the caller's mask. */
	umask(022);
	snprintf(directory, sizeof(directory), "%s/iommu-policy-XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void fixture_teardown(void)
{
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fixture_dir(void)
{
	return directory;
}

const char *fixture_path(const char *name)
{
	static char paths[64][4096 + 512];
	static unsigned next;
	char *path = paths[next++ % 64];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

void fixture_mkdir(const char *name)
{
	ck_assert_int_eq(mkdir(fixture_path(name), 0755), 0);
}

void fixture_write_bytes(const char *name, const void *data, size_t size)
{
	FILE *f = fopen(fixture_path(name), "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, size, f), size);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(fixture_path(name), 0644), 0);
}

void fixture_write(const char *name, const char *text)
{
	fixture_write_bytes(name, text, strlen(text));
}

/* The temporary folder's name is left out of each line. */
static char *format_errors(const struct policy_errors *errors)
{
	size_t size, prefix = strlen(directory);
	char *text = NULL;
	FILE *f = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(f);
	for (size_t i = 0; i < errors->n_items; i++) {
		char *line = policy_error_format(&errors->items[i]);

		ck_assert_ptr_nonnull(line);
		if (strncmp(line, directory, prefix) == 0 && line[prefix] == '/')
			fprintf(f, "%s\n", line + prefix + 1);
		else
			fprintf(f, "%s\n", line);
		free(line);
	}
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

static struct policy *finish(int r, struct policy *policy, struct policy_errors *errors,
			     char **text)
{
	ck_assert_int_eq(r, errors->n_items > 0 ? -EBADMSG : 0);
	ck_assert_int_eq(policy == NULL, r < 0);
	*text = format_errors(errors);
	policy_errors_clear(errors);
	return policy;
}

struct policy *fixture_load(const char *const *dirs, char **text)
{
	struct policy_errors errors = { 0 };
	struct policy *policy;
	int r = policy_load(directory, dirs, &policy, &errors);

	return finish(r, policy, &errors, text);
}

struct policy *fixture_load_files(const char *const *paths, char **text)
{
	struct policy_errors errors = { 0 };
	struct policy *policy;
	int r = policy_load_files(paths, &policy, &errors);

	return finish(r, policy, &errors, text);
}

struct policy *fixture_policy(const char *text)
{
	const char *const paths[] = { fixture_path("test.conf"), NULL };
	struct policy *policy;
	char *errors;

	fixture_write("test.conf", text);
	policy = fixture_load_files(paths, &errors);
	ck_assert_str_eq(errors, "");
	free(errors);
	return policy;
}

#define PARENTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

const struct fixture_device fixture_devices[] = {
	{ "nvme",
	  { .address = "0000:01:00.0",
	    .vendor = 0x144d,
	    .device = 0xa808,
	    .subvendor = 0x144d,
	    .subdevice = 0xa801,
	    .class_code = 0x010802,
	    .parents = PARENTS("0000:00:1d.0"),
	    .iommu = "dmar0" } },
	{ "nic",
	  { .address = "0000:02:00.0",
	    .vendor = 0x8086,
	    .device = 0x10d3,
	    .subvendor = 0x8086,
	    .class_code = 0x020000,
	    .parents = PARENTS("0000:00:1c.0"),
	    .iommu = "dmar1" } },
	{ "gpu",
	  { .address = "0000:3b:00.0",
	    .vendor = 0x10de,
	    .device = 0x2330,
	    .subvendor = 0x10de,
	    .subdevice = 0x16c1,
	    .class_code = 0x030200,
	    .parents = PARENTS("0000:3a:00.0", "0000:39:00.0"),
	    .iommu = "dmar2" } },
	{ "audio",
	  { .address = "0000:3b:00.1",
	    .vendor = 0x10de,
	    .device = 0x22bd,
	    .subvendor = 0x10de,
	    .subdevice = 0x16c1,
	    .class_code = 0x040300,
	    .parents = PARENTS("0000:3a:00.0", "0000:39:00.0"),
	    .iommu = "dmar2" } },
	{ "vf",
	  { .address = "0000:02:10.1",
	    .vendor = 0x8086,
	    .device = 0x154c,
	    .subvendor = 0x8086,
	    .class_code = 0x020000,
	    .parents = PARENTS("0000:00:1c.0"),
	    .iommu = "dmar1",
	    .virtual_function = true } },
	{ "dock",
	  { .address = "0000:05:00.0",
	    .vendor = 0x1b21,
	    .device = 0x2142,
	    .subvendor = 0x1849,
	    .subdevice = 0x2142,
	    .class_code = 0x0c0330,
	    .parents = PARENTS("0000:04:00.0", "0000:00:07.0"),
	    .iommu = "dmar0",
	    .removable = true,
	    .untrusted = true } },
	{ "vmd",
	  { .address = "10000:01:00.0",
	    .vendor = 0x8086,
	    .device = 0x2700,
	    .subvendor = 0x8086,
	    .subdevice = 0x3905,
	    .class_code = 0x010802,
	    .parents = PARENTS("10000:00:02.0"),
	    .iommu = "dmar3" } },
	{ "bridge",
	  { .address = "0000:00:1c.0",
	    .vendor = 0x8086,
	    .device = 0xa110,
	    .class_code = 0x060400,
	    .iommu = "dmar1",
	    .bridge = true } },
};

const size_t fixture_n_devices = N_ELEMENTS(fixture_devices);

const struct device_facts *fixture_device(const char *name)
{
	for (size_t i = 0; i < fixture_n_devices; i++)
		if (strcmp(fixture_devices[i].name, name) == 0)
			return &fixture_devices[i].facts;

	ck_abort_msg("no device %s", name);
}

const char *fixture_data_dir(void)
{
	static char path[4096];
	const char *top = getenv("top_srcdir");

	if (!top)
		top = getenv("srcdir");
	snprintf(path, sizeof(path), "%s/tests/data/policy", top ? top : ".");
	return path;
}

char *fixture_read(const char *path, size_t *size)
{
	FILE *f = fopen(path, "re");
	char *data = NULL;
	size_t n = 0, room = 0;

	if (!f)
		ck_abort_msg("%s: %s", path, strerror(errno));

	do {
		room += 65536;
		data = realloc(data, room + 1);
		ck_assert_ptr_nonnull(data);
		n += fread(data + n, 1, room - n, f);
	} while (n == room);

	ck_assert_int_eq(ferror(f), 0);
	fclose(f);
	data[n] = '\0';
	if (size)
		*size = n;
	return data;
}

unsigned fixture_random(unsigned below)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)((state >> 16) % below);
}
