/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_STATE_FILE_H
#define DAEMON_STATE_FILE_H

#include <stddef.h>
#include <stdio.h>

/*
 * Small files of INI form in the daemon's own folders, for nobody else's eyes:
 * replaced atomically (write, fsync, rename, fsync of the folder), refused on
 * reading unless they are regular files that nobody else can have written, in a
 * folder where nobody else can have put them.
 */
#define RUN_DIR "/run/iommu-policyd"
#define STATE_DIR "/var/lib/iommu-policyd"

/* Creates DIR and its parents with mode 0755. */
int state_dir_make(const char *dir);

/* Removes what a writer that was killed has left half done. For when there can be no other. */
void state_dir_clean(const char *dir);

int state_file_write(const char *dir, const char *name, void (*body)(FILE *f, const void *data), const void *data);

/*
 * HANDLER as inih's ini_handler; it returns 0 for what it cannot use, which makes
 * the whole -EBADMSG. -ENOENT; -EPERM and -ELOOP: it is not the daemon's own.
 */
int state_file_read(const char *dir, const char *name,
		    int (*handler)(void *userdata, const char *section, const char *key, const char *value),
		    void *userdata);

/* What is wrong with a file that could not be read, for a message. */
const char *state_file_describe(int error);

/* 0 also where there is none. */
int state_file_remove(const char *dir, const char *name);

/* The names in DIR that are numbers, as numbers, malloc'd; other names are none of ours. */
int state_file_list_numbers(const char *dir, unsigned **ret, size_t *ret_n);

#endif
