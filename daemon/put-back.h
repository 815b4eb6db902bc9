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
 * The same beside a daemon that has not ended and does not come back: only the
 * switch. What waits is for the next one, for which the record stays.
 */
int put_back_switch(const char *dir);

#endif
