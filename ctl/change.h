/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_CHANGE_H
#define CTL_CHANGE_H

#include "ctl/bus.h"

/*
 * What a method that changes one group answered: reads "ss" (state, reason)
 * from REPLY and prints "group N: state: reason". R and ERROR are what the
 * call came back with; DOING names it where it failed. Returns an exit code.
 */
int change_print(const struct ctl *ctl, uint32_t group, const char *doing, int r,
		 const sd_bus_error *error, sd_bus_message *reply);

#endif
