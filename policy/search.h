/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_SEARCH_H
#define POLICY_SEARCH_H

#include <stddef.h>
#include <stdio.h>

#include "policy/errors.h"

#define POLICY_FILES_MAX 4096u

/* Paths of files, each malloc'd. */
struct path_list {
	char **items;
	size_t n;
};

void path_list_clear(struct path_list *paths);

/* Appends a copy of PATH. 0 or -ENOMEM. */
int path_list_add(struct path_list *paths, const char *path);

/*
 * Finds the *.conf of the folders DIRS (NULL-terminated) below ROOT (NULL or ""
 * for none), in the order of their names; of those with the same name the one
 * in the first folder. Names that begin with a dot are left alone, as the
 * shell's *.conf does: they are editors' locks and copies. A folder that is
 * missing is no error; one that cannot be read, or in which others than root
 * may exchange files, is. Returns 0, also with ERRORS, or -ENOMEM.
 */
int search_files(const char *root, const char *const *dirs, struct path_list *ret,
		 struct policy_errors *errors);

/*
 * Opens a policy file and sees to it that it is one: a regular file and no link
 * to one, of root's (or of the user who runs this, where that is not root),
 * writable by nobody else, not too big. *RET is NULL where the file masks its
 * name (it is empty, or a link to /dev/null) and where it was refused, which is
 * in ERRORS then. Returns 0 or -ENOMEM.
 */
int search_open(const char *path, FILE **ret, struct policy_errors *errors);

#endif
