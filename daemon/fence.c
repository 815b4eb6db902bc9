/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/fence.h"
#include "daemon/sysfs.h"
#include "daemon/util.h"

/* What the two fences share. */

const struct fence *fence_by_name(const char *name)
{
	static const struct fence *const fences[] = { &fence_pin, &fence_module };

	for (size_t i = 0; i < ARRAY_LEN(fences); i++)
		if (strcmp(fences[i]->name, name) == 0)
			return fences[i];
	return NULL;
}

const char *fence_final_override(const struct transaction *t, const struct transaction_device *device)
{
	/* On the way back (a rollback or recovery) the rule's driver is not for the device yet. */
	if (t->step < STEP_UNFENCE)
		return device->override;
	if (device->wanted)
		return device->wanted;
	if (device->release && device->override && device->given && strcmp(device->override, device->given) == 0)
		return NULL;
	return device->override;
}

bool fence_is_overruled(const struct transaction *t, const struct transaction_device *device)
{
	_cleanup_free_ char *override = NULL;

	return sysfs_read_override(device->dir_fd, device->address, &override) >= 0 &&
	       strcmp(strempty(override), strempty(fence_final_override(t, device))) != 0;
}

static bool is_plain_name(const char *s)
{
	size_t length = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");

	return length > 0 && length < 128 && !s[length];
}

int fence_read_override(const struct transaction_device *device, char **ret)
{
	_cleanup_free_ char *override = NULL;
	int r;

	r = sysfs_read_override(device->dir_fd, device->address, &override);
	if (r < 0)
		return r;
	if (override && !is_plain_name(override))
		return -EBADMSG;
	*ret = TAKE_PTR(override);
	return 0;
}
