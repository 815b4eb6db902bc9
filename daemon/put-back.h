/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_PUT_BACK_H
#define DAEMON_PUT_BACK_H

/*
 * What Gate=autoprobe has switched off is switched on again, by whoever comes
 * after a daemon that has ended in whatever way, and all devices that wait are
 * given to their drivers: those that the record in DIR does not have. Logs.
 * 0 also where there is nothing to do.
 */
int put_back(const char *dir);

/*
 * The whole of a child process: has the device at ADDRESS probed, by DRIVER
 * alone where that is not NULL. A driver may take its time and may never come
 * back, so that nobody else can do this. KEEP_FD stays open until then; -1: none.
 */
_Noreturn void put_back_child(const char *address, const char *driver, int keep_fd);

#endif
