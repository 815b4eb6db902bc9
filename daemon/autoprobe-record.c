/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/autoprobe-record.h"
#include "daemon/state-file.h"
#include "daemon/sysfs-machine.h"
#include "daemon/util.h"

#define FILE_NAME "autoprobe"
#define NAMES_MAX 65536
/* inih takes lines of 198 bytes. */
#define NAME_LENGTH_MAX 160

void autoprobe_record_clear(struct autoprobe_record *record)
{
	strv_free(record->devices);
	strv_free(record->drivers);
	*record = (struct autoprobe_record){};
}

int autoprobe_record_add(char ***names, const char *name)
{
	return strv_contains(*names, name) ? 0 : strv_add(names, name);
}

void autoprobe_record_drop(char **names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0) {
			free(*names);
			do
				names[0] = names[1];
			while (*names++);
			return;
		}
}

/* A name that inih would not give back is as good as not dealt with: its devices are asked once more. */
static bool is_plain(const char *name)
{
	size_t length = strlen(name);

	for (const char *p = name; *p; p++)
		if ((unsigned char)*p < ' ' || *p == '\x7f' || *p == ';')
			return false;
	return length > 0 && length <= NAME_LENGTH_MAX && name[0] != ' ' && name[length - 1] != ' ';
}

static void write_devices(FILE *f, char *const *addresses)
{
	uint64_t inode;

	for (; addresses && *addresses; addresses++)
		if (sysfs_device_inode(*addresses, &inode) >= 0)
			fprintf(f, "device=%s %" PRIu64 "\n", *addresses, inode);
}

static void write_drivers(FILE *f, char *const *names)
{
	for (; names && *names; names++)
		if (is_plain(*names))
			fprintf(f, "driver=%s\n", *names);
}

static void write_body(FILE *f, const void *data)
{
	const struct autoprobe_record *record = data;

	fputs("[autoprobe]\n", f);
	write_devices(f, record->devices);
	write_drivers(f, record->drivers);
}

int autoprobe_record_write(const char *dir, const struct autoprobe_record *record)
{
	return state_file_write(dir, FILE_NAME, write_body, record);
}

bool autoprobe_record_exists(const char *dir)
{
	_cleanup_free_ char *path = strf("%s/" FILE_NAME, dir);

	return path && access(path, F_OK) == 0;
}

struct reader {
	struct autoprobe_record *record;
	size_t n;
};

/* "ADDRESS INODE"; a device that is not there any more is left out. */
static int take_device(struct autoprobe_record *record, const char *value)
{
	const char *space = strchr(value, ' ');
	_cleanup_free_ char *address = space ? strndup(value, (size_t)(space - value)) : NULL;
	uint64_t inode, wanted;
	char *end;

	if (!address || !address_is_valid(address) || space[1] < '0' || space[1] > '9')
		return -EINVAL;
	wanted = strtoull(space + 1, &end, 10);
	if (*end)
		return -EINVAL;
	if (sysfs_device_inode(address, &inode) < 0 || inode != wanted)
		return 0;
	return strv_add(&record->devices, address);
}

static int on_key(void *userdata, const char *section, const char *key, const char *value)
{
	struct reader *reader = userdata;

	if (strcmp(section, "autoprobe") != 0 || reader->n++ >= NAMES_MAX)
		return 0;
	if (strcmp(key, "device") == 0)
		return take_device(reader->record, value) >= 0;
	return strcmp(key, "driver") == 0 && !strchr(value, '/') && strv_add(&reader->record->drivers, value) >= 0;
}

int autoprobe_record_read(const char *dir, struct autoprobe_record *ret)
{
	struct autoprobe_record record = {};
	struct reader reader = { .record = &record };
	int r = state_file_read(dir, FILE_NAME, on_key, &reader);

	if (r < 0)
		autoprobe_record_clear(&record);
	*ret = record;
	return r;
}

int autoprobe_record_remove(const char *dir)
{
	return state_file_remove(dir, FILE_NAME);
}
