/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_PROC_TEXT_H
#define DAEMON_PROC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The kernel's tables in /proc, read from text; see proc(5). Pure, for any
 * input: a line that is not as it should be is left out. Texts are taken apart
 * in place, and what is returned points into them.
 */

/* One line of /proc/PID/mountinfo (show_mountinfo() in fs/proc_namespace.c). */
struct mount_line {
	unsigned major, minor; /* of the file system: 0 and any number where it has no single device (btrfs) */
	const char *point, *type, *source;
};

/* *RET is malloc'd and points into TEXT. -ENOMEM. */
int mountinfo_parse(char *text, struct mount_line **ret, size_t *ret_n);

/* The next path of /proc/swaps from *TEXT, which moves on; NULL at the end (swap_show() in mm/swapfile.c). */
const char *swaps_next(char **text);

/* The next console of /proc/consoles that is a device (show_console_dev() in fs/proc/consoles.c). False at the end. */
bool consoles_next(char **text, const char **name, unsigned *major, unsigned *minor);

/* The next interface of /proc/PID/net/pppoe that a session goes through (pppoe_seq_show() in drivers/net/ppp/pppoe.c). */
const char *pppoe_next(char **text);

/*
 * Whether PATH can be asked for its device number: below /dev, and not where
 * users may mount a file system of their own, which need not ever answer. What
 * is mounted from where is a user's word, too, with FUSE.
 */
bool is_node_path(const char *path);

/* Space, tab, newline and backslash as three octal digits, undone in place. */
void unescape_octal(char *s);

#endif
