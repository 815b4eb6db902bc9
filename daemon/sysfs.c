/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/failpoint.h"
#include "daemon/sysfs.h"
#include "daemon/sysfs-files.h"
#include "daemon/sysfs-virtual.h"
#include "daemon/util.h"

/* sysfs attributes are at most a page; reserved_regions too. */
#define ATTRIBUTE_MAX 4096
#define NAMES_MAX 65536

const char *sysfs_root = "/sys";

void sysfs_set_root(const char *root)
{
	sysfs_root = root;
}

char *sysfs_device_path(const char *address, const char *attribute)
{
	return strf("%s/bus/pci/devices/%s/%s", sysfs_root, address, attribute);
}

int sysfs_read_attribute_at(int dirfd, const char *path, char **ret)
{
	char *value;
	int r;

	r = read_file_at(dirfd, path, ATTRIBUTE_MAX, &value);
	if (r < 0)
		return r;
	value[strcspn(value, "\n")] = '\0';
	*ret = value;
	return 0;
}

static int read_device_attribute(const char *address, const char *attribute, char **ret)
{
	_cleanup_free_ char *path = sysfs_device_path(address, attribute);

	return path ? sysfs_read_attribute_at(AT_FDCWD, path, ret) : -ENOMEM;
}

int sysfs_write_attribute_at(int dirfd, const char *path, const char *value)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t length = strlen(value);
	ssize_t n;

	if (fd < 0)
		return -errno;
	/* One write: each write(2) is one store in the kernel. An interrupted store has not begun. */
	do
		n = write(fd, value, length);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == length ? 0 : -EIO;
}

static int read_hex(const char *address, const char *attribute, uint32_t max, uint32_t *ret)
{
	_cleanup_free_ char *text = NULL;
	unsigned long value;
	char *end;
	int r;

	r = read_device_attribute(address, attribute, &text);
	if (r < 0)
		return r;
	errno = 0;
	value = strtoul(text, &end, 16);
	if (errno || end == text || *end || value > max)
		return -EBADMSG;
	*ret = (uint32_t)value;
	return 0;
}

static int read_u16(const char *address, const char *attribute, uint16_t *ret)
{
	uint32_t value;
	int r;

	r = read_hex(address, attribute, UINT16_MAX, &value);
	if (r < 0)
		return r;
	*ret = (uint16_t)value;
	return 0;
}

int sysfs_read_link_name(const char *path, char **ret)
{
	char target[PATH_MAX];
	const char *name;
	ssize_t n;

	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (!*name)
		return -EBADMSG;
	*ret = strdup(name);
	return *ret ? 0 : -ENOMEM;
}

/* The bridges above, nearest first: the PCI addresses among the parts of the device's real path. */
static int read_parents(const char *address, char ***ret)
{
	_cleanup_free_ char *link = sysfs_device_path(address, "");
	_cleanup_free_ char *real = NULL;
	_cleanup_strv_ char **parents = NULL;
	char *slash;
	int r;

	if (!link)
		return -ENOMEM;
	real = realpath(link, NULL);
	if (!real)
		return -errno;
	slash = strrchr(real, '/');
	if (slash)
		*slash = '\0';
	while ((slash = strrchr(real, '/'))) {
		if (address_is_valid(slash + 1)) {
			r = strv_add(&parents, slash + 1);
			if (r < 0)
				return r;
		}
		*slash = '\0';
	}
	*ret = TAKE_PTR(parents);
	return 0;
}

/*
 * Header type, bit 7: several functions (PCI Local Bus 3.0, 6.2.1); the low
 * bits are 1 and 2 for bridges. Offset 0x0e is within what anybody may read.
 */
static int read_header_type(const char *address, uint8_t *ret)
{
	_cleanup_free_ char *path = sysfs_device_path(address, "config");
	_cleanup_close_ int fd = -1;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pread(fd, ret, 1, 0x0e) != 1)
		return -EIO;
	return 0;
}

static int read_iommu_name(const char *address, char **ret)
{
	_cleanup_free_ char *path = sysfs_device_path(address, "iommu");
	int r;

	if (!path)
		return -ENOMEM;
	r = sysfs_read_link_name(path, ret);
	if (r == -ENOENT || r == -EINVAL) {
		*ret = NULL;
		return 0;
	}
	return r;
}

int sysfs_read_device(const char *address, struct sysfs_device *ret)
{
	struct sysfs_device device = {};
	_cleanup_free_ char *removable = NULL;
	_cleanup_free_ char *folder = NULL;
	uint8_t header = 0;
	struct stat st;
	int r;

	if (!address_is_valid(address))
		return -EINVAL;
	folder = sysfs_device_path(address, "");
	if (!folder)
		return -ENOMEM;
	if (stat(folder, &st) < 0)
		return -errno;
	device.inode = st.st_ino;
	if ((r = read_u16(address, "vendor", &device.vendor)) < 0 ||
	    (r = read_u16(address, "device", &device.device)) < 0 ||
	    (r = read_u16(address, "subsystem_vendor", &device.subvendor)) < 0 ||
	    (r = read_u16(address, "subsystem_device", &device.subdevice)) < 0 ||
	    (r = read_hex(address, "class", 0xffffff, &device.class_code)) < 0 ||
	    (r = read_parents(address, &device.parents)) < 0 || (r = read_iommu_name(address, &device.iommu)) < 0)
		goto fail;

	/* Not readable on a dead link (0xff): a device on its way out, without several functions. */
	if (read_header_type(address, &header) < 0 || header == 0xff)
		header = 0;
	device.multifunction = header & 0x80;
	device.bridge = device.class_code >> 16 == 0x06 || (header & 0x7f) == 1 || (header & 0x7f) == 2;

	/* Since 5.14; the kernel sets it below an external-facing port, as it does "untrusted", which has no file. */
	if (read_device_attribute(address, "removable", &removable) >= 0)
		device.removable = strcmp(removable, "removable") == 0;
	device.untrusted = device.removable;

	r = sysfs_is_virtual_function(address, &device.virtual_function);
	if (r < 0)
		goto fail;

	*ret = device;
	return 0;
fail:
	sysfs_device_clear(&device);
	return r;
}

void sysfs_device_clear(struct sysfs_device *device)
{
	free(device->iommu);
	strv_free(device->parents);
	*device = (struct sysfs_device){};
}

int sysfs_open_device(const char *address)
{
	_cleanup_free_ char *path = sysfs_device_path(address, "");
	int fd;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

bool sysfs_is_there(int dir_fd)
{
	return faccessat(dir_fd, "uevent", F_OK, 0) == 0 || faccessat(dir_fd, "vendor", F_OK, 0) == 0 ||
	       faccessat(dir_fd, "devices", F_OK, 0) == 0;
}

static int parse_group_number(const char *text, unsigned *ret)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EBADMSG;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || value > INT_MAX)
		return -EBADMSG;
	*ret = (unsigned)value;
	return 0;
}

int sysfs_device_group(const char *address, unsigned *ret)
{
	_cleanup_free_ char *path = sysfs_device_path(address, "iommu_group");
	_cleanup_free_ char *directory = sysfs_device_path(address, "");
	_cleanup_free_ char *name = NULL;
	int r;

	if (!path || !directory)
		return -ENOMEM;
	r = sysfs_read_link_name(path, &name);
	if (r == -ENOENT)
		return access(directory, F_OK) < 0 ? -ENOENT : -ENODATA;
	if (r < 0)
		return r;
	return parse_group_number(name, ret);
}

int sysfs_device_driver(const char *address, char **ret)
{
	_cleanup_free_ char *path = sysfs_device_path(address, "driver");
	_cleanup_free_ char *directory = sysfs_device_path(address, "");
	int r;

	if (!path || !directory)
		return -ENOMEM;
	r = sysfs_read_link_name(path, ret);
	if (r == -ENOENT) {
		*ret = NULL;
		return access(directory, F_OK) < 0 ? -ENODEV : 0;
	}
	return r;
}

static char *override_path(int dir_fd, const char *address)
{
	return dir_fd > 0 ? strdup("driver_override") : sysfs_device_path(address, "driver_override");
}

int sysfs_read_override(int dir_fd, const char *address, char **ret)
{
	_cleanup_free_ char *path = override_path(dir_fd, address);
	_cleanup_free_ char *value = NULL;
	int r;

	if (!path)
		return -ENOMEM;
	r = sysfs_read_attribute_at(dir_fd > 0 ? dir_fd : AT_FDCWD, path, &value);
	if (r < 0)
		return r == -ENOENT ? -ENODEV : r;
	/* The kernel prints a missing override so. */
	if (!*value || strcmp(value, "(null)") == 0)
		*ret = NULL;
	else
		*ret = TAKE_PTR(value);
	return 0;
}

int sysfs_write_override(int dir_fd, const char *address, const char *override)
{
	_cleanup_free_ char *path = override_path(dir_fd, address);
	_cleanup_free_ char *line = strf("%s\n", strempty(override));
	int r;

	if (!path || !line)
		return -ENOMEM;
	r = failpoint_around("override", sysfs_write_attribute_at(dir_fd > 0 ? dir_fd : AT_FDCWD, path, line));
	return r == -ENOENT ? -ENODEV : r;
}

int sysfs_unbind(const char *address, const char *driver)
{
	_cleanup_free_ char *path = strf("%s/bus/pci/drivers/%s/unbind", sysfs_root, driver);

	if (!path)
		return -ENOMEM;
	return failpoint_around("unbind", sysfs_write_attribute_at(AT_FDCWD, path, address));
}

int sysfs_bind(const char *address, const char *driver)
{
	_cleanup_free_ char *path = strf("%s/bus/pci/drivers/%s/bind", sysfs_root, driver);

	if (!path)
		return -ENOMEM;
	return failpoint_around("bind", sysfs_write_attribute_at(AT_FDCWD, path, address));
}

bool sysfs_driver_exists(const char *driver)
{
	_cleanup_free_ char *path = strf("%s/bus/pci/drivers/%s", sysfs_root, driver);

	return path && access(path, F_OK) == 0;
}

bool sysfs_driver_is_builtin(const char *driver)
{
	_cleanup_free_ char *path = strf("%s/bus/pci/drivers/%s/module", sysfs_root, driver);

	/* A built-in driver has the link too where its module has parameters; only a loaded one has a state. */
	_cleanup_free_ char *state = path ? strf("%s/initstate", path) : NULL;

	return state && sysfs_driver_exists(driver) && access(state, F_OK) < 0;
}

uint64_t sysfs_uevent_seqnum(void)
{
	_cleanup_free_ char *path = strf("%s/kernel/uevent_seqnum", sysfs_root);
	_cleanup_free_ char *text = NULL;

	if (!path || sysfs_read_attribute_at(AT_FDCWD, path, &text) < 0)
		return 0;
	return strtoull(text, NULL, 10);
}

int sysfs_probe(const char *address)
{
	_cleanup_free_ char *path = strf("%s/bus/pci/drivers_probe", sysfs_root);

	if (!path)
		return -ENOMEM;
	return failpoint_around("probe", sysfs_write_attribute_at(AT_FDCWD, path, address));
}

/* Names in a folder, "." and ".." left out. A folder that is not there has none. */
static int list_names(DIR *dir, char ***ret)
{
	_cleanup_strv_ char **names = NULL;
	struct dirent *entry;
	size_t n = 0;
	int r;

	while ((errno = 0, entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (++n > NAMES_MAX)
			return -E2BIG;
		r = strv_add(&names, entry->d_name);
		if (r < 0)
			return r;
	}
	if (errno)
		return -errno;
	*ret = TAKE_PTR(names);
	return 0;
}

int sysfs_list_names_at(int dirfd, const char *path, char ***ret)
{
	_cleanup_closedir_ DIR *dir = NULL;
	int fd;

	fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		int saved = errno;

		close(fd);
		return -saved;
	}
	return list_names(dir, ret);
}

int sysfs_list_drivers(char ***ret)
{
	_cleanup_free_ char *path = strf("%s/bus/pci/drivers", sysfs_root);
	int r;

	if (!path)
		return -ENOMEM;
	r = sysfs_list_names_at(AT_FDCWD, path, ret);
	if (r < 0)
		return r;
	strv_sort(*ret);
	return 0;
}

static int compare_unsigned(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

int sysfs_list_groups(unsigned **ret, size_t *ret_n)
{
	_cleanup_free_ char *path = strf("%s/kernel/iommu_groups", sysfs_root);
	_cleanup_strv_ char **names = NULL;
	_cleanup_free_ unsigned *groups = NULL;
	size_t n = 0;
	int r;

	if (!path)
		return -ENOMEM;
	r = sysfs_list_names_at(AT_FDCWD, path, &names);
	if (r < 0 && r != -ENOENT)
		return r;
	groups = calloc(strv_len(names) + 1, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	for (char **name = names; name && *name; name++)
		if (parse_group_number(*name, &groups[n]) >= 0)
			n++;
	qsort(groups, n, sizeof(*groups), compare_unsigned);
	*ret = TAKE_PTR(groups);
	*ret_n = n;
	return 0;
}

bool sysfs_has_iommu(void)
{
	_cleanup_free_ char *path = strf("%s/class/iommu", sysfs_root);
	_cleanup_strv_ char **names = NULL;

	return path && sysfs_list_names_at(AT_FDCWD, path, &names) >= 0 && strv_len(names) > 0;
}

int sysfs_open_group(unsigned group)
{
	_cleanup_free_ char *path = strf("%s/kernel/iommu_groups/%u", sysfs_root, group);
	int fd;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sysfs_group_devices(int group_fd, char ***ret_pci, char ***ret_other)
{
	_cleanup_strv_ char **names = NULL;
	_cleanup_strv_ char **pci = NULL;
	_cleanup_strv_ char **other = NULL;
	int r;

	r = sysfs_list_names_at(group_fd, "devices", &names);
	if (r < 0)
		return r;
	for (char **name = names; name && *name; name++) {
		r = strv_add(address_is_valid(*name) ? &pci : &other, *name);
		if (r < 0)
			return r;
	}
	strv_sort(pci);
	strv_sort(other);
	if (ret_pci)
		*ret_pci = TAKE_PTR(pci);
	if (ret_other)
		*ret_other = TAKE_PTR(other);
	return 0;
}

int sysfs_group_type(int group_fd, enum domain *ret)
{
	_cleanup_free_ char *word = NULL;
	enum domain domain;
	int r;

	r = sysfs_read_attribute_at(group_fd, "type", &word);
	if (r < 0)
		return r;
	/* The kernel also knows "unmanaged" and "blocked" here; both are somebody's ownership and no default domain. */
	domain = domain_from_string(word);
	*ret = domain_is_type(domain) && domain != DOMAIN_BLOCKED ? domain : DOMAIN_NONE;
	return 0;
}

int sysfs_write_group_type(int group_fd, enum domain domain)
{
	return failpoint_around("type", sysfs_write_attribute_at(group_fd, "type", domain_to_string(domain)));
}

bool sysfs_group_type_writable(int group_fd)
{
	struct stat st;

	return fstatat(group_fd, "type", &st, 0) == 0 && (st.st_mode & 0200);
}

int sysfs_group_regions(int group_fd, struct sysfs_region **ret, size_t *ret_n)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ struct sysfs_region *regions = NULL;
	char *state = NULL;
	size_t n = 0;
	int r;

	r = read_file_at(group_fd, "reserved_regions", ATTRIBUTE_MAX, &text);
	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		struct sysfs_region region = {};
		struct sysfs_region *grown;

		if (sscanf(line, "0x%" SCNx64 " 0x%" SCNx64 " %23s", &region.start, &region.end, region.kind) != 3)
			return -EBADMSG;
		grown = reallocarray(regions, n + 1, sizeof(*regions));
		if (!grown)
			return -ENOMEM;
		regions = grown;
		regions[n++] = region;
	}
	*ret = TAKE_PTR(regions);
	*ret_n = n;
	return 0;
}
