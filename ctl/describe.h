/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_DESCRIBE_H
#define CTL_DESCRIBE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/model.h"

/* Words for what the model holds. Strings are malloc'd and not escaped; NULL when out of memory. */

/* "3b:00.0", as lspci does: the first domain is what there mostly is. Within ADDRESS. */
const char *describe_short_address(const char *address);

/* "0000:3b:00.0 nvme, 0000:3b:00.1 (no driver)" */
char *describe_members(const struct model_group *group);

/*
 * The same with the devices' names for status, which has one line a group.
 * *RET_KEEP is how much of it must be seen for it to be better than *RET_BRIEF,
 * which has shorter addresses and no names. 0 or -ENOMEM.
 */
int describe_content(const struct model_group *group, char **ret, size_t *ret_keep,
		     char **ret_brief);

/* "Samsung Electronics Co Ltd NVMe SSD Controller", "" where the database knows nothing. */
char *describe_name(const struct model_device *device);

/* "removable, vf, bridge", "" for none of them. Static storage. */
const char *describe_flags(const struct model_device *device);

/* "Thu 2025-07-31 12:00:00 CEST, 3min ago"; "" for 0. Both in microseconds of CLOCK_REALTIME. */
char *describe_time(uint64_t usec, uint64_t now);

/* "now", "3min ago", "2h ago", … for the largest unit that is at least one. */
void describe_age(uint64_t usec, uint64_t now, char *ret, size_t size);

uint64_t realtime_usec(void);

/* True where a reader wants to know why: not as decided, or changed by what is no longer there. */
bool group_needs_reason(const struct model_group *group);

/* "identity -> DMA", or one word where both are the same or there is no second. */
char *describe_change(const struct term *term, const char *from, const char *to);

#endif
