/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_UEVENT_H
#define DAEMON_UEVENT_H

#include "daemon/manager.h"

/* Begins to listen. To be called before uevent_enumerate(), so that nothing falls between the two. */
int uevent_listen(struct manager *m);
/* What is there is compared with what is known: events were lost, or the machine has slept. */
void uevent_resync(struct manager *m);
/* Every PCI device that is there; TRIGGERS as for a uevent. */
int uevent_enumerate(struct manager *m, unsigned triggers);
void uevent_stop(struct manager *m);

#endif
