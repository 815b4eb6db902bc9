/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any text in the files of /sys, and of /proc, that tell what a device is and
 * what it is in use for. The input is the files' content, one after the other,
 * with '|' between them.
 */
#include <string.h>

#include "daemon/in-use-sources.h"
#include "daemon/sysfs.h"
#include "daemon/sysfs-below.h"
#include "daemon/sysfs-block.h"
#include "daemon/util.h"
#include "policy/text.h"
#include "tests/fuzz/fuzz-folder.h"
#include "tests/fuzz/fuzz.h"

#define ADDRESS "0000:01:00.0"
#define DEVICE "devices/pci0000:00/0000:00:1c.0/" ADDRESS "/"
#define DISK DEVICE "nvme/nvme0/nvme0n1/"
#define GROUP 7

/* In the order of the input; a file that it does not reach is empty. */
static const char *const files[] = {
	DEVICE "vendor",
	DEVICE "device",
	DEVICE "subsystem_vendor",
	DEVICE "subsystem_device",
	DEVICE "class",
	DEVICE "config",
	DEVICE "removable",
	DEVICE "driver_override",
	DEVICE "boot_vga",
	DEVICE "sriov_numvfs",
	"kernel/iommu_groups/7/type",
	"kernel/iommu_groups/7/reserved_regions",
	"kernel/uevent_seqnum",
	DISK "dev",
	DISK "uevent",
	DISK "nvme0n1p1/dev",
	"devices/virtual/block/dm-0/dev",
	"devices/virtual/block/dm-0/dm/name",
	"devices/virtual/block/loop0/dev",
	"devices/virtual/block/loop0/loop/backing_file",
	"fs/btrfs/0b5d/devices/nvme0n1p1/dev",
	DEVICE "drm/card0/dev",
	DEVICE "drm/card0/uevent",
	"class/vtconsole/vtcon1/name",
	"class/vtconsole/vtcon1/bind",
	"proc/1/mountinfo",
	"proc/swaps",
	"proc/consoles",
};

static void make_tree(void)
{
	static char proc[4096 + 8];

	sysfs_set_root(fuzz_folder());
	snprintf(proc, sizeof(proc), "%s/proc", fuzz_folder());
	in_use_set_proc(proc);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		fuzz_file(files[i], "", 0);
	fuzz_file(DISK "nvme0n1p1/partition", "1\n", 2);
	fuzz_link("devices/pci0000:00/0000:00:1c.0/" ADDRESS, "bus/pci/devices/" ADDRESS);
	fuzz_link("kernel/iommu_groups/7", DEVICE "iommu_group");
	fuzz_link("class/iommu/dmar0", DEVICE "iommu");
	fuzz_link("devices/pci0000:00/0000:00:1c.0/" ADDRESS, "kernel/iommu_groups/7/devices/" ADDRESS);
	fuzz_link("devices/pci0000:00/0000:00:1c.0/" ADDRESS "/nvme/nvme0/nvme0n1", "class/block/nvme0n1");
	fuzz_link("devices/pci0000:00/0000:00:1c.0/" ADDRESS "/nvme/nvme0/nvme0n1/nvme0n1p1",
		  "class/block/nvme0n1p1");
	fuzz_link("devices/virtual/block/dm-0", "class/block/dm-0");
	fuzz_link("devices/virtual/block/loop0", "class/block/loop0");
	fuzz_link("devices/virtual/block/dm-0", DISK "nvme0n1p1/holders/dm-0");
	fuzz_file("class/graphics/fb0/name", "", 0);
}

static void lay_down(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const uint8_t *end = size ? memchr(data, '|', size) : NULL;
		size_t length = end ? (size_t)(end - data) : size;

		fuzz_file(files[i], data, length);
		if (end)
			length++;
		data += length;
		size -= length;
	}
}

static void check_device(void)
{
	struct sysfs_device device;
	char *override;
	unsigned group;

	if (sysfs_read_device(ADDRESS, &device) >= 0) {
		require(device.class_code <= 0xffffff);
		require(strv_len(device.parents) == 1 && strcmp(device.iommu, "dmar0") == 0);
		sysfs_device_clear(&device);
	}
	require(sysfs_device_group(ADDRESS, &group) == 0 && group == GROUP);
	if (sysfs_read_override(0, ADDRESS, &override) >= 0) {
		require(!override || (*override && !strchr(override, '\n')));
		free(override);
	}
	sysfs_is_boot_display(ADDRESS);
	sysfs_uevent_seqnum();
}

static void check_group(void)
{
	struct sysfs_region *regions;
	int fd = sysfs_open_group(GROUP);
	enum domain type;
	size_t n;

	require(fd >= 0);
	if (sysfs_group_type(fd, &type) >= 0)
		require(type == DOMAIN_NONE || (domain_is_type(type) && type != DOMAIN_BLOCKED));
	if (sysfs_group_regions(fd, &regions, &n) >= 0) {
		for (size_t i = 0; i < n; i++)
			require(*regions[i].kind && memchr(regions[i].kind, '\0', sizeof(regions[i].kind)));
		free(regions);
	}
	close(fd);
}

static void check_below(struct uses *uses)
{
	struct sysfs_below below;
	char *framebuffer = NULL;

	if (sysfs_read_below(ADDRESS, &below) >= 0) {
		for (size_t i = 0; i < below.n_nodes; i++)
			require(*below.nodes[i].path && strlen(below.nodes[i].path) < sizeof(below.nodes[i].path));
		require(in_use_console(below.nodes, below.n_nodes, uses) == 0);
	}
	sysfs_below_clear(&below);
	if (sysfs_console_framebuffer(&framebuffer) >= 0)
		require(!framebuffer || strcmp(framebuffer, "fb0") == 0);
	free(framebuffer);
}

static void check_blocks(struct uses *uses)
{
	struct sysfs_block *blocks = NULL;
	size_t n = 0;

	if (sysfs_block_below(ADDRESS, &blocks, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		require(*blocks[i].name && *blocks[i].label);
		require(blocks[i].under == SYSFS_BLOCK_NONE || blocks[i].under < i);
	}
	require(in_use_block(blocks, n, uses) == 0);
	free(blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(uses_clear) struct uses uses = {};
	_cleanup_free_ char *text = NULL;
	static bool made;
	int r;

	if (!made)
		make_tree();
	made = true;
	lay_down(data, size);
	check_device();
	check_group();
	check_below(&uses);
	check_blocks(&uses);
	r = uses_tell(&uses, &text);
	/* A reason is shown on the bus and on terminals. */
	require(r <= 0 || text);
	require(!text || text_check(text, strlen(text), NULL) == TEXT_CLEAN);
	return 0;
}
