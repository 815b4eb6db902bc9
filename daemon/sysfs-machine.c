/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "daemon/failpoint.h"
#include "daemon/sysfs-files.h"
#include "daemon/sysfs-machine.h"
#include "daemon/util.h"

#define DEFERRED_MAX (256 << 10)

static bool is_there(const char *below)
{
	_cleanup_free_ char *path = strf("%s/%s", sysfs_root, below);
	struct stat st;

	return path && stat(path, &st) == 0;
}

bool sysfs_has_groups_folder(void)
{
	return is_there("kernel/iommu_groups");
}

bool sysfs_is_read_only(void)
{
	_cleanup_free_ char *path = strf("%s/kernel/iommu_groups", sysfs_root);
	struct statvfs st;

	/* The flags are the mount's, also where something else is mounted there. */
	return path && (statvfs(path, &st) == 0 || statvfs(sysfs_root, &st) == 0) && (st.f_flag & ST_RDONLY);
}

bool sysfs_has_firmware_table(const char *name)
{
	_cleanup_free_ char *path = strf("firmware/acpi/tables/%s", name);

	return path && is_there(path);
}

const char *sysfs_lockdown(void)
{
	_cleanup_free_ char *path = strf("%s/kernel/security/lockdown", sysfs_root);
	_cleanup_free_ char *text = NULL;

	if (!path || sysfs_read_attribute_at(AT_FDCWD, path, &text) < 0)
		return NULL;
	return strstr(text, "[integrity]")	 ? "integrity" :
	       strstr(text, "[confidentiality]") ? "confidentiality" :
						   NULL;
}

int sysfs_read_autoprobe(bool *ret)
{
	_cleanup_free_ char *path = strf("%s/bus/pci/drivers_autoprobe", sysfs_root);
	_cleanup_free_ char *text = NULL;
	int r = path ? sysfs_read_attribute_at(AT_FDCWD, path, &text) : -ENOMEM;

	if (r >= 0)
		*ret = strcmp(text, "0") != 0;
	return r;
}

int sysfs_write_autoprobe(bool on)
{
	_cleanup_free_ char *path = strf("%s/bus/pci/drivers_autoprobe", sysfs_root);

	if (!path)
		return -ENOMEM;
	return failpoint_around("autoprobe", sysfs_write_attribute_at(AT_FDCWD, path, on ? "1" : "0"));
}

int sysfs_list_deferred(char ***ret)
{
	_cleanup_free_ char *path = strf("%s/kernel/debug/devices_deferred", sysfs_root);
	_cleanup_strv_ char **addresses = NULL;
	_cleanup_free_ char *text = NULL;
	char *rest, *line;
	int r = path ? read_file_at(AT_FDCWD, path, DEFERRED_MAX, &text) : -ENOMEM;

	if (r < 0)
		return r;
	/* Each line is a name and, after a tab, a reason. */
	for (rest = text; (line = strsep(&rest, "\n"));) {
		line[strcspn(line, "\t")] = '\0';
		if (address_is_valid(line) && (r = strv_add(&addresses, line)) < 0)
			return r;
	}
	*ret = TAKE_PTR(addresses);
	return 0;
}

int sysfs_list_devices(char ***ret)
{
	_cleanup_free_ char *path = strf("%s/bus/pci/devices", sysfs_root);
	int r = path ? sysfs_list_names_at(AT_FDCWD, path, ret) : -ENOMEM;

	if (r >= 0)
		strv_sort(*ret);
	return r;
}

int sysfs_device_inode(const char *address, uint64_t *ret)
{
	_cleanup_free_ char *path = strf("%s/bus/pci/devices/%s", sysfs_root, address);
	struct stat st;

	if (!path)
		return -ENOMEM;
	if (stat(path, &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}
