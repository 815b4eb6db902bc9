/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_MODULE_H
#define DAEMON_MODULE_H

#include "daemon/manager.h"
#include "daemon/module-message.h"

/*
 * The daemon's own connection to the kernel module, in the event loop: follows
 * the module as it is loaded and unloaded, asks, and hands answers and events
 * on. Nothing here waits. Worker processes have connections of their own
 * (module-link.h).
 */

/* To be called before the enumeration: the gate is armed when it returns. Also where no module is loaded. */
int module_start(struct manager *m);
void module_stop(struct manager *m);

bool module_is_there(const struct manager *m);

/*
 * Sends a request. Returns its number, which is also its cookie, for module
 * owners to know its outcome by; 0 where it could not be sent, or there is no
 * module.
 */
uint32_t module_send(struct manager *m, struct module_request *request);

/* Has the state of a group asked for, soon; owner_update() gets the answer. */
void module_query(struct manager *m, struct group *group);

#endif
