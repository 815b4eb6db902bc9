/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_PCI_ID_H
#define POLICY_PCI_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/facts.h"

/* Which parts of a pattern say something; the bits are also the index's kinds. */
enum {
	PCI_ID_VENDOR = 8,
	PCI_ID_DEVICE = 4,
	PCI_ID_SUBVENDOR = 2,
	PCI_ID_SUBDEVICE = 1,
	PCI_ID_MASKS = 16, /* how many combinations there are */
};

/* vendor:device[:subvendor:subdevice], where a part may be '*'. */
struct pci_id {
	uint64_t value; /* as pci_id_pack(), zero where a part says nothing */
	uint8_t mask;
	uint8_t parts; /* 2 or 4, as written */
};

#define PCI_ID_FORMAT_SIZE sizeof("vvvv:dddd:VVVV:DDDD")

/* Vendor in the highest 16 bits, then device, subvendor, subdevice. */
uint64_t pci_id_pack(const struct device_facts *device);

/* The bits of a packed ID that MASK keeps. */
uint64_t pci_id_mask(uint64_t packed, unsigned mask);

/* Each part 1 to 4 hexadecimal digits or '*', two parts or four. 0 or -EINVAL. */
int pci_id_parse(const char *word, struct pci_id *ret);

/* The one spelling of a pattern: four lower-case digits a part. */
void pci_id_format(const struct pci_id *id, char buffer[static PCI_ID_FORMAT_SIZE]);

bool pci_id_match(const struct pci_id *id, const struct device_facts *device);

/* True where a part was written as '*'; a subsystem that is left out is no star. */
bool pci_id_has_star(const struct pci_id *id);

#endif
