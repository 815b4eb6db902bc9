/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/genetlink.h>
#include <netlink/errno.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "daemon/module-link.h"
#include "policy/text.h"

/* What the kernel answers at once, before the call that asks returns. */
#define ANSWER_USEC (5 * USEC_PER_SEC)
/*
 * What waits for a driver's probe. The daemon reports a worker that takes long
 * well before; this is for an answer that will never come.
 */
#define DONE_USEC (300 * USEC_PER_SEC)
#define COMM_MAX 64

struct module_link {
	struct nl_sock *socket;
	uint16_t family;
	uint32_t seq;
};

/* libnl's own error numbers, of which only these are of use to a caller. */
static int to_errno(int error)
{
	switch (-error) {
	case NLE_AGAIN:
		return -EAGAIN;
	case NLE_INTR:
		return -EINTR;
	case NLE_NOMEM: /* ENOBUFS too */
		return -ENOBUFS;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_AF_NOSUPPORT:
		return -EAFNOSUPPORT;
	default:
		return -EIO;
	}
}

struct nl_sock *module_socket_new(void)
{
	struct nl_sock *socket = nl_socket_alloc();
	int yes = 1, r;

	if (!socket) {
		errno = ENOMEM;
		return NULL;
	}
	nl_socket_disable_auto_ack(socket);
	/* libnl opens it with SOCK_CLOEXEC: a copy elsewhere would keep alive what we hold. */
	r = genl_connect(socket);
	if (r >= 0)
		r = nl_socket_set_nonblocking(socket);
	if (r < 0) {
		nl_socket_free(socket);
		errno = -to_errno(r);
		return NULL;
	}
	/* Reasons in words, and without what was asked. A kernel that cannot sends neither. */
	setsockopt(nl_socket_get_fd(socket), SOL_NETLINK, NETLINK_EXT_ACK, &yes, sizeof(yes));
	setsockopt(nl_socket_get_fd(socket), SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof(yes));
	return socket;
}

static int send_message(struct nl_sock *socket, struct nl_msg *message)
{
	int r;

	if (!message)
		return -ENOMEM;
	r = nl_send_auto(socket, message);
	nlmsg_free(message);
	return r < 0 ? to_errno(r) : 0;
}

int module_socket_send(struct nl_sock *socket, uint16_t family, uint32_t seq, const struct module_request *request)
{
	return send_message(socket, module_message_make(family, seq, request));
}

int module_socket_receive(struct nl_sock *socket, int (*handle)(struct nlmsghdr *message, void *userdata),
			  void *userdata)
{
	_cleanup_free_ unsigned char *buffer = NULL;
	struct sockaddr_nl from = {};
	struct nlmsghdr *message;
	int rest;

	do
		rest = nl_recv(socket, &from, &buffer, NULL);
	while (rest == -NLE_INTR);
	if (rest == -NLE_AGAIN || rest == 0)
		return 0;
	if (rest < 0)
		return to_errno(rest);
	/* Root may send to any netlink socket; only what the kernel says is believed. */
	if (from.nl_pid != 0)
		return 1;
	for (message = (struct nlmsghdr *)buffer; nlmsg_ok(message, rest); message = nlmsg_next(message, &rest))
		if (message->nlmsg_type != NLMSG_NOOP && handle(message, userdata))
			break;
	return 1;
}

/* 0: there is something to receive. */
static int wait_until(struct nl_sock *socket, uint64_t deadline)
{
	struct pollfd pollfd = { .fd = nl_socket_get_fd(socket), .events = POLLIN };
	uint64_t now = now_usec(CLOCK_MONOTONIC);
	int n;

	if (now >= deadline)
		return -ETIMEDOUT;
	n = poll(&pollfd, 1, (int)((deadline - now) / USEC_PER_MSEC) + 1);
	return n > 0 || (n < 0 && errno == EINTR) ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

/* Receives until HANDLE has set *FINISHED. */
static int receive_until(struct nl_sock *socket, uint64_t timeout_usec, const bool *finished,
			 int (*handle)(struct nlmsghdr *message, void *userdata), void *userdata)
{
	uint64_t deadline = now_usec(CLOCK_MONOTONIC) + timeout_usec;
	int r;

	while (!*finished) {
		r = module_socket_receive(socket, handle, userdata);
		if (r < 0)
			return r;
		if (r == 0 && (r = wait_until(socket, deadline)) < 0)
			return r;
	}
	return 0;
}

struct finding {
	struct module_family *family;
	uint32_t notify;
	int error;
	bool finished;
};

static int on_family(struct nlmsghdr *message, void *userdata)
{
	struct finding *finding = userdata;
	struct module_family family;
	char text[2];

	if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
		finding->finished = true;
		if (message->nlmsg_type == NLMSG_ERROR &&
		    module_parse_ack(message, &finding->error, text, sizeof(text)) < 0)
			finding->error = -EBADMSG;
		return 1;
	}
	if (message->nlmsg_type != GENL_ID_CTRL)
		return 0;
	if (module_parse_family(message, "nlctrl", "notify", &family) >= 0 && family.ours)
		finding->notify = family.events;
	if (module_parse_family(message, IOMMU_POLICY_GENL_NAME, IOMMU_POLICY_MCGRP_EVENTS, &family) >= 0 &&
	    family.ours)
		*finding->family = family;
	return 0;
}

int module_find(struct module_family *ret, uint32_t *ret_notify)
{
	struct nl_sock *socket = module_socket_new();
	struct finding finding = { .family = ret };
	struct nl_msg *message;
	int r;

	*ret = (struct module_family){};
	*ret_notify = 0;
	if (!socket)
		return -errno;
	message = nlmsg_alloc();
	if (message && !genlmsg_put(message, NL_AUTO_PORT, 1, GENL_ID_CTRL, 0, NLM_F_REQUEST | NLM_F_DUMP,
				    CTRL_CMD_GETFAMILY, 1)) {
		nlmsg_free(message);
		message = NULL;
	}
	r = send_message(socket, message);
	if (r >= 0)
		r = receive_until(socket, ANSWER_USEC, &finding.finished, on_family, &finding);
	nl_socket_free(socket);
	*ret_notify = finding.notify;
	if (r < 0 || finding.error < 0)
		return r < 0 ? r : finding.error;
	if (!ret->ours)
		return -ENOENT;
	return ret->version == IOMMU_POLICY_GENL_VERSION ? 0 : -EPROTONOSUPPORT;
}

struct module_link *module_link_close(struct module_link *link)
{
	if (!link)
		return NULL;
	nl_socket_free(link->socket);
	free(link);
	return NULL;
}

bool module_link_owns(const struct module_link *link, const struct module_holder *holder)
{
	return holder->present && holder->portid == nl_socket_get_local_port(link->socket);
}

/* One call, and what has come for it. */
struct call {
	struct module_link *link;
	const struct module_request *request;
	bool later; /* the outcome is a message of its own */
	bool acked, finished;
	int error;
	struct module_done *done;
	struct module_group *group;
};

static void finish(struct call *call, int error)
{
	call->error = error;
	call->finished = true;
}

/* The commands whose acknowledgement says -ENOENT; that of others says it where no family has the number. */
static bool may_have_nothing(enum iommu_policy_command command)
{
	return command == IOMMU_POLICY_CMD_BRACKET_END || command == IOMMU_POLICY_CMD_GATE_DISARM ||
	       command == IOMMU_POLICY_CMD_GATE_RELEASE;
}

static void on_ack(struct call *call, const struct nlmsghdr *message)
{
	char text[2];
	int error;

	if (message->nlmsg_seq != call->request->cookie)
		return; /* of a call that was given up */
	if (module_parse_ack(message, &error, text, sizeof(text)) < 0)
		finish(call, -EBADMSG);
	else if (error == -ENOENT && !may_have_nothing(call->request->command))
		finish(call, -ENOLINK);
	else if (error < 0 || !call->later)
		finish(call, error < 0 ? error : call->group && !call->acked ? -EBADMSG : 0);
}

static int on_answer(struct nlmsghdr *message, void *userdata)
{
	struct call *call = userdata;
	struct module_done done;
	int r;

	if (message->nlmsg_type == NLMSG_ERROR) {
		on_ack(call, message);
		return call->finished;
	}
	if (message->nlmsg_type != call->link->family || !genlmsg_valid_hdr(message, 0))
		return 0;
	switch (genlmsg_hdr(message)->cmd) {
	case IOMMU_POLICY_CMD_DONE:
		if (!call->later || module_parse_done(message, &done) < 0 || done.cookie != call->request->cookie)
			return 0;
		if (call->done)
			*call->done = done;
		finish(call, done.error);
		return 1;
	case IOMMU_POLICY_CMD_GROUP_GET:
		if (!call->group || call->acked || message->nlmsg_seq != call->request->cookie)
			return 0;
		r = module_parse_group(message, call->group);
		call->acked = r >= 0; /* its acknowledgement follows */
		if (r < 0)
			finish(call, r);
		return call->finished;
	default:
		return 0;
	}
}

static int run(struct module_link *link, struct module_request *request, struct call *call)
{
	int r;

	request->cookie = ++link->seq;
	call->link = link;
	call->request = request;
	call->later = module_answers_later(request->command);
	r = module_socket_send(link->socket, link->family, link->seq, request);
	if (r >= 0)
		r = receive_until(link->socket, call->later ? DONE_USEC : ANSWER_USEC, &call->finished, on_answer, call);
	if (r >= 0)
		r = call->error;
	/* On its way out it takes nothing more, and gives up what is under way. */
	return r == -ESHUTDOWN || r == -ECANCELED ? -ENOLINK : r;
}

int module_link_open(struct module_link **ret)
{
	_cleanup_(module_link_closep) struct module_link *link = NULL;
	struct module_request info = { .command = IOMMU_POLICY_CMD_INFO_GET };
	struct module_family family;
	struct call call = {};
	uint32_t notify;
	int r;

	r = module_find(&family, &notify);
	if (r < 0)
		return r;
	link = calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	link->family = family.id;
	link->socket = module_socket_new();
	if (!link->socket)
		return -errno;
	r = run(link, &info, &call);
	if (r < 0)
		return r == -ENOLINK ? -ENOENT : r;
	*ret = TAKE_PTR(link);
	return 0;
}

int module_link_call(struct module_link *link, struct module_request *request, struct module_done *ret)
{
	struct call call = { .done = ret };

	if (ret)
		*ret = (struct module_done){};
	return run(link, request, &call);
}

int module_link_get_group(struct module_link *link, unsigned group, struct module_group *ret)
{
	struct module_request request = { .command = IOMMU_POLICY_CMD_GROUP_GET, .has_group = true, .group = group };
	struct module_group found = {};
	struct call call = { .group = &found };
	int r = run(link, &request, &call);

	if (r < 0) {
		module_group_clear(&found);
		return r;
	}
	*ret = found;
	return 0;
}

char *module_holder_describe(const struct module_holder *holder)
{
	_cleanup_free_ char *path = strf("/proc/%u/comm", holder->pid);
	_cleanup_free_ char *comm = NULL;

	if (!path)
		return NULL;
	if (read_file_at(AT_FDCWD, path, COMM_MAX, &comm) < 0)
		return strf("process %u", holder->pid);
	comm[strcspn(comm, "\n")] = '\0';
	/* Any process may call itself what it likes, and this is shown to people. */
	text_replace(comm);
	return strf("process %u (%s)", holder->pid, comm);
}
