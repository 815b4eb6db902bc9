/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FUZZ_FUZZ_FOLDER_H
#define TESTS_FUZZ_FUZZ_FOLDER_H

#include <stddef.h>

/* A folder for what is read from files, below $TMPDIR, which tests/fuzz/run clears away. */
const char *fuzz_folder(void);

/* A file below it, its folders included. Written only where it is not what it was the last time. */
void fuzz_file(const char *name, const void *content, size_t size);

/* A link below it to TARGET below it. */
void fuzz_link(const char *target, const char *name);

#endif
