/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/sysfs-files.h"
#include "daemon/sysfs-virtual.h"
#include "daemon/util.h"
#include "policy/address.h"

/* All three are registers of 16 bits. */
static int read_register(int dirfd, const char *physical, const char *name, uint64_t *ret)
{
	_cleanup_free_ char *path = strf("%s/%s", physical, name);
	_cleanup_free_ char *text = NULL;
	unsigned long value;
	char *end;
	int r;

	if (!path)
		return -ENOMEM;
	r = sysfs_read_attribute_at(dirfd, path, &text);
	if (r < 0)
		return r;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || value > UINT16_MAX)
		return -EBADMSG;
	*ret = value;
	return 0;
}

/* Returns 1, 0 (also where PHYSICAL has no virtual functions), or -ENOMEM. */
static int is_function_of(int dirfd, const char *physical, uint64_t device)
{
	uint64_t first, distance, offset, stride, total;
	int r;

	/* Functions of another domain or port are not in the same directory. */
	if (!address_is_valid(physical) || address_parse(physical, &first) < 0)
		return 0;
	if ((r = read_register(dirfd, physical, "sriov_totalvfs", &total)) < 0 ||
	    (r = read_register(dirfd, physical, "sriov_offset", &offset)) < 0 ||
	    (r = read_register(dirfd, physical, "sriov_stride", &stride)) < 0)
		return r == -ENOMEM ? r : 0;
	if (total == 0 || offset == 0 || device < first + offset)
		return 0;
	distance = device - first - offset;
	if (stride == 0)
		return distance == 0;
	return distance % stride == 0 && distance / stride < total;
}

int sysfs_is_virtual_function(const char *address, bool *ret)
{
	_cleanup_free_ char *link = sysfs_device_path(address, "physfn");
	_cleanup_free_ char *parent = sysfs_device_path(address, "..");
	_cleanup_strv_ char **names = NULL;
	_cleanup_close_ int dir = -1;
	uint64_t device;
	int r;

	if (!link || !parent)
		return -ENOMEM;
	*ret = access(link, F_OK) == 0;
	if (*ret)
		return 0;
	if (address_parse(address, &device) < 0)
		return -EINVAL;
	dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	r = sysfs_list_names_at(dir, ".", &names);
	for (char **name = names; r == 0 && name && *name; name++)
		r = is_function_of(dir, *name, device);
	*ret = r > 0;
	return r < 0 ? r : 0;
}
