/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "daemon/proc-text.h"
#include "daemon/sysfs-block.h"
#include "daemon/sysfs-files.h"
#include "daemon/util.h"

#define STACK_DEPTH_MAX 16

struct block_list {
	struct sysfs_block *items;
	size_t n;
	char **names; /* of all block devices there are */
};

static void block_list_done(struct block_list *list)
{
	free(list->items);
	strv_free(list->names);
}
#define _cleanup_list_ _cleanup_(block_list_done)

static bool copy_name(char *to, size_t size, const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length >= size)
		return false;
	memcpy(to, name, length + 1);
	return true;
}

/* Names as people know them are there for device mapper only; md's and LVM's links below /dev are udev's. */
static void read_label(struct sysfs_block *block, int dirfd, const char *directory)
{
	_cleanup_free_ char *path = strf("%s/dm/name", directory);
	_cleanup_free_ char *name = NULL;

	if (!path || sysfs_read_attribute_at(dirfd, path, &name) < 0 ||
	    !copy_name(block->label, sizeof(block->label), name))
		copy_name(block->label, sizeof(block->label), block->name);
}

/* 1 with the device's place in the list, 0 where it has no number, and so no node. BLOCK brings the rest. */
static int block_list_add(struct block_list *list, int dirfd, const char *directory, const char *name,
			  struct sysfs_block block, size_t *ret)
{
	_cleanup_free_ char *path = strf("%s/dev", directory);
	_cleanup_free_ char *text = NULL;
	struct sysfs_block *grown;
	int r;

	if (!path)
		return -ENOMEM;
	if (!copy_name(block.name, sizeof(block.name), name))
		return -ENAMETOOLONG;
	r = sysfs_read_attribute_at(dirfd, path, &text);
	if (r == -ENOENT || r == -ENODEV) /* a hidden path of a multipath device; or it is on its way out */
		return 0;
	if (r < 0)
		return r;
	if (sscanf(text, "%u:%u", &block.major, &block.minor) != 2)
		return -EBADMSG;
	read_label(&block, dirfd, directory);
	grown = reallocarray(list->items, list->n + 1, sizeof(block));
	if (!grown)
		return -ENOMEM;
	list->items = grown;
	*ret = list->n;
	list->items[list->n++] = block;
	return 1;
}

static bool block_list_has(const struct block_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i].name, name) == 0)
			return true;
	return false;
}

static int add_block(struct block_list *list, const char *name, size_t under, unsigned depth);

/*
 * losetup /dev/loop0 /dev/sda claims nothing and has no holder. What the loop
 * device's file is, is told by its name as the kernel would print it; only
 * names below /dev are looked at, so that no dead network file system is.
 */
static int add_loops(struct block_list *list, size_t under, unsigned depth)
{
	dev_t number = makedev(list->items[under].major, list->items[under].minor);
	int r = 0;

	for (char **name = list->names; r >= 0 && name && *name; name++) {
		_cleanup_free_ char *path = NULL;
		_cleanup_free_ char *file = NULL;
		struct stat st;

		if (strncmp(*name, "loop", strlen("loop")) != 0)
			continue;
		path = strf("%s/class/block/%s/loop/backing_file", sysfs_root, *name);
		if (!path)
			return -ENOMEM;
		if (sysfs_read_attribute_at(AT_FDCWD, path, &file) < 0 || !is_node_path(file))
			continue;
		if (stat(file, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == number)
			r = add_block(list, *name, under, depth + 1);
	}
	return r;
}

/* What is stacked on one device of the list. */
static int add_holders(struct block_list *list, int dirfd, const char *directory, size_t under, unsigned depth)
{
	_cleanup_free_ char *path = strf("%s/holders", directory);
	_cleanup_strv_ char **holders = NULL;
	int r;

	if (!path)
		return -ENOMEM;
	r = sysfs_list_names_at(dirfd, path, &holders);
	if (r == -ENOENT)
		r = 0;
	for (char **holder = holders; r >= 0 && holder && *holder; holder++)
		r = add_block(list, *holder, under, depth + 1);
	return r < 0 ? r : add_loops(list, under, depth);
}

static int add_partitions(struct block_list *list, int dirfd, size_t disk, unsigned depth)
{
	_cleanup_strv_ char **children = NULL;
	int r;

	r = sysfs_list_names_at(dirfd, ".", &children);
	for (char **child = children; r >= 0 && child && *child; child++) {
		_cleanup_free_ char *partition = strf("%s/partition", *child);
		struct sysfs_block block = { .partition = true, .stacked = list->items[disk].stacked, .under = disk };
		size_t index;

		if (!partition)
			return -ENOMEM;
		if (faccessat(dirfd, partition, F_OK, 0) < 0)
			continue;
		r = block_list_add(list, dirfd, *child, *child, block, &index);
		if (r > 0)
			r = add_holders(list, dirfd, *child, index, depth);
	}
	return r;
}

/* One disk by its name below /sys/class/block: itself, its partitions, and whatever is stacked on any of them. */
static int add_block(struct block_list *list, const char *name, size_t under, unsigned depth)
{
	_cleanup_free_ char *path = strf("%s/class/block/%s", sysfs_root, name);
	struct sysfs_block block = { .stacked = under != SYSFS_BLOCK_NONE, .under = under };
	_cleanup_close_ int fd = -1;
	size_t index;
	int r;

	if (!path)
		return -ENOMEM;
	if (depth > STACK_DEPTH_MAX)
		return -ELOOP;
	/* A RAID over two partitions of one disk is met twice. */
	if (block_list_has(list, name))
		return 0;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = block_list_add(list, fd, ".", name, block, &index);
	if (r > 0 && (r = add_holders(list, fd, ".", index, depth)) >= 0)
		r = add_partitions(list, fd, index, depth);
	return r;
}

/*
 * With native NVMe multipath the controller carries hidden paths (nvme0c0n1),
 * and what people mount is the head that all paths share (nvme0n1).
 */
static char *multipath_head(const char *name)
{
	unsigned subsystem, controller, namespace;
	int end = 0;

	if (sscanf(name, "nvme%uc%un%u%n", &subsystem, &controller, &namespace, &end) != 3 || name[end])
		return NULL;
	return strf("nvme%un%u", subsystem, namespace);
}

int sysfs_block_below(const char *address, struct sysfs_block **ret, size_t *ret_n)
{
	_cleanup_free_ char *link = sysfs_device_path(address, "");
	_cleanup_free_ char *class = strf("%s/class/block", sysfs_root);
	_cleanup_free_ char *device = NULL;
	_cleanup_list_ struct block_list list = {};
	size_t length;
	int r;

	if (!link || !class)
		return -ENOMEM;
	device = realpath(link, NULL);
	if (!device)
		return errno == ENOENT ? -ENODEV : -errno;
	length = strlen(device);
	r = sysfs_list_names_at(AT_FDCWD, class, &list.names);
	if (r == -ENOENT)
		r = 0;
	strv_sort(list.names);
	for (char **name = list.names; name && *name && r >= 0; name++) {
		_cleanup_free_ char *entry = strf("%s/%s", class, *name);
		_cleanup_free_ char *partition = strf("%s/%s/partition", class, *name);
		_cleanup_free_ char *real = NULL;
		_cleanup_free_ char *head = NULL;

		if (!entry || !partition)
			return -ENOMEM;
		real = realpath(entry, NULL);
		if (!real || strncmp(real, device, length) != 0 || real[length] != '/')
			continue;
		if (access(partition, F_OK) == 0) /* comes with its disk */
			continue;
		head = multipath_head(*name);
		r = add_block(&list, head ? head : *name, SYSFS_BLOCK_NONE, 0);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(list.items);
	*ret_n = list.n;
	return 0;
}

int sysfs_btrfs_devices(const char *name, struct sysfs_block **ret, size_t *ret_n)
{
	_cleanup_free_ char *root = strf("%s/fs/btrfs", sysfs_root);
	_cleanup_strv_ char **systems = NULL;
	_cleanup_list_ struct block_list list = {};
	int r;

	if (!root)
		return -ENOMEM;
	r = sysfs_list_names_at(AT_FDCWD, root, &systems);
	if (r == -ENOENT)
		r = 0;
	for (char **system = systems; r >= 0 && system && *system; system++) {
		_cleanup_free_ char *path = strf("%s/%s/devices", root, *system);
		_cleanup_strv_ char **devices = NULL;

		if (!path)
			return -ENOMEM;
		/* "features" and "debug" stand beside the file systems. */
		if (sysfs_list_names_at(AT_FDCWD, path, &devices) < 0 || !strv_contains(devices, name))
			continue;
		for (char **device = devices; r >= 0 && *device; device++) {
			_cleanup_free_ char *directory = strf("%s/%s", path, *device);
			size_t index;

			if (!directory)
				return -ENOMEM;
			r = block_list_add(&list, AT_FDCWD, directory, *device,
					   (struct sysfs_block){ .under = SYSFS_BLOCK_NONE }, &index);
		}
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(list.items);
	*ret_n = list.n;
	return 0;
}
