/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/in-use.h"
#include "daemon/in-use-sources.h"
#include "daemon/net-use.h"
#include "daemon/proc-text.h"
#include "daemon/sysfs.h"
#include "daemon/user.h"
#include "tests/unit/fake-sysfs.h"

#define DISK "0000:01:00.0"
#define PLACE "devices/pci0000:00/0000:00:1c.0/" DISK
#define NAMESPACE PLACE "/nvme/nvme0/nvme0n1"

START_TEST(octal)
{
	static const struct {
		const char *in, *out;
	} table[] = {
		{ "plain", "plain" }, { "a\\040b", "a b" }, { "\\134\\011\\012", "\\\t\n" },
		{ "\\", "\\" },	      { "\\04", "\\04" },   { "\\048", "\\048" },
		{ "\\400", "\\400" }, { "", "" },	    { "a\\000b", "a\\000b" },
		{ "\\\\040", "\\ " },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s", table[i].in);
		unescape_octal(text);
		ck_assert_str_eq(text, table[i].out);
	}
}
END_TEST

/* Whoever may mount with FUSE chooses what is mounted from where, and may make a file server of it. */
START_TEST(node_paths)
{
	static const struct {
		const char *path;
		bool node;
	} table[] = {
		{ "/dev/sda1", true },
		{ "/dev/mapper/vg-root", true },
		{ "/dev/..data", true },
		{ "/dev/shm/mnt/sda", false },
		{ "/dev/mqueue/x", false },
		{ "/dev/../home/me/mnt/x", false },
		{ "/dev/x/../../mnt/x", false },
		{ "/home/me/mnt/dev/sda", false },
		{ "server:/dev/sda", false },
		{ "dev/sda", false },
		{ "/dev", false },
		{ "", false },
		{ "/dev//shm/x", false },
		{ "/dev/./shm/x", false },
		{ "/dev/x//y", false },
		{ "//dev/shm/x", false },
		{ "/dev/.x/y./z", true },
		{ "/./dev/shm/x", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		ck_assert_msg(is_node_path(table[i].path) == table[i].node, "'%s'", table[i].path);
}
END_TEST

START_TEST(mountinfo)
{
	char text[] = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
		      "37 35 0:44 /@ /home rw - btrfs /dev/nvme0n1p2 rw\n"
		      "38 35 259:2 / /a rw shared:1 master:2 propagate_from:3 unbindable - xfs /dev/a\\040b rw\n"
		      "39 35 0:50 / /b rw - tmpfs  rw\n"
		      "40 35 0:51 / /c rw - nfs server:/export rw";
	struct mount_line *lines;
	size_t n;

	ck_assert_int_eq(mountinfo_parse(text, &lines, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_uint_eq(lines[0].major, 98);
	ck_assert_str_eq(lines[0].point, "/mnt 2");
	ck_assert_str_eq(lines[0].type, "ext3");
	ck_assert_str_eq(lines[0].source, "/dev/root");
	ck_assert_uint_eq(lines[1].major, 0);
	ck_assert_uint_eq(lines[1].minor, 44);
	ck_assert_str_eq(lines[1].source, "/dev/nvme0n1p2");
	ck_assert_str_eq(lines[2].source, "/dev/a b");
	ck_assert_str_eq(lines[3].source, "");
	ck_assert_str_eq(lines[4].source, "server:/export");
	free(lines);
}
END_TEST

/* Nothing but the kernel writes it; what is not as it should be is left out, and what is right beside it is seen. */
START_TEST(mountinfo_garbage)
{
	static const char *const lines[] = {
		"",
		" ",
		"-",
		"36",
		"36 35",
		"36 35 98:0",
		"36 35 98:0 /",
		"36 35 98:0 / /mnt",
		"36 35 98:0 / /mnt rw",
		"36 35 98:0 / /mnt rw - ext3",
		"36 35 98:0 / /mnt rw ext3 /dev/sda rw",
		"36 35 98 / /mnt rw - ext3 /dev/sda rw",
		"36 35 98:0x / /mnt rw - ext3 /dev/sda rw",
		"36 35 -1:0 / /mnt rw - ext3 /dev/sda rw",
		"36 35 98:0 / mnt rw - ext3 /dev/sda rw",
		"36 35 : / /mnt rw - ext3 /dev/sda rw",
		"36 35  98:0 / /mnt rw - ext3 /dev/sda rw",
		"\t\t\t\t\t\t\t",
		"- - - - - - - - - -",
		"\\040\\040\\040",
		"\xff\xfe\xfd \xff \xff:\xff / / - - - -",
	};
	static const char good[] = "36 35 98:0 / /mnt rw - ext3 /dev/sda rw";

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		_cleanup_free_ char *text = strf("%s\n%s\n%s", lines[i], good, lines[i]);
		struct mount_line *found;
		size_t n;

		ck_assert_int_eq(mountinfo_parse(text, &found, &n), 0);
		ck_assert_msg(n == 1, "'%s' was taken", lines[i]);
		ck_assert_str_eq(found[0].point, "/mnt");
		free(found);
	}
}
END_TEST

START_TEST(swaps)
{
	char text[] = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
		      "/dev/dm-1                               partition\t1000\t\t0\t\t-2\n"
		      "garbage\n/alone\n"
		      "/a\\040file                              file\t\t1000\t\t0\t\t-3\n";
	char *next = text;

	ck_assert_str_eq(swaps_next(&next), "/dev/dm-1");
	ck_assert_str_eq(swaps_next(&next), "/a file");
	ck_assert_ptr_null(swaps_next(&next));
	ck_assert_ptr_null(swaps_next(&next));
}
END_TEST

START_TEST(consoles)
{
	char text[] = "tty0                 -WU (EC  p  )    4:7\n"
		      "netcon0              -W- (E      )\n"
		      "garbage\n 1:2\n4:\n"
		      "ttyS0                -W- (EC a  )    4:64\n";
	unsigned major, minor;
	const char *name;
	char *next = text;

	ck_assert(consoles_next(&next, &name, &major, &minor));
	ck_assert_str_eq(name, "tty0");
	ck_assert_uint_eq(minor, 7);
	ck_assert(consoles_next(&next, &name, &major, &minor));
	ck_assert_str_eq(name, "ttyS0");
	ck_assert_uint_eq(major, 4);
	ck_assert_uint_eq(minor, 64);
	ck_assert(!consoles_next(&next, &name, &major, &minor));
}
END_TEST

START_TEST(pppoe)
{
	char text[] = "Id       Address              Device\n"
		      "00000100 52:54:00:12:34:56     eth0\n"
		      "\n00000100\n00000100 \n00000100 52:54:00:12:34:56\n00000100 52:54:00:12:34:56 \n"
		      "00000100 52:54:00:12:34 eth9\n 52:54:00:12:34:56 eth8\nxyz 52:54:00:12:34:56 eth7\n"
		      "0000FF00 52:54:00:12:34:56 wan.long-name5";
	char *next = text;

	ck_assert_str_eq(pppoe_next(&next), "eth0");
	ck_assert_str_eq(pppoe_next(&next), "wan.long-name5");
	ck_assert_ptr_null(pppoe_next(&next));
	ck_assert_ptr_null(pppoe_next(&next));
}
END_TEST

/* A disk with a partition, and on that one a volume. */
static void fake_disk(void)
{
	fake_group(5, "DMA");
	fake_driver("nvme");
	fake_device(DISK, 5, "nvme");
	fake_file("259:0\n", NAMESPACE "/dev");
	fake_file("MAJOR=259\nMINOR=0\nDEVNAME=nvme0n1\nDEVTYPE=disk\n", NAMESPACE "/uevent");
	fake_file("259:1\n", NAMESPACE "/nvme0n1p1/dev");
	fake_file("MAJOR=259\nMINOR=1\nDEVNAME=nvme0n1p1\nDEVTYPE=partition\n", NAMESPACE "/nvme0n1p1/uevent");
	fake_file("1\n", NAMESPACE "/nvme0n1p1/partition");
	fake_link(NAMESPACE, "class/block/nvme0n1");
	fake_link(NAMESPACE "/nvme0n1p1", "class/block/nvme0n1p1");
	fake_file("8:0\n", "devices/pci0000:00/0000:00:1f.2/block/sda/dev");
	fake_link("devices/pci0000:00/0000:00:1f.2/block/sda", "class/block/sda");
}

static void fake_stacked(const char *name, const char *number, const char *label, const char *on)
{
	_cleanup_free_ char *path = strf("devices/virtual/block/%s", name);

	fake_file(number, "%s/dev", path);
	if (label)
		fake_file(label, "%s/dm/name", path);
	fake_link(path, "class/block/%s", name);
	fake_file("", "%s/holders/%s", on, name);
}

START_TEST(blocks_below)
{
	struct sysfs_block *blocks;
	size_t n;

	fake_disk();
	fake_stacked("dm-0", "253:0\n", "vg-root\n", NAMESPACE "/nvme0n1p1");
	/* A second way to the same volume is no second volume. */
	fake_file("", NAMESPACE "/holders/dm-0");
	fake_file("", "devices/virtual/block/dm-0/holders/dm-0");
	ck_assert_int_eq(sysfs_block_below(DISK, &blocks, &n), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(blocks[0].name, "nvme0n1");
	ck_assert(!blocks[0].stacked && !blocks[0].partition && blocks[0].under == SYSFS_BLOCK_NONE);
	ck_assert_str_eq(blocks[1].name, "dm-0");
	ck_assert_str_eq(blocks[1].label, "vg-root");
	ck_assert_uint_eq(blocks[1].major, 253);
	ck_assert(blocks[1].stacked && blocks[1].under == 0);
	ck_assert_str_eq(blocks[2].name, "nvme0n1p1");
	ck_assert(blocks[2].partition && !blocks[2].stacked && blocks[2].under == 0);
	free(blocks);
	ck_assert_int_eq(sysfs_block_below("0000:09:00.0", &blocks, &n), -ENODEV);
}
END_TEST

/* With native multipath the path below the controller is hidden, and what counts is the head. */
START_TEST(blocks_multipath)
{
	struct sysfs_block *blocks;
	size_t n;

	fake_group(5, "DMA");
	fake_device(DISK, 5, NULL);
	fake_file("1\n", PLACE "/nvme/nvme0/nvme0c0n1/hidden");
	fake_link(PLACE "/nvme/nvme0/nvme0c0n1", "class/block/nvme0c0n1");
	fake_file("259:3\n", "devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/dev");
	fake_link("devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", "class/block/nvme0n1");
	ck_assert_int_eq(sysfs_block_below(DISK, &blocks, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(blocks[0].name, "nvme0n1");
	free(blocks);
}
END_TEST

START_TEST(btrfs_devices)
{
	struct sysfs_block *blocks;
	size_t n;

	fake_disk();
	fake_file("0\n", "fs/btrfs/features/raid56");
	fake_link(NAMESPACE, "fs/btrfs/1-2-3/devices/nvme0n1");
	fake_link("devices/pci0000:00/0000:00:1f.2/block/sda", "fs/btrfs/1-2-3/devices/sda");
	ck_assert_int_eq(sysfs_btrfs_devices("sda", &blocks, &n), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(blocks[0].major + blocks[1].major, 259 + 8);
	free(blocks);
	ck_assert_int_eq(sysfs_btrfs_devices("nvme0n1p1", &blocks, &n), 0);
	ck_assert_uint_eq(n, 0);
	free(blocks);
}
END_TEST

static char *proc;

static void fake_proc(const char *mounts)
{
	fake_file(mounts, "proc/1/mountinfo");
	fake_file("Filename Type Size Used Priority\n", "proc/swaps");
	free(proc);
	proc = strf("%s/proc", fake_sysfs_root());
	in_use_set_proc(proc);
}

static void check_in_use(const char *expected)
{
	char *why;
	int r = in_use(DISK, &why);

	if (expected) {
		ck_assert_msg(r == 1 && why, "%d %s", r, strempty(why));
		ck_assert_str_eq(why, expected);
	} else {
		ck_assert_msg(r == 0 && !why, "%d %s", r, strempty(why));
	}
	free(why);
}

START_TEST(block_reasons)
{
	fake_disk();
	fake_proc("36 35 8:0 / / rw - ext4 /dev/sda rw\n"
		  "37 35 259:1 / /srv/a\\040disk/bind rw - ext4 /dev/x rw\n"
		  "37 35 259:1 / /srv/a\\040disk rw - ext4 /dev/x rw\n");
	check_in_use("nvme0n1p1 is mounted on /srv/a disk");
	fake_stacked("dm-0", "253:0\n", "vg-root\n", NAMESPACE "/nvme0n1p1");
	fake_proc("36 35 253:0 / / rw - ext4 /dev/mapper/vg-root rw\n");
	check_in_use("nvme0n1p1 is used by vg-root, which is mounted on /");
	fake_stacked("dm-1", "253:1\n", "vg-data\n", NAMESPACE "/nvme0n1p1");
	check_in_use("nvme0n1p1 is used by vg-root, which is mounted on /, and 1 more");
	/* Two floors up, and a partition there. */
	fake_stacked("md0", "9:0\n", NULL, "devices/virtual/block/dm-1");
	fake_file("259:9\n", "devices/virtual/block/md0/md0p1/dev");
	fake_file("1\n", "devices/virtual/block/md0/md0p1/partition");
	fake_proc("36 35 259:9 / /mnt rw - ext4 /dev/md0p1 rw\n36 35 253:0 / / rw - ext4 /dev/x rw\n");
	check_in_use("nvme0n1p1 is used by vg-root, which is mounted on /, and 1 more");
	fake_proc("36 35 259:9 / /mnt rw - ext4 /dev/md0p1 rw\n");
	check_in_use("nvme0n1p1 is used by vg-data, that by md0p1, which is mounted on /mnt, and 1 more");
	fake_proc("");
	check_in_use("nvme0n1p1 is used by vg-data, that by md0p1, and 1 more");
}
END_TEST

START_TEST(below)
{
	struct sysfs_below b;
	struct stat st;
	_cleanup_free_ char *net = strf("%s/" PLACE "/net", fake_sysfs_root());

	fake_disk();
	fake_file("4\n", PLACE "/sriov_numvfs");
	fake_file("226:0\n", PLACE "/drm/card0/dev");
	fake_file("MAJOR=226\nMINOR=0\nDEVNAME=dri/card0\nDEVTYPE=drm_minor\n", PLACE "/drm/card0/uevent");
	fake_file("no number\n", PLACE "/odd/dev");
	fake_file("1:3\n", PLACE "/power/dev");
	/* Links lead elsewhere. */
	fake_file("1:3\n", "class/other/dev");
	fake_link("class/other", PLACE "/subsystem");
	fake_file("2\n", PLACE "/net/eth0/ifindex");
	fake_file("3\n", PLACE "/net/eth1/ifindex");
	ck_assert_int_eq(sysfs_read_below(DISK, &b), 0);
	ck_assert_uint_eq(b.n_virtual_functions, 4);
	ck_assert_uint_eq(b.n_interfaces, 2);
	ck_assert_uint_eq(b.n_hidden, 0);
	ck_assert_int_eq(b.interfaces[0].index + b.interfaces[1].index, 5);
	ck_assert_uint_eq(b.n_nodes, 3);
	for (size_t i = 0; i < b.n_nodes; i++) {
		ck_assert_int_eq(b.nodes[i].block, b.nodes[i].major == 259);
		if (!b.nodes[i].block) {
			ck_assert_str_eq(b.nodes[i].name, "card0");
			ck_assert_str_eq(b.nodes[i].path, "dri/card0");
		}
	}
	sysfs_below_clear(&b);
	/* What is counted and not shown; not every file system of a test counts folders. */
	ck_assert_int_eq(stat(net, &st), 0);
	if (st.st_nlink == 4) {
		fake_file("", PLACE "/net/.other/x");
		ck_assert_int_eq(sysfs_read_below(DISK, &b), 0);
		ck_assert_uint_eq(b.n_hidden, 1);
		sysfs_below_clear(&b);
	}
	ck_assert_int_eq(sysfs_read_below("0000:09:00.0", &b), -ENODEV);
}
END_TEST

START_TEST(below_deep)
{
	char path[2048] = PLACE;
	struct sysfs_below b;

	fake_disk();
	for (int i = 0; i < 100; i++)
		strcat(path, "/d");
	fake_file("1:3\n", "%s/dev", path);
	ck_assert_int_eq(sysfs_read_below(DISK, &b), -E2BIG);
	sysfs_below_clear(&b);
}
END_TEST

/* A process of the fake /proc with one descriptor. */
static void fake_process(const char *pid, const char *name, const char *cgroup, const char *target)
{
	_cleanup_free_ char *path = strf("%s/proc/%s/fd/3", fake_sysfs_root(), pid);

	fake_file(name, "proc/%s/comm", pid);
	fake_file(cgroup, "proc/%s/cgroup", pid);
	fake_file("", "proc/%s/fd/.keep", pid);
	ck_assert_int_eq(symlink(target, path), 0);
}

START_TEST(open_nodes)
{
	fake_disk();
	fake_proc("");
	fake_file("1:3\n", PLACE "/mem/null/dev");
	fake_file("MAJOR=1\nMINOR=3\nDEVNAME=null\n", PLACE "/mem/null/uevent");
	fake_process("7", "sleep\n", "0::/\n", "/dev/zero");
	fake_process("8", "sleep\n", "0::/\n", "/dev/missing");
	fake_process("9", "sleep\n", "0::/\n", "socket:[1]");
	fake_process("10", "blkid\n", "0::/system.slice/systemd-udevd.service/udev\n", "/dev/null");
	fake_process("11", "(udev-worker)\n", "0::/\n", "/dev/null");
	fake_process("self", "sleep\n", "0::/\n", "/dev/null");
	check_in_use(NULL);
	fake_process("12", "Xorg\n", "0::/user.slice\n", "/dev/null");
	check_in_use("null is open in Xorg (pid 12)");
}
END_TEST

/* Of what a card's driver offers to programs, they have the group's node, and nothing below the card has it. */
START_TEST(mediated)
{
	struct sysfs_below b;

	fake_disk();
	fake_proc("");
	fake_group(9, "DMA");
	fake_group(10, "DMA");
	fake_link("kernel/iommu_groups/9", PLACE "/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001/iommu_group");
	fake_link("kernel/iommu_groups/9", PLACE "/83b8f4f2-509f-382f-3c1e-e6bfe0fa1002/iommu_group");
	fake_link("kernel/iommu_groups/10", PLACE "/83b8f4f2-509f-382f-3c1e-e6bfe0fa1003/iommu_group");
	fake_file("1:3\n", "class/vfio/9/dev");
	fake_file("MAJOR=1\nMINOR=3\nDEVNAME=vfio/9\n", "class/vfio/9/uevent");
	/* The device's own is asked for by others, and first. */
	fake_file("1:5\n", "class/vfio/5/dev");
	fake_file("MAJOR=1\nMINOR=5\nDEVNAME=vfio/5\n", "class/vfio/5/uevent");
	ck_assert_int_eq(sysfs_read_below(DISK, &b), 0);
	ck_assert_uint_eq(b.n_nodes, 3);
	ck_assert_str_eq(b.nodes[2].path, "vfio/9");
	sysfs_below_clear(&b);
	fake_process("8", "qemu\n", "0::/\n", "/dev/zero");
	check_in_use(NULL);
	fake_process("9", "qemu\n", "0::/\n", "/dev/null");
	check_in_use("vfio/9 is open in qemu (pid 9)");
}
END_TEST

/* What of a process cannot even be entered may have anything open. */
START_TEST(process_unknown)
{
	char *why;

	fake_disk();
	fake_proc("");
	fake_file("", "proc/14");
	ck_assert_int_eq(in_use(DISK, &why), -ENOTDIR);
	ck_assert_str_eq(why, "cannot look at what a program (pid 14) has open: Not a directory");
	free(why);
}
END_TEST

/* Who has the device's group 7 by VFIO; NULL: nobody. */
static struct user check_user(const char *expected)
{
	const char *const addresses[] = { DISK };
	struct user user;
	char *text;
	int r = user_find(7, addresses, 1, &user, &text);

	if (expected) {
		ck_assert_msg(r == 1 && text, "%d %s", r, strempty(text));
		ck_assert_str_eq(text, expected);
		ck_assert(user_is_there(&user));
	} else {
		ck_assert_msg(r == 0 && !text, "%d %s", r, strempty(text));
		ck_assert(!user_is_there(&user));
	}
	free(text);
	return user;
}

static void fake_descriptor(const char *pid, unsigned fd, const char *target)
{
	_cleanup_free_ char *path = strf("%s/proc/%s/fd/%u", fake_sysfs_root(), pid, fd);

	ck_assert_int_eq(symlink(target, path), 0);
}

/* The node of the group is /dev/null, and that of another group /dev/zero. */
START_TEST(vfio)
{
	struct user user;
	_cleanup_free_ char *path = NULL;

	fake_disk();
	fake_proc("");
	fake_process("8", "qemu\n", "0::/\n", "/dev/null");
	/* No driver of VFIO has any of the group, and so nobody is looked for. */
	check_user(NULL);
	fake_file("1:3\n", "class/vfio/7/dev");
	fake_file("MAJOR=1\nMINOR=3\nDEVNAME=vfio/7\n", "class/vfio/7/uevent");
	user = check_user("qemu (pid 8) has /dev/vfio/7 open");
	ck_assert_int_eq(user.pid, 8);
	ck_assert_int_eq(user.fd, 3);
	path = strf("%s/proc/8/fd/3", fake_sysfs_root());
	ck_assert_int_eq(unlink(path), 0);
	ck_assert(!user_is_there(&user));
	check_user(NULL);
	/* The number is another file's by now. */
	fake_descriptor("8", 3, "/dev/zero");
	ck_assert(!user_is_there(&user));
	check_user(NULL);
}
END_TEST

START_TEST(vfio_device)
{
	fake_disk();
	fake_proc("");
	fake_file("1:5\n", PLACE "/vfio-dev/vfio0/dev");
	fake_file("MAJOR=1\nMINOR=5\nDEVNAME=vfio/devices/vfio0\n", PLACE "/vfio-dev/vfio0/uevent");
	fake_process("8", "qemu\n", "0::/\n", "/dev/null");
	check_user(NULL);
	fake_descriptor("8", 4, "/dev/zero");
	check_user("qemu (pid 8) has /dev/vfio/devices/vfio0 open");
}
END_TEST

/* A device that was asked for through a group, and no node by which it could be known. */
START_TEST(vfio_anonymous)
{
	fake_disk();
	fake_proc("");
	fake_file("1:3\n", "class/vfio/7/dev");
	fake_file("MAJOR=1\nMINOR=3\nDEVNAME=vfio/7\n", "class/vfio/7/uevent");
	fake_process("8", "other\n", "0::/\n", "anon_inode:[vfio-device]");
	fake_descriptor("8", 4, "/dev/vfio/vfio");
	fake_descriptor("8", 5, "/dev/vfio/12");
	check_user(NULL);
	fake_process("9", "dpdk\n", "0::/\n", "anon_inode:[vfio-device]");
	fake_descriptor("9", 4, "/dev/vfio/vfio");
	check_user("dpdk (pid 9) has a VFIO device open, maybe one of this group");
	/* What is certain is what is told. */
	fake_process("10", "qemu\n", "0::/\n", "anon_inode:[vfio-device]");
	fake_descriptor("10", 4, "/dev/null");
	check_user("qemu (pid 10) has /dev/vfio/7 open");
}
END_TEST

START_TEST(last_close)
{
	struct in_use_nodes nodes = {};
	_cleanup_free_ char *who = NULL;

	fake_disk();
	fake_proc("");
	fake_file("1:3\n", PLACE "/mem/null/dev");
	fake_file("MAJOR=1\nMINOR=3\nDEVNAME=null\n", PLACE "/mem/null/uevent");
	ck_assert_int_eq(in_use_remember(DISK, &nodes), 0);
	ck_assert_uint_ge(nodes.n, 1);
	fake_process("7", "sleep\n", "0::/\n", "/dev/zero");
	ck_assert_int_eq(in_use_await_last_close(&nodes, &who), 0);
	ck_assert_ptr_null(who);
	/* Also udev, which in_use() passes over. */
	fake_process("11", "(udev-worker)\n", "0::/\n", "/dev/null");
	check_in_use(NULL);
	ck_assert_int_eq(in_use_await_closed(nodes.nodes, nodes.n, 1, &who), 1);
	ck_assert_str_eq(who, "null is open in (udev-worker) (pid 11)");
	free(who);
	in_use_forget(&nodes);
	ck_assert_int_eq(in_use_await_last_close(&nodes, &who), 0);
}
END_TEST

START_TEST(console)
{
	fake_disk();
	fake_proc("");
	fake_file("4:68\n", PLACE "/tty/ttyS4/dev");
	fake_file("MAJOR=4\nMINOR=68\nDEVNAME=ttyS4\n", PLACE "/tty/ttyS4/uevent");
	fake_file("ttyS0                -W- (EC a  )    4:64\n", "proc/consoles");
	check_in_use(NULL);
	fake_file("ttyS4                -W- (EC a  )    4:68\n", "proc/consoles");
	check_in_use("ttyS4 is a console of the kernel");
}
END_TEST

START_TEST(display)
{
	fake_disk();
	fake_proc("");
	fake_file("0\n", PLACE "/boot_vga");
	fake_file("29:0\n", PLACE "/graphics/fb0/dev");
	fake_file("DEVNAME=fb0\n", PLACE "/graphics/fb0/uevent");
	fake_link(PLACE "/graphics/fb0", "class/graphics/fb0");
	fake_file("", "class/graphics/fbcon/uevent");
	fake_file("(M) frame buffer device\n", "class/vtconsole/vtcon1/name");
	fake_file("0\n", "class/vtconsole/vtcon1/bind");
	fake_file("(S) dummy device\n", "class/vtconsole/vtcon0/name");
	fake_file("1\n", "class/vtconsole/vtcon0/bind");
	check_in_use(NULL);
	fake_file("1\n", "class/vtconsole/vtcon1/bind");
	check_in_use("fb0 shows the text console");
	fake_file("0\n", "class/vtconsole/vtcon1/bind");
	fake_file("1\n", PLACE "/boot_vga");
	check_in_use("it is the boot display");
}
END_TEST

/* A folder of the host's: by its tag with 9p, and by no more than its driver with virtiofs. */
START_TEST(shares)
{
	fake_disk();
	fake_proc("36 35 0:40 / /mnt rw - 9p other rw\n37 35 0:41 / /srv rw - virtiofs other rw\n"
		  "38 35 0:42 / /run rw - tmpfs a\\040share rw\n");
	check_in_use(NULL);
	fake_file("a share", PLACE "/virtio3/mount_tag");
	check_in_use(NULL);
	fake_proc("36 35 0:40 / /mnt rw - 9p a\\040share rw\n");
	check_in_use("the 9p share a share is mounted on /mnt");
	fake_proc("36 35 0:40 / /mnt rw - 9p a\\040share rw\n37 35 0:41 / / rw - virtiofs root rw\n");
	fake_driver("virtiofs");
	fake_link("bus/pci/drivers/virtiofs", PLACE "/virtio4/driver");
	check_in_use("the virtiofs share root is mounted on /, and 1 more");
}
END_TEST

START_TEST(functions)
{
	fake_disk();
	fake_proc("");
	fake_file("0\n", PLACE "/sriov_numvfs");
	check_in_use(NULL);
	fake_file("2\n", PLACE "/sriov_numvfs");
	check_in_use("its 2 virtual functions would be lost");
}
END_TEST

/* What cannot be found out is a no to whoever asks, and says what it was. */
START_TEST(unknown)
{
	_cleanup_free_ char *path = NULL;
	char *why;

	fake_disk();
	fake_proc("");
	path = strf("%s/1/mountinfo", proc);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(in_use(DISK, &why), -ENOENT);
	ck_assert_str_eq(why, "cannot tell what is mounted: No such file or directory");
	free(why);
}
END_TEST

/* An interface that sysfs has and the kernel's answer has not. */
START_TEST(net_unknown)
{
	struct net_link other = { .index = 2, .name = "eth1", .up = true };
	enum use_kind kind;
	char *why = NULL;

	ck_assert_int_eq(net_use_tell(&other, 1, 1, &kind, &why), -ENODEV);
	fake_disk();
	fake_proc("");
	fake_file("2147483647\n", PLACE "/net/eth0/ifindex");
	ck_assert_int_lt(in_use(DISK, &why), 0);
	ck_assert_msg(strncmp(why, "cannot tell how eth0 is used", 28) == 0, "%s", why);
	free(why);
}
END_TEST

static const struct {
	struct net_link links[5];
	enum use_kind kind;
	const char *expected; /* of interface 1 */
} nets[] = {
	{ { { .index = 1, .name = "eth0" } }, 0, NULL },
	{ { { .index = 1, .name = "eth0", .up = true } }, 0, NULL },
	{ { { .index = 1, .name = "eth0", .address = "192.0.2.1/24" } }, 0, NULL },
	{ { { .index = 1, .name = "eth0", .up = true },
	    { .index = 2, .name = "eth1", .up = true, .address = "192.0.2.1/24" } },
	  0,
	  NULL },
	{ { { .index = 1, .name = "eth0", .up = true, .address = "192.0.2.1/24" } },
	  USE_ADDRESS,
	  "eth0 is up with 192.0.2.1/24" },
	{ { { .index = 1, .name = "eth0", .up = true, .address = "192.0.2.1/24", .default_route = true } },
	  USE_DEFAULT_ROUTE,
	  "eth0 carries the default route" },
	{ { { .index = 1, .name = "eth0", .up = true, .route = "198.51.100.0/24" } },
	  USE_ROUTE,
	  "eth0 carries a route to 198.51.100.0/24" },
	/* A bond that is down, up, and has an address. */
	{ { { .index = 1, .name = "eth0", .up = true, .master = 2 },
	    { .index = 2, .name = "bond0", .address = "::1/128" } },
	  0,
	  NULL },
	{ { { .index = 1, .name = "eth0", .up = true, .master = 2 }, { .index = 2, .name = "bond0", .up = true } },
	  USE_STACKED,
	  "eth0 is part of bond0, which is up" },
	{ { { .index = 1, .name = "eth0", .up = true, .master = 2 },
	    { .index = 2, .name = "bond0", .up = true, .address = "192.0.2.1/24" } },
	  USE_ADDRESS,
	  "eth0 is part of bond0, which is up with 192.0.2.1/24" },
	{ { { .index = 1, .name = "eth0", .master = 2 },
	    { .index = 2, .name = "bond0", .up = true, .address = "192.0.2.1/24" } },
	  0,
	  NULL },
	{ { { .index = 1, .name = "eth0", .up = true },
	    { .index = 2, .name = "eth0.7", .up = true, .lower = 1, .pppoe = true } },
	  USE_ROUTE,
	  "eth0 carries eth0.7, which carries a PPPoE session" },
	/* The switch is down, and switches; also what is not its port itself. */
	{ { { .index = 1, .name = "eth0", .up = true, .master = 2 },
	    { .index = 2, .name = "ovs-system", .kind = "openvswitch" } },
	  USE_STACKED,
	  "eth0 is part of ovs-system (Open vSwitch)" },
	{ { { .index = 1, .name = "eth0", .up = true, .master = 3 },
	    { .index = 2, .name = "ovs-system", .kind = "openvswitch" },
	    { .index = 3, .name = "bond0", .kind = "bond", .up = true, .master = 2 } },
	  USE_STACKED,
	  "eth0 is part of bond0, which is part of ovs-system (Open vSwitch)" },
	{ { { .index = 1, .name = "eth0", .master = 2 }, { .index = 2, .name = "ovs-system", .kind = "openvswitch" } },
	  0,
	  NULL },
	/* A VLAN on a bond that is a port of a bridge, and the address is the bridge's. */
	{ { { .index = 1, .name = "eth0", .up = true, .master = 2 },
	    { .index = 2, .name = "bond0", .up = true },
	    { .index = 3, .name = "bond0.5", .up = true, .lower = 2, .master = 4 },
	    { .index = 4, .name = "br0", .up = true, .default_route = true } },
	  USE_DEFAULT_ROUTE,
	  "eth0 is part of bond0, which carries bond0.5, which is part of br0, which carries the default route" },
	{ { { .index = 1, .name = "eth0", .up = true }, { .index = 2, .name = "eth0.5", .up = true, .lower = 1 } },
	  0,
	  NULL },
	{ { { .index = 1, .name = "eth0", .up = true },
	    { .index = 2, .name = "eth0.5", .up = true, .lower = 1, .address = "192.0.2.1/24" } },
	  USE_ADDRESS,
	  "eth0 carries eth0.5, which is up with 192.0.2.1/24" },
	{ { { .index = 1, .name = "eth0", .up = true },
	    { .index = 2, .name = "tap0", .up = true, .lower = 1, .kind = "macvtap" } },
	  USE_STACKED,
	  "eth0 carries tap0, which is up" },
	/* In circles: as two veth ends are to one another; a master that is nowhere; on itself. */
	{ { { .index = 1, .name = "veth0", .up = true, .lower = 2 },
	    { .index = 2, .name = "veth1", .up = true, .lower = 1 } },
	  0,
	  NULL },
	{ { { .index = 1, .name = "eth0", .up = true, .master = 77, .lower = 1 } }, 0, NULL },
	{ { { .index = 1, .name = "eth0", .up = true, .master = 1 } }, USE_STACKED, NULL },
};

START_TEST(net)
{
	enum use_kind kind = 0;
	char *text = NULL;
	int r = net_use_tell(nets[_i].links, ARRAY_LEN(nets[_i].links), 1, &kind, &text);

	if (nets[_i].expected) {
		ck_assert_int_eq(r, 1);
		ck_assert_str_eq(text, nets[_i].expected);
		ck_assert_int_eq(kind, nets[_i].kind);
	} else if (nets[_i].kind != USE_STACKED) {
		ck_assert_msg(r == 0, "%s", strempty(text));
	}
	free(text);
}
END_TEST

START_TEST(tell)
{
	struct uses uses = {};
	char *text;

	ck_assert_int_eq(uses_tell(&uses, &text), 0);
	ck_assert_ptr_null(text);
	ck_assert_int_eq(uses_add(&uses, USE_MOUNT, NULL), -ENOMEM);
	uses_unknown(&uses, -EACCES, "cannot tell %s", "this");
	uses_unknown(&uses, -EIO, "cannot tell %s", "that");
	ck_assert_int_eq(uses_tell(&uses, &text), -EACCES);
	ck_assert_str_eq(text, "cannot tell this: Permission denied");
	free(text);
	/* What is known is worth more than what is not. */
	ck_assert_int_eq(uses_add(&uses, USE_OPEN, strdup("open")), 0);
	ck_assert_int_eq(uses_add(&uses, USE_OPEN, strdup("open")), 0);
	ck_assert_int_eq(uses_tell(&uses, &text), 1);
	ck_assert_str_eq(text, "open");
	free(text);
	uses_add(&uses, USE_SWAP, strdup("swap"));
	uses_add(&uses, USE_SWAP, strdup("more swap"));
	ck_assert_int_eq(uses_tell(&uses, &text), 1);
	ck_assert_str_eq(text, "swap, and 2 more");
	free(text);
	uses_clear(&uses);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("in-use");
	TCase *tc = tcase_create("in-use");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, fake_sysfs_make, fake_sysfs_remove);
	tcase_add_test(tc, octal);
	tcase_add_test(tc, node_paths);
	tcase_add_test(tc, mountinfo);
	tcase_add_test(tc, mountinfo_garbage);
	tcase_add_test(tc, swaps);
	tcase_add_test(tc, consoles);
	tcase_add_test(tc, pppoe);
	tcase_add_test(tc, blocks_below);
	tcase_add_test(tc, blocks_multipath);
	tcase_add_test(tc, btrfs_devices);
	tcase_add_test(tc, block_reasons);
	tcase_add_test(tc, below);
	tcase_add_test(tc, below_deep);
	tcase_add_test(tc, open_nodes);
	tcase_add_test(tc, mediated);
	tcase_add_test(tc, process_unknown);
	tcase_add_test(tc, vfio);
	tcase_add_test(tc, vfio_device);
	tcase_add_test(tc, vfio_anonymous);
	tcase_add_test(tc, last_close);
	tcase_add_test(tc, console);
	tcase_add_test(tc, display);
	tcase_add_test(tc, shares);
	tcase_add_test(tc, functions);
	tcase_add_test(tc, unknown);
	tcase_add_test(tc, net_unknown);
	tcase_add_loop_test(tc, net, 0, ARRAY_LEN(nets));
	tcase_add_test(tc, tell);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	free(proc);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
