// SPDX-License-Identifier: GPL-2.0
/* A driver whose device does not work under a 1:1 map, as some real ones'. It takes what driver_override gives it. */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>

static bool refuse = true;
module_param(refuse, bool, 0644);

static unsigned int refused;
module_param(refused, uint, 0444);

static int picky_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(&pdev->dev);

	if (!refuse || (domain && domain->type != IOMMU_DOMAIN_IDENTITY))
		return 0;
	refused++;
	return -EIO;
}

static void picky_remove(struct pci_dev *pdev)
{
}

static const struct pci_device_id picky_ids[] = { {} };

static struct pci_driver picky = {
	.name = "picky",
	.id_table = picky_ids,
	.probe = picky_probe,
	.remove = picky_remove,
};
module_pci_driver(picky);

MODULE_DESCRIPTION("A driver that fails under identity");
MODULE_LICENSE("GPL");
