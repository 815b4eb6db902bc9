// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/platform_device.h>

#include "fence.h"
#include "group.h"

#define LOCK_POLL_MS 10

static atomic_t serial;
static struct platform_device *kicker;

struct device *fence_create(const char *kind)
{
	char name[40];

	/* Not by the group's number: that is another group's while the old fence is on its way out. */
	snprintf(name, sizeof(name), "iommu-policy-%s-%u", kind, (unsigned int)atomic_inc_return(&serial));
	return root_device_register(name);
}

void fence_destroy(struct device *fence)
{
	root_device_unregister(fence);
}

int fence_add(struct device *fence, struct device *dev)
{
	return device_link_add(dev, fence, 0) ? 0 : -ENOMEM;
}

/*
 * A driver whose probe or remove hangs has the device's lock for good. Nothing
 * of ours may hang with it, least of all the end of the module, so there is no
 * sleeping on that lock.
 */
bool fence_lock_device(struct device *dev, const bool *stop)
{
	while (!device_trylock(dev)) {
		if (READ_ONCE(*stop))
			return false;
		msleep(LOCK_POLL_MS);
	}
	return true;
}

void fence_attach(struct device *dev)
{
	int r;

	/* Set from before the probe until after the remove, however long either takes. */
	if (READ_ONCE(dev->driver) || !fence_lock_device(dev, &policy_stopping))
		return;
	/* It takes the lock itself. */
	device_unlock(dev);
	r = device_attach(dev);
	if (r < 0 && r != -EPROBE_DEFER)
		dev_dbg(dev, "no driver took it: %d\n", r);
}

/* Any device that is bound makes the driver core look at its deferred list again. */
void fence_kick(void)
{
	device_release_driver(&kicker->dev);
	if (device_attach(&kicker->dev) < 0)
		pr_debug("could not have the deferred devices probed\n");
}

static int kicker_probe(struct platform_device *pdev)
{
	return 0;
}

static struct platform_driver kicker_driver = {
	.probe = kicker_probe,
	.driver = {
		.name = "iommu-policy-kick",
		.suppress_bind_attrs = true,
	},
};

int fence_init(void)
{
	int r = platform_driver_register(&kicker_driver);

	if (r)
		return r;
	kicker = platform_device_register_simple("iommu-policy-kick", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(kicker)) {
		platform_driver_unregister(&kicker_driver);
		return PTR_ERR(kicker);
	}
	/* Its coming and going is no news for udev. */
	dev_set_uevent_suppress(&kicker->dev, 1);
	return 0;
}

void fence_exit(void)
{
	platform_device_unregister(kicker);
	platform_driver_unregister(&kicker_driver);
}
