/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_USER_WATCH_H
#define DAEMON_USER_WATCH_H

#include "daemon/manager.h"

/*
 * Looks from time to time, as long as there is one, whether the programs that
 * user-owned groups wait for still have them, and has these groups looked at
 * when they have not. Not where the kernel module tells. To be called when a
 * group's state or owner has changed.
 *
 * Nothing tells of it but the module: the node in question may be one in another
 * mount namespace, as libvirt makes them, so that inotify on ours sees nothing,
 * and a program may let go of a group long before it ends.
 */
void user_watch(struct manager *m);

#endif
