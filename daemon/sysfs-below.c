/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/sysfs-below.h"
#include "daemon/sysfs-files.h"
#include "daemon/util.h"

/* A VMD controller has a PCI domain below, a USB controller hubs of hubs; a host adapter a thousand disks. */
#define TREE_DEPTH_MAX 48
#define TREE_FOLDERS_MAX 200000
#define UEVENT_MAX 4096
#define TAG_MAX 4095
#define COUNT_TRIES 3
#define COUNT_USEC (20 * 1000)

struct walk {
	struct sysfs_below *below;
	size_t n_folders;
	char **groups; /* numbers of IOMMU groups of what is below the device */
};

/* Attribute groups and the innards of block and network devices: many folders, and never a device in them. */
static bool is_barren(const char *name)
{
	static const char *const names[] = { "power",	"queue",  "queues",    "mq",	"statistics",
					     "holders", "slaves", "integrity", "trace", "msi_irqs" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool copy_string(char *to, size_t size, const char *from, size_t length)
{
	if (length == 0 || length >= size)
		return false;
	memcpy(to, from, length);
	to[length] = '\0';
	return true;
}

/* MAJOR=, MINOR= and DEVNAME= (dev_uevent() in drivers/base/core.c) are what devtmpfs makes the node from. */
static int add_node(struct sysfs_below *below, int fd, const char *name)
{
	_cleanup_free_ char *number = NULL;
	_cleanup_free_ char *uevent = NULL;
	struct sysfs_node node = {};
	struct sysfs_node *grown;
	char *state = NULL;
	int r;

	r = sysfs_read_attribute_at(fd, "dev", &number);
	if (r < 0)
		return r == -ENOENT || r == -ENODEV ? 0 : r;
	/* An attribute that is named so and is something else. */
	if (sscanf(number, "%u:%u", &node.major, &node.minor) != 2)
		return 0;
	if (!copy_string(node.name, sizeof(node.name), name, strlen(name)))
		return -ENAMETOOLONG;
	memcpy(node.path, node.name, sizeof(node.name));
	r = read_file_at(fd, "uevent", UEVENT_MAX, &uevent);
	if (r == -ENOENT || r == -ENODEV)
		return 0;
	if (r < 0)
		return r;
	for (char *line = strtok_r(uevent, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		if (strncmp(line, "DEVNAME=", strlen("DEVNAME=")) == 0 &&
		    !copy_string(node.path, sizeof(node.path), line + strlen("DEVNAME="),
				 strlen(line + strlen("DEVNAME="))))
			return -ENAMETOOLONG;
		/* Only block devices have a type of these (add_disk, add_partition). */
		if (strcmp(line, "DEVTYPE=disk") == 0 || strcmp(line, "DEVTYPE=partition") == 0)
			node.block = true;
	}
	grown = reallocarray(below->nodes, below->n_nodes + 1, sizeof(node));
	if (!grown)
		return -ENOMEM;
	below->nodes = grown;
	below->nodes[below->n_nodes++] = node;
	return 0;
}

static int add_interface(struct sysfs_below *below, int fd, const char *name)
{
	_cleanup_free_ char *path = strf("%s/ifindex", name);
	_cleanup_free_ char *text = NULL;
	struct sysfs_interface interface = {};
	struct sysfs_interface *grown;
	int r;

	if (!path)
		return -ENOMEM;
	r = sysfs_read_attribute_at(fd, path, &text);
	/* EINVAL: it is being unregistered (netdev_show() in net/core/net-sysfs.c). */
	if (r == -ENOENT || r == -ENODEV || r == -EINVAL)
		return 0;
	if (r < 0)
		return r;
	if (sscanf(text, "%d", &interface.index) != 1 || interface.index <= 0)
		return -EBADMSG;
	if (!copy_string(interface.name, sizeof(interface.name), name, strlen(name)))
		return -ENAMETOOLONG;
	grown = reallocarray(below->interfaces, below->n_interfaces + 1, sizeof(interface));
	if (!grown)
		return -ENOMEM;
	below->interfaces = grown;
	below->interfaces[below->n_interfaces++] = interface;
	return 0;
}

/*
 * The folder "net" shows the interfaces of the reader's network namespace, and
 * counts all of them: a kernfs folder's link count is its subfolders plus two
 * (kernfs_refresh_inode() in fs/kernfs/inode.c), whichever namespace they have.
 */
static int add_interfaces(struct sysfs_below *below, int fd)
{
	_cleanup_strv_ char **names = NULL;
	size_t n_hidden;
	int r;

	/* One that comes, goes or gets another name between the two counts is missed by one of them only. */
	for (unsigned i = 0;; i++) {
		struct stat st;

		names = strv_free(names);
		r = sysfs_list_names_at(fd, ".", &names);
		if (r < 0)
			return r == -ENOENT || r == -ENODEV ? 0 : r;
		if (fstat(fd, &st) < 0)
			return -errno;
		n_hidden = st.st_nlink > strv_len(names) + 2 ? (size_t)st.st_nlink - 2 - strv_len(names) : 0;
		if (n_hidden == 0 || i == COUNT_TRIES)
			break;
		usleep(COUNT_USEC);
	}
	below->n_hidden += n_hidden;
	r = 0;
	for (char **name = names; r >= 0 && name && *name; name++)
		r = add_interface(below, fd, *name);
	return r;
}

/* The driver's answer ends in a NUL and no newline (p9_mount_tag_show() in net/9p/trans_virtio.c). */
static int add_mount_tag(struct sysfs_below *below, int dirfd)
{
	_cleanup_close_ int fd = openat(dirfd, "mount_tag", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char tag[TAG_MAX + 1] = "";
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	n = read(fd, tag, sizeof(tag) - 1);
	if (n < 0)
		return errno == ENODEV ? 0 : -errno;
	if ((size_t)n == sizeof(tag) - 1)
		return -ENAMETOOLONG;
	tag[strcspn(tag, "\n")] = '\0';
	return *tag ? strv_add(&below->mount_tags, tag) : 0;
}

static int see_driver(struct sysfs_below *below, int dirfd)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, "driver", target, sizeof(target) - 1);
	const char *name;

	if (n < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	target[n] = '\0';
	name = strrchr(target, '/');
	if (strcmp(name ? name + 1 : target, "virtiofs") == 0)
		below->virtiofs = true;
	return 0;
}

static int add_group(struct walk *w, int dirfd)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, "iommu_group", target, sizeof(target) - 1);
	const char *name;

	if (n < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	target[n] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (!*name || name[strspn(name, "0123456789")])
		return -EBADMSG;
	return strv_contains(w->groups, name) ? 0 : strv_add(&w->groups, name);
}

/* What a folder below the device has besides nodes. */
static int add_entry(struct walk *w, int dirfd, const struct dirent *entry)
{
	if (entry->d_type == DT_REG && strcmp(entry->d_name, "mount_tag") == 0)
		return add_mount_tag(w->below, dirfd);
	if (entry->d_type == DT_LNK && strcmp(entry->d_name, "driver") == 0)
		return see_driver(w->below, dirfd);
	/* A mediated device has a group of its own, and programs have it by that (vfio_register_emulated_iommu_dev()). */
	if (entry->d_type == DT_LNK && strcmp(entry->d_name, "iommu_group") == 0)
		return add_group(w, dirfd);
	return 0;
}

/* Folders only: links lead away from the device, to its subsystem, its driver, its group. */
static int walk(struct walk *w, int parent, const char *name, unsigned depth)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	bool has_node = false;
	int fd, r;

	if (depth > TREE_DEPTH_MAX || ++w->n_folders > TREE_FOLDERS_MAX)
		return -E2BIG;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth ? O_NOFOLLOW : 0));
	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	/* What is in it is an interface, and has further folders of no interest. */
	if (depth && strcmp(name, "net") == 0)
		return add_interfaces(w->below, fd);
	while ((errno = 0, entry = readdir(dir))) {
		if (entry->d_type == DT_REG && strcmp(entry->d_name, "dev") == 0)
			has_node = true;
		if (depth && (r = add_entry(w, fd, entry)) < 0)
			return r;
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || is_barren(entry->d_name))
			continue;
		r = walk(w, fd, entry->d_name, depth + 1);
		if (r < 0)
			return r;
	}
	if (errno && errno != ENOENT && errno != ENODEV)
		return -errno;
	return has_node ? add_node(w->below, fd, name) : 0;
}

static unsigned count_virtual_functions(const char *address)
{
	_cleanup_free_ char *path = sysfs_device_path(address, "sriov_numvfs");
	_cleanup_free_ char *text = NULL;

	if (!path || sysfs_read_attribute_at(AT_FDCWD, path, &text) < 0)
		return 0;
	return (unsigned)strtoul(text, NULL, 10);
}

static int add_node_at(struct sysfs_below *below, int parent, const char *name)
{
	_cleanup_close_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	return add_node(below, fd, name);
}

int sysfs_read_vfio(unsigned group, const char *const *addresses, size_t n, struct sysfs_below *ret)
{
	_cleanup_free_ char *path = strf("%s/class/vfio", sysfs_root);
	_cleanup_close_ int class = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	char number[16];
	int r = 0;

	*ret = (struct sysfs_below){};
	if (!path)
		return -ENOMEM;
	snprintf(number, sizeof(number), "%u", group);
	if (class >= 0)
		r = add_node_at(ret, class, number);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		_cleanup_free_ char *folder = sysfs_device_path(addresses[i], "vfio-dev");
		_cleanup_close_ int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
		_cleanup_strv_ char **names = NULL;

		if (fd < 0)
			continue;
		r = sysfs_list_names_at(fd, ".", &names);
		for (char **name = names; r >= 0 && name && *name; name++)
			r = add_node_at(ret, fd, *name);
	}
	return r == -ENOENT || r == -ENODEV ? 0 : r;
}

static int add_group_nodes(struct sysfs_below *below, char *const *groups)
{
	_cleanup_free_ char *path = strf("%s/class/vfio", sysfs_root);
	_cleanup_close_ int class = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int r = 0;

	if (!path)
		return -ENOMEM;
	if (class < 0)
		return errno == ENOENT ? 0 : -errno;
	for (; r >= 0 && *groups; groups++) {
		size_t n = below->n_nodes;

		r = add_node_at(below, class, *groups);
		/* Its own name is a mere number. */
		if (r >= 0 && below->n_nodes > n)
			snprintf(below->nodes[n].name, sizeof(below->nodes[n].name), "vfio/%s", *groups);
	}
	return r;
}

int sysfs_read_below(const char *address, struct sysfs_below *ret)
{
	_cleanup_free_ char *path = sysfs_device_path(address, "");
	struct walk w = { .below = ret };
	int r;

	*ret = (struct sysfs_below){};
	if (!path)
		return -ENOMEM;
	if (access(path, F_OK) < 0)
		return -ENODEV;
	ret->n_virtual_functions = count_virtual_functions(address);
	r = walk(&w, AT_FDCWD, path, 0);
	if (r >= 0 && w.groups)
		r = add_group_nodes(ret, w.groups);
	strv_free(w.groups);
	return r;
}

void sysfs_below_clear(struct sysfs_below *below)
{
	free(below->nodes);
	free(below->interfaces);
	strv_free(below->mount_tags);
	*below = (struct sysfs_below){};
}

bool sysfs_is_boot_display(const char *address)
{
	_cleanup_free_ char *path = sysfs_device_path(address, "boot_vga");
	_cleanup_free_ char *text = NULL;

	return path && sysfs_read_attribute_at(AT_FDCWD, path, &text) >= 0 && strcmp(text, "1") == 0;
}

/* Which of the drivers of text consoles is fbcon, and in use (drivers/tty/vt/vt.c, show_name() and show_bind()). */
static bool console_is_on_framebuffer(void)
{
	_cleanup_free_ char *root = strf("%s/class/vtconsole", sysfs_root);
	_cleanup_strv_ char **names = NULL;

	if (!root || sysfs_list_names_at(AT_FDCWD, root, &names) < 0)
		return false;
	for (char **name = names; name && *name; name++) {
		_cleanup_free_ char *what = strf("%s/%s/name", root, *name);
		_cleanup_free_ char *bind = strf("%s/%s/bind", root, *name);
		_cleanup_free_ char *kind = NULL;
		_cleanup_free_ char *bound = NULL;

		if (what && bind && sysfs_read_attribute_at(AT_FDCWD, what, &kind) >= 0 &&
		    sysfs_read_attribute_at(AT_FDCWD, bind, &bound) >= 0 && strstr(kind, "frame buffer") &&
		    strcmp(bound, "1") == 0)
			return true;
	}
	return false;
}

int sysfs_console_framebuffer(char **ret)
{
	_cleanup_free_ char *path = strf("%s/class/graphics", sysfs_root);
	_cleanup_strv_ char **names = NULL;
	unsigned first = 0, number;
	bool found = false;
	int r;

	*ret = NULL;
	if (!path)
		return -ENOMEM;
	if (!console_is_on_framebuffer())
		return 0;
	r = sysfs_list_names_at(AT_FDCWD, path, &names);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (char **name = names; name && *name; name++)
		if (sscanf(*name, "fb%u", &number) == 1 && (!found || number < first)) {
			first = number;
			found = true;
		}
	if (!found)
		return 0;
	*ret = strf("fb%u", first);
	return *ret ? 0 : -ENOMEM;
}
