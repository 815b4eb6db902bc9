/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/group-store.h"
#include "daemon/log.h"
#include "daemon/state-file.h"
#include "policy/text.h"

#define DEVICE_SIZE 64

/* Address and IDs: a device that has come to another's place while nobody looked is not that one. */
static void format_device(const struct device *device, char *ret, size_t size)
{
	snprintf(ret, size, "%s %016" PRIx64, device->address, sysfs_device_id(&device->attributes));
}

static void write_body(FILE *f, const void *data)
{
	const struct group *group = data;
	char text[DEVICE_SIZE];

	/* First, so that what follows is known to be this group's. */
	for (size_t i = 0; i < group->n_devices; i++) {
		format_device(group->devices[i], text, sizeof(text));
		fprintf(f, "device=%s\n", text);
	}
	for (size_t i = 0; i < group->n_devices; i++)
		if (group->devices[i]->given_driver)
			fprintf(f, "given=%s %s\n", group->devices[i]->address, group->devices[i]->given_driver);
	fprintf(f, "boot-type=%s\n", domain_to_string(group->boot_type));
	fprintf(f, "applied=%s\n", domain_to_string(group->applied));
	if (group->applied_by)
		/* For a person; inih takes lines of 198 bytes. */
		fprintf(f, "applied-by=%.180s\n", group->applied_by);
	if (group->has_override) {
		fprintf(f, "override=%s\noverride-rebind=%s\n", domain_to_string(group->override.domain),
			rebind_to_string(group->override.rebind));
		fprintf(f, "override-force=%s\n", group->override.force ? "yes" : "no");
		fprintf(f, "override-key=%s\n", strempty(group->override_key));
	}
}

struct loader {
	struct group *group;
	struct group read; /* only what the file tells */
	bool *same; /* for each of the group's devices: it is one of the file's */
};

static bool is_any_same(const struct loader *loader)
{
	for (size_t i = 0; i < loader->group->n_devices; i++)
		if (loader->same[i])
			return true;
	return false;
}

/* "ADDRESS DRIVER"; of a device that is not there any more it is no matter. */
static int take_given(const struct loader *loader, const char *value)
{
	const char *space = strchr(value, ' ');
	size_t length = space ? (size_t)(space - value) : 0;

	for (size_t i = 0; space && i < loader->group->n_devices; i++) {
		struct device *device = loader->group->devices[i];

		if (loader->same[i] && strlen(device->address) == length && strncmp(device->address, value, length) == 0)
			return replace_str(&device->given_driver, space + 1);
	}
	return 0;
}

static int on_key(void *userdata, const char *section, const char *key, const char *value)
{
	struct loader *loader = userdata;
	struct group *read = &loader->read;

	if (*section)
		return 0;
	if (strcmp(key, "device") == 0) {
		for (size_t i = 0; i < loader->group->n_devices; i++) {
			char text[DEVICE_SIZE];

			format_device(loader->group->devices[i], text, sizeof(text));
			loader->same[i] |= strcmp(text, value) == 0;
		}
	} else if (strcmp(key, "given") == 0) {
		return take_given(loader, value) >= 0;
	} else if (strcmp(key, "boot-type") == 0) {
		read->boot_type = domain_from_string(value);
	} else if (strcmp(key, "applied") == 0) {
		read->applied = domain_from_string(value);
	} else if (strcmp(key, "applied-by") == 0) {
		if (replace_str(&read->applied_by, value) < 0)
			return 0;
		text_replace(read->applied_by); /* it may have been cut within a character */
	} else if (strcmp(key, "override") == 0) {
		read->override.domain = domain_from_string(value);
		read->has_override = read->override.domain != DOMAIN_NONE;
	} else if (strcmp(key, "override-rebind") == 0) {
		for (int i = REBIND_HOTPLUG; i <= REBIND_ALWAYS; i++)
			if (strcmp(value, rebind_to_string((enum rebind)i)) == 0)
				read->override.rebind = (enum rebind)i;
	} else if (strcmp(key, "override-force") == 0) {
		read->override.force = strcmp(value, "yes") == 0;
	} else if (strcmp(key, "override-key") == 0) {
		return replace_str(&read->override_key, value) == 0;
	} else {
		return 0;
	}
	return 1;
}

void group_store_load(struct group *group)
{
	_cleanup_free_ bool *same = calloc(group->n_devices + 1, sizeof(*same));
	struct loader loader = { .group = group, .same = same };
	struct group *read = &loader.read;
	char name[16];
	int r;

	group->boot_type = group->type == DOMAIN_BLOCKED ? DOMAIN_DMA : group->type;
	snprintf(name, sizeof(name), "%u", group->id);
	r = same ? state_file_read(GROUP_STORE_DIR, name, on_key, &loader) : -ENOMEM;
	if (r < 0 && r != -ENOENT)
		log_group(LOG_WARNING, group->id, "%s/%s is not usable and left aside: %s", GROUP_STORE_DIR, name,
			  state_file_describe(r));
	if (r >= 0 && is_any_same(&loader)) {
		if (domain_is_type(read->boot_type))
			group->boot_type = read->boot_type;
		group->applied = read->applied;
		group->applied_by = TAKE_PTR(read->applied_by);
		group->has_override = read->has_override;
		group->override = read->override;
		group->override_key = TAKE_PTR(read->override_key);
	}
	free(read->applied_by);
	free(read->override_key);
}

void group_store_save(const struct group *group)
{
	char name[16];
	int r;

	snprintf(name, sizeof(name), "%u", group->id);
	r = state_file_write(GROUP_STORE_DIR, name, write_body, group);
	if (r < 0)
		log_group(LOG_WARNING, group->id, "cannot keep its state in %s: %s", GROUP_STORE_DIR, strerror(-r));
}

void group_store_clean(void)
{
	_cleanup_free_ unsigned *groups = NULL;
	size_t n = 0;

	if (state_file_list_numbers(GROUP_STORE_DIR, &groups, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		_cleanup_close_ int fd = sysfs_open_group(groups[i]);

		if (fd == -ENOENT)
			group_store_remove(groups[i]);
	}
}

void group_store_remove(unsigned group)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", group);
	state_file_remove(GROUP_STORE_DIR, name);
}
