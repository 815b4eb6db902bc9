/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FAKE_SYSFS_H
#define TESTS_FAKE_SYSFS_H

/*
 * A tree that looks like /sys to daemon/sysfs.c: for reading attributes and
 * for choosing a way. It does nothing of what a kernel does on a write.
 */
void fake_sysfs_make(void); /* a new, empty one, and sysfs.c looks there */
void fake_sysfs_remove(void);
const char *fake_sysfs_root(void);

/* printf-style path below the root, folders made as needed. */
void fake_file(const char *content, const char *path, ...) __attribute__((format(printf, 2, 3)));
void fake_link(const char *target, const char *path, ...) __attribute__((format(printf, 2, 3)));

/* An e1000e at DDDD:BB:DD.F below the root port 0000:00:1c.0, in GROUP, with DRIVER (NULL: none). */
void fake_device(const char *address, unsigned group, const char *driver);
void fake_group(unsigned group, const char *type);
void fake_driver(const char *driver);

/* A device that is alone in its group goes, and the group with it. */
void fake_unplug(const char *address, unsigned group);

#endif
