/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_AUTOPROBE_RECORD_H
#define DAEMON_AUTOPROBE_RECORD_H

#include <stdbool.h>

/*
 * What has been dealt with since drivers_autoprobe was switched off: devices
 * that were let through, and drivers whose devices were looked for. It is there
 * as long as that is off by the daemon's doing, in a file, so that whoever puts
 * it back knows what still waits, also when the daemon was killed. The file
 * tells which device it was at each address: another one there still waits.
 */
struct autoprobe_record {
	char **devices, **drivers;
};

void autoprobe_record_clear(struct autoprobe_record *record);

/* 0 or -ENOMEM; also where NAME is there already. */
int autoprobe_record_add(char ***names, const char *name);
void autoprobe_record_drop(char **names, const char *name);

bool autoprobe_record_exists(const char *dir);
/* -ENOENT: there is none. */
int autoprobe_record_read(const char *dir, struct autoprobe_record *ret);
int autoprobe_record_write(const char *dir, const struct autoprobe_record *record);
int autoprobe_record_remove(const char *dir);

#endif
