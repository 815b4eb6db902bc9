/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_SYSFS_FILES_H
#define DAEMON_SYSFS_FILES_H

/*
 * How sysfs.c and its sisters (sysfs-*.c), and nobody else, open /sys. Paths
 * are relative to DIRFD as for openat(2); what is returned is malloc'd.
 */

/* "/sys", or a test's fake. */
extern const char *sysfs_root;

/* The attribute's, or with "" the directory's, path by the address. NULL: out of memory. */
char *sysfs_device_path(const char *address, const char *attribute);

/* The attribute without its newline. */
int sysfs_read_attribute_at(int dirfd, const char *path, char **ret);

/* In one write(2), which is one store in the kernel. */
int sysfs_write_attribute_at(int dirfd, const char *path, const char *value);

/* The last part of what a link points to; -ENOENT where there is no link. */
int sysfs_read_link_name(const char *path, char **ret);

/* Names in a folder, "." and all that begin so left out. -ENOENT where there is none. */
int sysfs_list_names_at(int dirfd, const char *path, char ***ret);

#endif
