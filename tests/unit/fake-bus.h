/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_FAKE_BUS_H
#define TESTS_UNIT_FAKE_BUS_H

#include "daemon/manager.h"

/*
 * The other end of the daemon's connection: the bus, polkit and all callers in
 * one. Whoever calls is told by the sender that a call is given.
 */
struct fake_bus {
	struct manager m;
	sd_bus *peer;
	uint32_t uid; /* of whoever calls */
	const char *option; /* that options have, as true; NULL: they are empty */
	const char *user_error; /* of the question who that is; NULL: it is answered */
	const char *polkit_error; /* of the question to polkit; NULL: it is answered */
	int allowed, challenge; /* polkit's answer */
	const char *allowed_action; /* … but for this action, which is allowed */
	bool silent; /* polkit leaves what it is asked unanswered */
	bool user_silent; /* the bus leaves unanswered who calls */
	unsigned n_users, n_checks, n_cancelled;
	char action[64]; /* what polkit was asked last */
	unsigned flags; /* … with these */
};

void fake_bus_start(struct fake_bus *fake);
void fake_bus_stop(struct fake_bus *fake);

/* Both ends, until neither has anything more to do. */
void fake_bus_run(struct fake_bus *fake);

/* What has become of a call. */
struct fake_answer {
	bool here;
	char error[128]; /* "" for none */
	char text[512];
};

/* Sends MEMBER with arguments that are as empty as SIGNATURE allows, from SENDER (NULL: nobody). */
void fake_bus_call(struct fake_bus *fake, const char *sender, const char *interface, const char *member,
		   const char *signature, struct fake_answer *answer);
/* The same without arguments; nothing is read yet, and nobody has the call yet. */
void fake_bus_send(struct fake_bus *fake, const char *sender, const char *interface, const char *member,
		   struct fake_answer *answer);
/* Sends Properties.Set, with TEXT as a string, or NULL for what is as empty as SIGNATURE allows. */
void fake_bus_set(struct fake_bus *fake, const char *sender, const char *path, const char *interface,
		  const char *property, const char *signature, const char *text, struct fake_answer *answer);
/* The caller has left the bus. */
void fake_bus_gone(struct fake_bus *fake, const char *sender);

#endif
