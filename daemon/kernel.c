/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <sys/utsname.h>

#include "daemon/kernel.h"
#include "daemon/sysfs.h"
#include "daemon/util.h"

bool kernel_has_type_file(void)
{
	_cleanup_free_ unsigned *groups = NULL;
	size_t n = 0;

	if (sysfs_list_groups(&groups, &n) < 0)
		return false;
	/* The first one may be about to go. */
	for (size_t i = 0; i < n; i++) {
		_cleanup_close_ int fd = sysfs_open_group(groups[i]);

		if (fd >= 0 && sysfs_group_type_writable(fd))
			return true;
	}
	return false;
}

static const char *release;

void kernel_set_release(const char *instead)
{
	release = instead;
}

static bool at_least(unsigned major, unsigned minor)
{
	struct utsname name;
	unsigned x, y;

	return uname(&name) == 0 && sscanf(release ? release : name.release, "%u.%u", &x, &y) == 2 &&
	       (x > major || (x == major && y >= minor));
}

bool kernel_honours_autoprobe(void)
{
	return at_least(6, 19);
}

int kernel_features(char ***ret)
{
	_cleanup_strv_ char **features = NULL;
	bool writable = kernel_has_type_file();

	if ((sysfs_has_iommu() && strv_add(&features, "iommu") < 0) ||
	    (writable && strv_add(&features, "type-file") < 0) ||
	    /* 6.4: iommu_group_store_type() takes groups of several devices. */
	    (writable && at_least(6, 4) && strv_add(&features, "groups-of-many") < 0) ||
	    /* 5.15: strict to lazy without unbinding. */
	    (writable && at_least(5, 15) && strv_add(&features, "live-flush-queue") < 0))
		return -ENOMEM;
	*ret = TAKE_PTR(features);
	return 0;
}
