/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_GATE_H
#define DAEMON_GATE_H

#include "daemon/manager.h"
#include "daemon/module-message.h"

/*
 * The kernel module's gate, or the one without it (autoprobe.h): a device that is plugged in is held without a
 * driver until its policy has been applied. Armed as the settings say; and
 * whatever it holds is let through as soon as nothing more is to be done about
 * its group, or nobody knows what to do.
 */

/* With module_start() and module_stop(); the gate itself ends with the daemon's socket, unless it is sticky. */
int gate_start(struct manager *m);
void gate_stop(struct manager *m);

/* Arms or disarms as settings, mode and the module's presence ask for. To be called when one of these has changed. */
void gate_update(struct manager *m);

/*
 * With Gate=autoprobe: a device that has come is held until its group has settled, anew where that is NEWS; whether
 * it is held; one has gone; all may go.
 */
void gate_hold(struct manager *m, const char *address, bool news);
bool gate_holds(const struct manager *m, const char *address);
void gate_forget(struct manager *m, const char *address);
void gate_let_all_through(struct manager *m);

/* Has the devices that are held looked at, once the event loop has nothing more urgent: a group may have settled. */
void gate_look(struct manager *m);

/* What the module tells; for module.c. */
void gate_module_went(struct manager *m);
void gate_event(struct manager *m, const struct module_event *event);
void gate_note_group(struct manager *m, const struct module_group *group);
void gate_info(struct manager *m, const struct module_info *info);
void gate_done(struct manager *m, const struct module_done *done);
void gate_accepted(struct manager *m, uint32_t seq);
void gate_refused(struct manager *m, uint32_t seq, int error);

#endif
