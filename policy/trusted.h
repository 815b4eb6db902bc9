/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_TRUSTED_H
#define POLICY_TRUSTED_H

#include <stddef.h>
#include <sys/stat.h>

/* Files that decide over DMA are believed only where nobody but root can have written them. */

#define TRUSTED_FAULT_SIZE 192

/*
 * NULL, or what is wrong with owner and mode of a file or folder, as the end of
 * a sentence. Whoever runs this is trusted like root.
 */
const char *trusted_distrust(const struct stat *st);

/*
 * Opens a file for reading without following a link at its end, and looks at
 * what has been opened. Returns the descriptor; -ENODATA where the file masks
 * its name, being empty or a link to /dev/null; else another negative errno,
 * with a sentence in FAULT that says what was expected.
 */
int trusted_open(const char *path, size_t bytes_max, char fault[static TRUSTED_FAULT_SIZE]);

#endif
