/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/pci-id.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/text.h"

static uint64_t pack(const uint16_t parts[4])
{
	return (uint64_t)parts[0] << 48 | (uint64_t)parts[1] << 32 | (uint64_t)parts[2] << 16 |
	       parts[3];
}

uint64_t pci_id_pack(const struct device_facts *device)
{
	return pack((const uint16_t[]){ device->vendor, device->device, device->subvendor,
					device->subdevice });
}

uint64_t pci_id_mask(uint64_t packed, unsigned mask)
{
	uint16_t keep[4];

	for (unsigned i = 0; i < 4; i++)
		keep[i] = mask & PCI_ID_VENDOR >> i ? 0xffff : 0;

	return packed & pack(keep);
}

int pci_id_parse(const char *word, struct pci_id *ret)
{
	uint16_t parts[4] = { 0 };
	struct pci_id id = { 0 };

	for (;; word++) {
		unsigned digits = 0;

		if (id.parts == 4)
			return -EINVAL;

		if (*word == '*') {
			word++;
		} else {
			for (; text_hex_digit(*word) >= 0; word++, digits++) {
				if (digits == 4)
					return -EINVAL;
				parts[id.parts] =
					(uint16_t)(parts[id.parts] << 4 | text_hex_digit(*word));
			}
			if (digits == 0)
				return -EINVAL;
			id.mask |= PCI_ID_VENDOR >> id.parts;
		}
		id.parts++;

		if (*word == '\0')
			break;
		if (*word != ':')
			return -EINVAL;
	}

	if (id.parts != 2 && id.parts != 4)
		return -EINVAL;

	id.value = pack(parts);
	*ret = id;
	return 0;
}

void pci_id_format(const struct pci_id *id, char buffer[static PCI_ID_FORMAT_SIZE])
{
	size_t at = 0;

	for (unsigned i = 0; i < id->parts; i++) {
		if (i > 0)
			buffer[at++] = ':';
		if (id->mask & PCI_ID_VENDOR >> i) {
			snprintf(buffer + at, PCI_ID_FORMAT_SIZE - at, "%04x",
				 (unsigned)(id->value >> (48 - 16 * i) & 0xffff));
			at += 4;
		} else {
			buffer[at++] = '*';
		}
	}

	buffer[at] = '\0';
}

bool pci_id_match(const struct pci_id *id, const struct device_facts *device)
{
	return pci_id_mask(pci_id_pack(device), id->mask) == id->value;
}

bool pci_id_has_star(const struct pci_id *id)
{
	unsigned full = id->parts == 4 ? PCI_ID_MASKS - 1 : PCI_ID_VENDOR | PCI_ID_DEVICE;

	return id->mask != full;
}
