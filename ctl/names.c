/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/names.h"

#include <errno.h>
#include <libudev.h>

#include "ctl/props.h"
#include "ctl/util.h"

/* drivers/pci/pci-sysfs.c, modalias_show() */
void names_modalias(const struct model_device *device, char ret[static NAMES_MODALIAS_MAX])
{
	snprintf(ret, NAMES_MODALIAS_MAX, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X",
		 device->vendor, device->device, device->subvendor, device->subdevice,
		 device->class_code >> 16 & 0xff, device->class_code >> 8 & 0xff,
		 device->class_code & 0xff);
}

static int look_up(struct udev_hwdb *hwdb, struct model_device *device)
{
	const char *class_name = NULL, *subclass_name = NULL;
	char modalias[NAMES_MODALIAS_MAX];
	struct udev_list_entry *entry;
	int r = 0;

	names_modalias(device, modalias);
	udev_list_entry_foreach(entry, udev_hwdb_get_properties_list_entry(hwdb, modalias, 0)) {
		const char *name = udev_list_entry_get_name(entry);
		const char *value = udev_list_entry_get_value(entry);

		if (!name || !value)
			continue;
		if (streq(name, "ID_VENDOR_FROM_DATABASE"))
			r = prop_set_string(&device->vendor_name, value);
		else if (streq(name, "ID_MODEL_FROM_DATABASE"))
			r = prop_set_string(&device->device_name, value);
		else if (streq(name, "ID_PCI_SUBCLASS_FROM_DATABASE"))
			subclass_name = value;
		else if (streq(name, "ID_PCI_CLASS_FROM_DATABASE"))
			class_name = value;
		if (r < 0)
			return r;
	}
	/* "Non-Volatile memory controller" says more than "Mass storage controller". */
	return prop_set_string(&device->class_name,
			       subclass_name ? subclass_name : str_or(class_name, ""));
}

static bool same_kind(const struct model_device *a, const struct model_device *b)
{
	return a->vendor == b->vendor && a->device == b->device && a->subvendor == b->subvendor &&
	       a->subdevice == b->subdevice && a->class_code == b->class_code;
}

static int copy_names(struct model_device *to, const struct model_device *from)
{
	int r = prop_set_string(&to->vendor_name, from->vendor_name);

	if (r >= 0)
		r = prop_set_string(&to->device_name, from->device_name);
	return r < 0 ? r : prop_set_string(&to->class_name, from->class_name);
}

int names_fill(struct model *model)
{
	struct udev *udev = udev_new();
	struct udev_hwdb *hwdb = udev ? udev_hwdb_new(udev) : NULL;
	int r = 0;

	/* By address the virtual functions of a card follow each other, often hundreds of them. */
	for (size_t i = 0; hwdb && i < model->n_devices && r >= 0; i++) {
		struct model_device *device = &model->devices[i];

		r = i > 0 && same_kind(device, device - 1) ? copy_names(device, device - 1)
							   : look_up(hwdb, device);
	}
	if (hwdb)
		udev_hwdb_unref(hwdb);
	if (udev)
		udev_unref(udev);
	return r;
}
