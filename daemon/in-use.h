/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_IN_USE_H
#define DAEMON_IN_USE_H

/*
 * What would break if this PCI device lost its driver, and how do we know.
 *
 * Returns 1 with *RET (malloc'd) naming it as a person knows it ("nvme0n1p2 is
 * mounted on /, and 2 more"), 0 where nothing is known to, or a negative errno
 * with *RET saying what could not be found out, or NULL: the answer is not
 * known, which a caller must take for a yes.
 *
 * It may wait: for locks of the kernel's network code, and some tenths of a
 * second for programs that only look at a device and let it go. For worker
 * processes only.
 */
int in_use(const char *address, char **ret);

#endif
