/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_IN_USE_H
#define DAEMON_IN_USE_H

/*
 * What would break if this PCI device lost its driver.
 *
 * Returns 1 with *RET (malloc'd) naming it as a person knows it ("nvme0n1p2 is
 * mounted on /"), 0 where nothing is known to, or a negative errno: the answer
 * is not known, which a caller must take for a yes.
 */
int in_use(const char *address, char **ret);

#endif
