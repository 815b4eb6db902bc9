/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_PERMANENT_H
#define CTL_PERMANENT_H

#include "ctl/ctl.h"
#include "ctl/draft.h"
#include "policy/decide.h"
#include "policy/domain.h"

/* The file of 'set --permanent' for one group: written, found to do what was asked for, then put in place. */

/* Whether this user and these options can write one at all. Complains where not, with the enum exit_code. */
int permanent_check(const struct ctl *ctl);

/*
 * Writes the file for GROUP, hidden yet, and sees to it that with it the policy
 * files come to DOMAIN. Complains and returns an enum exit_code other than 0
 * where that is not so; draft_clear() is due in any case.
 */
int permanent_prepare(struct ctl *ctl, uint32_t group, enum domain domain, struct draft *ret);

/*
 * Whether POLICY, which has been read with the draft's hidden file, comes to DOMAIN
 * for the group by the draft's rule. Complains and returns an enum exit_code other
 * than 0 where not.
 */
int permanent_judge(const struct ctl *ctl, const struct draft *draft, const struct policy *policy,
		    const struct group_facts *facts, enum domain domain);

/* Puts the file in place and says so. Returns 0 or another enum exit_code, having complained. */
int permanent_commit(const struct ctl *ctl, struct draft *draft);

#endif
