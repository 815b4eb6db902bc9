/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_OWNER_H
#define DAEMON_OWNER_H

#include "daemon/manager.h"
#include "daemon/module-message.h"

/*
 * Who owns a group's DMA, as the kernel module says or, without it, as far as
 * that can be told from drivers; and the claims by which quarantined groups'
 * DMA is the daemon's.
 */

/* "none", "kernel", "user" or "policy". */
const char *owner_of(const struct group *group);

/* Whether the module says that a user has it. */
bool owner_is_user(const struct group *group);

/*
 * Has a quarantine that is in force claimed by the module, unless it is
 * already, or somebody has ended the claim: that is drift, which is not fought
 * before one of TRIGGERS (enum trigger) allows it.
 */
void owner_keep_claim(struct manager *m, struct group *group, unsigned triggers);

/* A quarantine's reason, with what keeps it; malloc'd, NULL when out of memory. */
char *owner_describe_quarantine(const struct manager *m, const struct group *group, const char *reason);

/* What the module tells; for module.c. */
void owner_update(struct manager *m, struct group *group, const struct module_group *found);
void owner_done(struct manager *m, const struct module_done *done);
void owner_refused(struct manager *m, uint32_t seq, int error);
void owner_module_went(struct manager *m);

#endif
