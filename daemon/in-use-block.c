/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <libudev.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemon/in-use-sources.h"
#include "daemon/proc-text.h"

#define PROC_MAX (16 << 20)

/*
 * Somebody else who only looks (another worker of ours, mdadm, blkid) has a
 * disk exclusively for a moment: a quarter of a second, all in all.
 */
#define CLAIM_TRIES 6
#define CLAIM_USEC (50 * 1000)

struct facts {
	struct mount_line *mounts;
	size_t n_mounts;
	char *mountinfo; /* what the mounts point into */
	dev_t *swaps;
	size_t n_swaps;
	const struct sysfs_block *blocks;
	size_t n_blocks;
	bool *used; /* per block device: something was said of it, or of what is stacked on it */
};

static void facts_done(struct facts *facts)
{
	free(facts->mounts);
	free(facts->mountinfo);
	free(facts->swaps);
	free(facts->used);
}

/*
 * PID 1's view of mounts: the daemon's own mount namespace may hide some.
 * Those of other namespaces are found by the claim that they are, too.
 */
int in_use_mounts(char **ret_text, struct mount_line **ret, size_t *ret_n)
{
	_cleanup_free_ char *path = strf("%s/1/mountinfo", in_use_proc);
	_cleanup_free_ char *text = NULL;
	int r;

	if (!path)
		return -ENOMEM;
	r = read_file_at(AT_FDCWD, path, PROC_MAX, &text);
	if (r >= 0)
		r = mountinfo_parse(text, ret, ret_n);
	if (r >= 0)
		*ret_text = TAKE_PTR(text);
	return r;
}

/* Only below /dev: a stat elsewhere may wait for a file server. What swaps to a file has it on a file system. */
static bool block_number(const char *path, dev_t *ret)
{
	struct stat st;

	if (!is_node_path(path) || stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	*ret = st.st_rdev;
	return true;
}

static int read_swaps(struct facts *facts)
{
	_cleanup_free_ char *path = strf("%s/swaps", in_use_proc);
	_cleanup_free_ char *text = NULL;
	const char *swap;
	char *next;
	int r;

	if (!path)
		return -ENOMEM;
	r = read_file_at(AT_FDCWD, path, PROC_MAX, &text);
	if (r < 0)
		return r == -ENOENT ? 0 : r; /* a kernel without swap */
	next = text;
	while ((swap = swaps_next(&next))) {
		dev_t *grown = reallocarray(facts->swaps, facts->n_swaps + 1, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		facts->swaps = grown;
		facts->n_swaps += block_number(swap, &facts->swaps[facts->n_swaps]);
	}
	return 0;
}

/* bcachefs names all of its devices: /dev/sda:/dev/sdb */
static bool source_has(const char *source, dev_t number)
{
	_cleanup_free_ char *copy = NULL;
	char *next, *part;
	dev_t found;

	if (block_number(source, &found))
		return found == number;
	next = copy = strdup(source);
	while (copy && (part = strsep(&next, ":")))
		if (block_number(part, &found) && found == number)
			return true;
	return false;
}

/* A file system of several devices has a number of its own, and names one of them as its source. */
static bool is_mounted_from(const struct mount_line *mount, const struct sysfs_block *block)
{
	if (mount->major)
		return mount->major == block->major && mount->minor == block->minor;
	return source_has(mount->source, makedev(block->major, block->minor));
}

/* The shortest way in is what people know best; bind mounts and subvolumes are the others. */
static const struct mount_line *find_mount(const struct facts *facts, const struct sysfs_block *block)
{
	const struct mount_line *best = NULL;

	for (size_t i = 0; i < facts->n_mounts; i++)
		if (is_mounted_from(&facts->mounts[i], block) &&
		    (!best || strlen(facts->mounts[i].point) < strlen(best->point)))
			best = &facts->mounts[i];
	return best;
}

static int add_use(struct facts *facts, size_t index, enum use_kind kind, const char *predicate, struct uses *uses)
{
	const struct sysfs_block *blocks = facts->blocks;
	_cleanup_free_ char *text = strf("%s", predicate);
	bool first = true;
	size_t i = index;

	/* From the top down: "vg-root, which is mounted on /", until a disk or partition is reached. */
	while (text && blocks[i].stacked) {
		char *longer = first ? strf("%s%s%s", blocks[i].label, *text ? ", which " : "", text) :
				       strf("%s, that by %s", blocks[i].label, text);

		free(text);
		text = longer;
		first = false;
		/* Of a partition, the disk is not worth a word. */
		if (blocks[i].partition)
			i = blocks[i].under;
		i = blocks[i].under;
	}
	for (size_t j = index; j != SYSFS_BLOCK_NONE; j = blocks[j].under)
		facts->used[j] = true;
	if (!text)
		return -ENOMEM;
	return uses_add(uses, kind, strf("%s %s%s", blocks[i].name, first ? "" : "is used by ", text));
}

static int add_mount(struct facts *facts, size_t index, const struct mount_line *mount, struct uses *uses)
{
	_cleanup_free_ char *text = strf("is mounted on %s", mount->point);

	if (!text)
		return -ENOMEM;
	return add_use(facts, index, strcmp(mount->point, "/") == 0 ? USE_ROOT : USE_MOUNT, text, uses);
}

/* A device of a btrfs file system that is mounted by the name of another one of its devices. */
static int add_btrfs(struct facts *facts, size_t index, struct uses *uses)
{
	_cleanup_free_ struct sysfs_block *peers = NULL;
	_cleanup_free_ char *text = NULL;
	const struct mount_line *mount = NULL;
	size_t n = 0;
	int r;

	r = sysfs_btrfs_devices(facts->blocks[index].name, &peers, &n);
	if (r < 0)
		return uses_unknown(uses, r, "cannot tell of which file system %s is", facts->blocks[index].name);
	for (size_t i = 0; i < n && !mount; i++)
		mount = find_mount(facts, &peers[i]);
	if (n == 0)
		return 0;
	/* The kernel knows those that are mounted, in whichever namespace. */
	text = mount ? strf("is part of the btrfs file system mounted on %s", mount->point) :
		       strdup("is part of a mounted btrfs file system");
	if (!text)
		return -ENOMEM;
	return add_use(facts, index, mount && strcmp(mount->point, "/") == 0 ? USE_ROOT : USE_MOUNT, text, uses);
}

static bool is_swap(const struct facts *facts, const struct sysfs_block *block)
{
	for (size_t i = 0; i < facts->n_swaps; i++)
		if (facts->swaps[i] == makedev(block->major, block->minor))
			return true;
	return false;
}

static int look_at(struct facts *facts, size_t index, struct uses *uses)
{
	const struct sysfs_block *block = &facts->blocks[index];
	const struct mount_line *mount = find_mount(facts, block);
	int r = 0;

	if (mount)
		r = add_mount(facts, index, mount, uses);
	else if (is_swap(facts, block))
		r = add_use(facts, index, USE_SWAP, "is used for swap", uses);
	else
		r = add_btrfs(facts, index, uses);
	return r;
}

int in_use_block(const struct sysfs_block *blocks, size_t n, struct uses *uses)
{
	_cleanup_(facts_done) struct facts facts = { .blocks = blocks, .n_blocks = n };
	int r;

	if (n == 0)
		return 0;
	facts.used = calloc(n, sizeof(*facts.used));
	if (!facts.used)
		return -ENOMEM;
	r = in_use_mounts(&facts.mountinfo, &facts.mounts, &facts.n_mounts);
	if (r < 0)
		uses_unknown(uses, r, "cannot tell what is mounted");
	r = read_swaps(&facts);
	if (r < 0)
		uses_unknown(uses, r, "cannot tell what is used for swap");
	r = 0;
	for (size_t i = 0; i < n && r >= 0; i++)
		r = look_at(&facts, i, uses);
	/* What is stacked is after what it stands on: from the end, so that only the topmost is named. */
	for (size_t i = n; i-- > 0 && r >= 0;)
		if (blocks[i].stacked && !facts.used[i])
			r = add_use(&facts, i, USE_STACKED, "", uses);
	return r;
}

/* What udev has found on it, as " (it carries zfs_member tank)", or "". */
static char *describe_content(const struct sysfs_block *block)
{
	struct udev *udev = udev_new();
	struct udev_device *device =
		udev ? udev_device_new_from_devnum(udev, 'b', makedev(block->major, block->minor)) : NULL;
	const char *type = device ? udev_device_get_property_value(device, "ID_FS_TYPE") : NULL;
	const char *label = device ? udev_device_get_property_value(device, "ID_FS_LABEL") : NULL;
	char *text = type ? strf(" (it carries %s%s%s)", type, label ? " " : "", strempty(label)) : strdup("");

	udev_device_unref(device);
	udev_unref(udev);
	return text;
}

/*
 * File systems (in every namespace), swap, dm, md, bcache and ZFS all claim the
 * device exclusively (bd_prepare_to_claim() in block/bdev.c), and so find us
 * out. A claim of a partition is one of its disk, too.
 */
static int try_claim(const char *path)
{
	_cleanup_close_ int fd = -1;

	for (unsigned i = 0; i < CLAIM_TRIES; i++) {
		fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
		if (fd >= 0 || errno != EBUSY)
			break;
		usleep(CLAIM_USEC);
	}
	if (fd >= 0)
		return 0;
	return errno == ENOENT || errno == ENXIO || errno == ENODEV || errno == ENOMEDIUM ? 0 : -errno;
}

int in_use_claimed(const struct sysfs_block *blocks, size_t n, struct uses *uses)
{
	/* From the end, and only the first: partitions, which are named rather than their disk, come after it. */
	for (size_t i = n; i-- > 0;) {
		_cleanup_free_ char *path = strf("/dev/%s", blocks[i].name);
		_cleanup_free_ char *content = NULL;
		int r;

		if (!path)
			return -ENOMEM;
		/* The kernel's name has '!' where the node has a folder (cciss!c0d0). */
		for (char *c = path; *c; c++)
			if (*c == '!')
				*c = '/';
		r = try_claim(path);
		if (r < 0 && r != -EBUSY)
			uses_unknown(uses, r, "cannot tell who has %s", path);
		if (r != -EBUSY)
			continue;
		content = describe_content(&blocks[i]);
		if (!content)
			return -ENOMEM;
		return uses_add(uses, USE_CLAIMED,
				strf("%s is held by another file system, volume or program%s", blocks[i].label,
				     content));
	}
	return 0;
}
