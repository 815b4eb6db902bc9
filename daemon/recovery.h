/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_RECOVERY_H
#define DAEMON_RECOVERY_H

#include "daemon/manager.h"

/* What a daemon that was killed had begun is undone before anything new is begun. */
void recovery_start(struct manager *m);

#endif
