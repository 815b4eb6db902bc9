/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_CHANGE_H
#define CTL_CHANGE_H

#include "ctl/bus.h"
#include "ctl/json.h"

/*
 * What a method that changes one group answered: reads "ss" (state, reason)
 * from REPLY and prints "group N: state: reason". R and ERROR are what the
 * call came back with; DOING names it where it failed. With --json it is the
 * document {"results": [{"group", "state", "reason"}]}. For people, and where the
 * group waits, the daemon is asked whether it does for a driver. Returns an exit
 * code.
 */
int change_print(struct ctl *ctl, uint32_t group, const char *doing, int r,
		 const sd_bus_error *error, sd_bus_message *reply);

/* One of those results, at the end of RESULTS. */
void change_document(struct json_builder *b, json_object *results, uint32_t group,
		     const char *state, const char *reason);

#endif
