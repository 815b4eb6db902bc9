/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of the iommu_policy module for tests.
 *
 * It reads one command a line and prints one JSON object a line for everything that comes back:
 *
 *	7 hold group=5 cookie=1
 *	{"t":12.345678,"kind":"ack","seq":7,"error":null}
 *	{"t":12.345990,"kind":"done","command":"hold","cookie":1,"group":5,"error":null}
 *
 * The number in front becomes the message's sequence number and comes back in "seq"; without one,
 * lines are counted. It checks nothing itself: a request may have every attribute or none.
 * request.c lists the words of a request, loop.c those of many at once. Besides there are
 *
 *	events			listens to the module's events, with a socket of its own
 *	open, close		the socket of the requests, anew
 *	euid N			seteuid(N): who is opening or sending
 *	fork			a copy of the sockets in another process
 *	mark			the time
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <stdint.h>

#include "linux/iommu_policy.h"

/* How often each answer came: errno names are found by show.c, 0 is success. */
#define TALLY_MAX 200
struct tally {
	unsigned int count[TALLY_MAX];
};

struct client {
	struct nl_sock *socket; /* owns what is asked for */
	struct nl_sock *events; /* NULL until somebody wants to listen */
	int family; /* 0: not resolved */
	unsigned int unanswered; /* acknowledgements and DONE messages to come */
	struct counting *counting; /* while a loop runs: counted, and not printed */
};

/* What a loop wants to know about its answers; see loop.c. */
struct counting {
	unsigned int acks, dones; /* that are still to come */
	struct tally ack, done;
	unsigned int overruns;
	uint32_t wait_seq; /* acknowledgement that somebody waits for, 0: none */
	int wait_error;
};

/* request.c */
/*
 * The message that a line's words ask for, to be freed by the caller; NULL and a "usage" line if it
 * is none. *later: whether a DONE follows a successful acknowledgement.
 */
struct nl_msg *request_build(struct client *client, char *words, uint32_t seq, bool *later);
/* Whether a DONE follows an acknowledgement without error. */
bool request_answers_later(unsigned int command);
/* Sends a message and frees it; 0 or a positive errno. */
int request_send(struct client *client, struct nl_msg *message);
/* Sends hexadecimal digits as they are, but for the header: "HEX [length=N] [flags=N]". */
int request_raw(struct client *client, char *words, uint32_t seq);

/* show.c */
void show_begin(const char *kind);
void show_end(void);
void show_number(const char *name, long long value);
void show_string(const char *name, const char *value);
void show_error(const char *name, int error); /* by its name, null for 0 */
void show_tally(const char *name, const struct tally *tally);
void show_message(const struct nlmsghdr *header);
const char *show_command(unsigned int command);

/* loop.c */
void loop_flood(struct client *client, char *words);
void loop_type(struct client *client, char *words);
void loop_stress(struct client *client, char *words);

/* client.c */
/* Reads what has come in on a socket, waiting at most `timeout` ms for it; false: nothing has. */
bool client_receive(struct client *client, struct nl_sock *socket, int timeout);
double client_now(void); /* seconds of CLOCK_MONOTONIC */
/* The value of the word NAME=VALUE among others, or NULL; `words` is not changed. */
const char *client_word(const char *words, const char *name, char *value, size_t size);

#endif
