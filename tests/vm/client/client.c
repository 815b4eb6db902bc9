// SPDX-License-Identifier: GPL-2.0-or-later
/* The client's sockets and its loop. client.h says what goes in and out. */
#include "client.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* How long the end of the input waits for answers that are still to come. */
#define LINGER_MS 10000

double client_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

const char *client_word(const char *words, const char *name, char *value, size_t size)
{
	size_t length = strlen(name);
	const char *found = words;

	while ((found = strstr(found, name))) {
		if ((found == words || found[-1] == ' ') && found[length] == '=') {
			found += length + 1;
			snprintf(value, size, "%.*s", (int)strcspn(found, " "), found);
			return value;
		}
		found++;
	}
	return NULL;
}

static void tell(const char *kind, uint32_t seq, int error)
{
	show_begin(kind);
	show_number("seq", seq);
	show_error("error", error);
	show_end();
}

static struct nl_sock *open_socket(void)
{
	struct nl_sock *socket = nl_socket_alloc();
	int on = 1, room = 4 << 20;

	if (!socket || genl_connect(socket) < 0) {
		nl_socket_free(socket);
		return NULL;
	}
	/* The kernel's own words about a refusal, and not a second header in memory for them. */
	setsockopt(nl_socket_get_fd(socket), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	/* Answers to requests by the thousand; without the right to it, the usual has to do. */
	setsockopt(nl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	nl_socket_set_msg_buf_size(socket, 65536);
	nl_socket_set_nonblocking(socket);
	return socket;
}

/* 0 or a positive errno. The portid of the new socket is told. */
static int open_main(struct client *client)
{
	struct nl_sock *fresh = open_socket();

	if (!fresh)
		return errno ?: ENOMEM;
	nl_socket_free(client->socket);
	client->socket = fresh;
	client->unanswered = 0;
	if (!client->family) {
		struct nl_sock *other = nl_socket_alloc();
		int family = other && !genl_connect(other) ?
				     genl_ctrl_resolve(other, IOMMU_POLICY_GENL_NAME) :
				     -NLE_NOMEM;

		nl_socket_free(other);
		if (family < 0)
			return family == -NLE_OBJ_NOTFOUND ? ENOENT : EIO;
		client->family = family;
	}
	return 0;
}

static int open_events(struct client *client)
{
	int group;

	if (client->events)
		return 0;
	client->events = open_socket();
	if (!client->events)
		return errno ?: ENOMEM;
	nl_socket_disable_seq_check(client->events);
	{
		struct nl_sock *other = nl_socket_alloc();

		group = other && !genl_connect(other) ?
				genl_ctrl_resolve_grp(other, IOMMU_POLICY_GENL_NAME,
						      IOMMU_POLICY_MCGRP_EVENTS) :
				-NLE_NOMEM;
		nl_socket_free(other);
	}
	if (group < 0)
		return ENOENT;
	return nl_socket_add_membership(client->events, group) < 0 ? errno : 0;
}

/* Counts an answer for a loop; everything that is no answer of its own is shown. */
static bool count(struct client *client, const struct nlmsghdr *header)
{
	struct counting *counting = client->counting;
	const struct genlmsghdr *genl = nlmsg_data(header);
	int error;

	if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == NLMSG_DONE) {
		error = -*(int *)nlmsg_data(header);
		counting->ack.count[error]++;
		counting->acks--;
		if (counting->wait_seq && counting->wait_seq == header->nlmsg_seq) {
			counting->wait_seq = 0;
			counting->wait_error = error;
		}
		/* The high bit of the sequence number says that a DONE is to come. */
		if (header->nlmsg_seq & 1U << 31 && error)
			counting->dones--;
		return true;
	}
	if (genl->cmd == IOMMU_POLICY_CMD_DONE) {
		struct nlattr *attr = nlmsg_find_attr((void *)header, GENL_HDRLEN,
						      IOMMU_POLICY_A_ERROR);

		counting->done.count[attr ? nla_get_u32(attr) : EBADMSG]++;
		counting->dones--;
	}
	return true;
}

/* How many of the answers that are waited for this one is: a refusal is DONE's, too. */
static unsigned int answers(const struct nlmsghdr *header)
{
	const struct genlmsghdr *genl = nlmsg_data(header);
	const struct nlmsgerr *error = nlmsg_data(header);

	if (header->nlmsg_type == NLMSG_DONE)
		return 1;
	if (header->nlmsg_type != NLMSG_ERROR)
		return genl->cmd == IOMMU_POLICY_CMD_DONE;
	/* With an error, the request comes back. */
	genl = nlmsg_data(&error->msg);
	return error->error && error->msg.nlmsg_len >= NLMSG_HDRLEN + GENL_HDRLEN &&
			       request_answers_later(genl->cmd) ?
		       2 :
		       1;
}

bool client_receive(struct client *client, struct nl_sock *socket, int timeout)
{
	struct pollfd wait = { .fd = nl_socket_get_fd(socket), .events = POLLIN };
	struct sockaddr_nl from;
	unsigned char *data = NULL;
	struct nlmsghdr *header;
	int length;

	if (timeout && poll(&wait, 1, timeout) <= 0)
		return false;
	length = nl_recv(socket, &from, &data, NULL);
	if (length == -NLE_NOMEM || (length < 0 && errno == ENOBUFS)) {
		if (client->counting)
			client->counting->overruns++;
		else
			tell("overrun", 0, ENOBUFS);
		return true;
	}
	if (length <= 0)
		return false;
	for (header = (void *)data; nlmsg_ok(header, length); header = nlmsg_next(header, &length)) {
		unsigned int taken = answers(header);

		if (socket == client->socket && client->counting) {
			count(client, header);
			continue;
		}
		client->unanswered -= taken < client->unanswered ? taken : client->unanswered;
		show_message(header);
	}
	free(data);
	return true;
}

/* A copy of the sockets in another process keeps alive what they own. */
static void fork_copy(uint32_t seq)
{
	pid_t pid = fork();

	if (!pid) {
		close(STDIN_FILENO);
		for (;;)
			pause();
	}
	show_begin("forked");
	show_number("seq", seq);
	show_number("pid", pid);
	show_end();
}

static void hello(const struct client *client, uint32_t seq, int error)
{
	show_begin("hello");
	show_number("seq", seq);
	show_number("pid", getpid());
	show_number("portid", client->socket ? nl_socket_get_local_port(client->socket) : 0);
	show_number("family", client->family);
	show_error("error", error);
	show_end();
}

static void run(struct client *client, char *line)
{
	static uint32_t lines;
	struct nl_msg *message;
	bool later = false;
	char *words = line;
	uint32_t seq = strtoul(line, &words, 10);
	int error;

	lines++;
	if (words == line)
		seq = lines;
	words += strspn(words, " ");

	if (!strcmp(words, "open")) {
		hello(client, seq, open_main(client));
	} else if (!strcmp(words, "events")) {
		tell("events", seq, open_events(client));
	} else if (!strcmp(words, "close")) {
		nl_socket_free(client->socket);
		client->socket = NULL;
		client->unanswered = 0;
		tell("closed", seq, 0);
	} else if (!strcmp(words, "mark")) {
		tell("mark", seq, 0);
	} else if (!strncmp(words, "euid ", 5)) {
		tell("euid", seq, seteuid(atoi(words + 5)) ? errno : 0);
	} else if (!strcmp(words, "fork")) {
		fork_copy(seq);
	} else if (!strncmp(words, "type-loop ", 10)) {
		loop_type(client, words + 10);
	} else if (!client->socket) {
		tell("not-open", seq, EBADF);
	} else if (!strncmp(words, "flood ", 6)) {
		loop_flood(client, words + 6);
	} else if (!strncmp(words, "stress ", 7)) {
		loop_stress(client, words + 7);
	} else if (!strncmp(words, "raw ", 4)) {
		tell("sent", seq, request_raw(client, words + 4, seq));
	} else {
		message = request_build(client, words, seq, &later);
		if (!message)
			return;
		error = request_send(client, message);
		if (error)
			tell("unsent", seq, error);
		else
			client->unanswered += 1 + later;
	}
}

/* Takes lines off the input; false at its end. */
static bool read_lines(struct client *client)
{
	static char buffer[65536];
	static size_t fill;
	ssize_t n = read(STDIN_FILENO, buffer + fill, sizeof(buffer) - 1 - fill);
	char *end;

	if (n <= 0)
		return false;
	fill += n;
	while ((end = memchr(buffer, '\n', fill))) {
		size_t length = end + 1 - buffer;

		*end = '\0';
		if (*buffer)
			run(client, buffer);
		fill -= length;
		memmove(buffer, end + 1, fill);
	}
	return fill < sizeof(buffer) - 1;
}

int main(int argc, char **argv)
{
	struct client client = { 0 };
	struct pollfd wait[3] = { { .fd = STDIN_FILENO, .events = POLLIN } };
	double end = 0;
	int error = 0;

	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "--family=", 9)) {
			client.family = atoi(argv[i] + 9);
		} else if (strcmp(argv[i], "--closed")) {
			fprintf(stderr, "usage: %s [--family=ID] [--closed] < LINES\n", argv[0]);
			return 2;
		}
	}
	if (argc < 2 || strcmp(argv[argc - 1], "--closed"))
		error = open_main(&client);
	hello(&client, 0, error);
	if (error)
		return 1;

	while (!end || (client.unanswered && client_now() < end)) {
		wait[0].fd = end ? -1 : STDIN_FILENO;
		wait[1].fd = client.socket ? nl_socket_get_fd(client.socket) : -1;
		wait[2].fd = client.events ? nl_socket_get_fd(client.events) : -1;
		wait[1].events = wait[2].events = POLLIN;
		if (poll(wait, 3, end ? 200 : -1) < 0 && errno != EINTR)
			return 1;
		if (wait[2].revents && client.events)
			client_receive(&client, client.events, 0);
		if (wait[1].revents && client.socket)
			client_receive(&client, client.socket, 0);
		if (wait[0].revents && !end && !read_lines(&client))
			end = client_now() + LINGER_MS / 1000.0;
	}
	nl_socket_free(client.socket);
	nl_socket_free(client.events);
	return 0;
}
