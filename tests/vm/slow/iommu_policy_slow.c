// SPDX-License-Identifier: GPL-2.0
/*
 * A driver for QEMU's edu device that does nothing, and that stays in its
 * probe or remove function, as one that waits for its hardware, for as long as
 * its parameter says. It is not to be woken by any signal. Or it wants to be
 * asked again, as one that waits for another driver.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>

static bool in_probe;
module_param(in_probe, bool, 0600);

static bool in_remove;
module_param(in_remove, bool, 0600);

static bool defer;
module_param(defer, bool, 0600);

static void stay(const bool *parameter)
{
	while (READ_ONCE(*parameter))
		msleep(50);
}

static int slow_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	stay(&in_probe);
	return READ_ONCE(defer) ? -EPROBE_DEFER : 0;
}

static void slow_remove(struct pci_dev *pdev)
{
	stay(&in_remove);
}

static const struct pci_device_id slow_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, slow_ids);

static struct pci_driver slow_driver = {
	.name = "slow",
	.id_table = slow_ids,
	.probe = slow_probe,
	.remove = slow_remove,
};
module_pci_driver(slow_driver);

MODULE_DESCRIPTION("A driver that takes its time, on purpose");
MODULE_LICENSE("GPL");
