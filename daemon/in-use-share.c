/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/in-use-sources.h"
#include "daemon/proc-text.h"

/*
 * 9p is mounted by the device's tag (p9_virtio_create() in
 * net/9p/trans_virtio.c). Which of several devices virtiofs is mounted through
 * is not told by all kernels: any will do.
 */
static bool is_shared_by(const struct mount_line *mount, const struct sysfs_below *below)
{
	if (strcmp(mount->type, "9p") == 0)
		return strv_contains(below->mount_tags, mount->source);
	return below->virtiofs && strcmp(mount->type, "virtiofs") == 0;
}

int in_use_share(const struct sysfs_below *below, struct uses *uses)
{
	_cleanup_free_ struct mount_line *mounts = NULL;
	_cleanup_free_ char *text = NULL;
	size_t n = 0;
	int r;

	if (!below->mount_tags && !below->virtiofs)
		return 0;
	r = in_use_mounts(&text, &mounts, &n);
	if (r < 0)
		return uses_unknown(uses, r, "cannot tell what is mounted");
	for (size_t i = 0; i < n && r >= 0; i++)
		if (is_shared_by(&mounts[i], below))
			r = uses_add(uses, strcmp(mounts[i].point, "/") == 0 ? USE_ROOT : USE_MOUNT,
				     strf("the %s share %s is mounted on %s", mounts[i].type, mounts[i].source,
					  mounts[i].point));
	return r;
}
