/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_MODULE_LINK_H
#define DAEMON_MODULE_LINK_H

#include "daemon/module-message.h"
#include "daemon/util.h"

struct nl_sock;

/*
 * A connection to the kernel module. What a process has asked for through it
 * (a hold, a bracket) ends when it is closed, whatever closes it. Calls wait
 * for their answer, within bounds: for worker processes. Functions return 0 or
 * a negative errno and log nothing.
 */
struct module_link;

/*
 * -ENOENT: the module is not loaded. -EPROTONOSUPPORT: it speaks another
 * version of the interface. -EPERM: it does not serve this process.
 */
int module_link_open(struct module_link **ret);
struct module_link *module_link_close(struct module_link *link); /* returns NULL */
static inline void module_link_closep(struct module_link **link)
{
	*link = module_link_close(*link);
}

/*
 * Sends REQUEST, whose cookie is set here, and waits for what it comes to:
 * errors as linux/iommu_policy.h has them, and -ENOLINK where the module has
 * gone. *RET may be NULL; its holder is who is in the way.
 */
int module_link_call(struct module_link *link, struct module_request *request, struct module_done *ret);

/* GROUP_GET. To be cleared with module_group_clear(). */
int module_link_get_group(struct module_link *link, unsigned group, struct module_group *ret);

/* Whether HOLDER is this very connection. */
bool module_link_owns(const struct module_link *link, const struct module_holder *holder);

/* "process 4711 (qemu-system-x86)", malloc'd; NULL when out of memory. */
char *module_holder_describe(const struct module_holder *holder);

/*
 * Shared with the daemon's own sockets (module.c).
 *
 * Looks for the module among the families that the kernel has. By a list of all
 * of them: asking for one by its name would have the kernel load the module
 * again that somebody has just unloaded. *RET_NOTIFY is the multicast group
 * that tells of families that come and go. Errors as module_link_open().
 */
int module_find(struct module_family *ret, uint32_t *ret_notify);

/* A generic netlink socket that does not wait. NULL with errno set. */
struct nl_sock *module_socket_new(void);
int module_socket_send(struct nl_sock *socket, uint16_t family, uint32_t seq, const struct module_request *request);

/*
 * Receives what is there and has HANDLE called for each message of the kernel's
 * in it until that returns other than 0. Returns 1, 0 where nothing is there, or
 * a negative errno: -ENOBUFS where messages have been lost.
 */
int module_socket_receive(struct nl_sock *socket, int (*handle)(struct nlmsghdr *message, void *userdata),
			  void *userdata);

#endif
