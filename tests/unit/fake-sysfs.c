/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/sysfs.h"
#include "daemon/util.h"
#include "tests/unit/fake-sysfs.h"

#define PORT "devices/pci0000:00/0000:00:1c.0"

static char root[64];

static void make_parents(char *path)
{
	for (char *slash = path + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(path, 0755);
	}
}

_printf_(1, 0) static char *place(const char *format, va_list ap)
{
	char *relative, *path;

	ck_assert_int_ge(vasprintf(&relative, format, ap), 0);
	path = strf("%s/%s", root, relative);
	ck_assert_ptr_nonnull(path);
	free(relative);
	make_parents(path);
	return path;
}

void fake_file(const char *content, const char *format, ...)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	va_list ap;

	va_start(ap, format);
	path = place(format, ap);
	va_end(ap);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(content, f), 0);
}

void fake_link(const char *target, const char *format, ...)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *to = strf("%s/%s", root, target);
	va_list ap;

	va_start(ap, format);
	path = place(format, ap);
	va_end(ap);
	ck_assert_int_eq(symlink(to, path), 0);
}

void fake_sysfs_make(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(root, sizeof(root), "%.40s/iommu-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(root));
	sysfs_set_root(root);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fake_sysfs_remove(void)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void fake_unplug(const char *address, unsigned group)
{
	_cleanup_free_ char *device = strf("%s/" PORT "/%s", root, address);
	_cleanup_free_ char *link = strf("%s/bus/pci/devices/%s", root, address);
	_cleanup_free_ char *folder = strf("%s/kernel/iommu_groups/%u", root, group);

	ck_assert_int_eq(nftw(device, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	ck_assert_int_eq(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	ck_assert_int_eq(unlink(link), 0);
}

const char *fake_sysfs_root(void)
{
	return root;
}

void fake_driver(const char *driver)
{
	fake_file("", "bus/pci/drivers/%s/bind", driver);
	fake_file("", "bus/pci/drivers/%s/unbind", driver);
	fake_file("live\n", "bus/pci/drivers/%s/module/initstate", driver);
}

void fake_group(unsigned group, const char *type)
{
	_cleanup_free_ char *line = strf("%s\n", type);

	fake_file(line, "kernel/iommu_groups/%u/type", group);
	fake_file("0x00000000fee00000 0x00000000feefffff msi\n", "kernel/iommu_groups/%u/reserved_regions", group);
}

void fake_device(const char *address, unsigned group, const char *driver)
{
	static const struct {
		const char *name, *value;
	} attributes[] = {
		{ "vendor", "0x8086\n" },	    { "device", "0x10d3\n" }, { "subsystem_vendor", "0x8086\n" },
		{ "subsystem_device", "0xa01f\n" }, { "class", "0x020000\n" }, { "driver_override", "(null)\n" },
	};
	_cleanup_free_ char *directory = strf(PORT "/%s", address);
	_cleanup_free_ char *group_directory = strf("kernel/iommu_groups/%u", group);

	for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
		fake_file(attributes[i].value, "%s/%s", directory, attributes[i].name);
	fake_file("...............", "%s/config", directory); /* header type '.' = 0x2e: no bridge, one function */
	fake_link(directory, "bus/pci/devices/%s", address);
	fake_link(directory, "kernel/iommu_groups/%u/devices/%s", group, address);
	fake_link(group_directory, "%s/iommu_group", directory);
	fake_link("class/iommu/dmar0", "%s/iommu", directory);
	if (driver) {
		_cleanup_free_ char *driver_directory = strf("bus/pci/drivers/%s", driver);

		fake_link(driver_directory, "%s/driver", directory);
	}
}
