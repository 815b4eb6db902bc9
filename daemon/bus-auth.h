/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_BUS_AUTH_H
#define DAEMON_BUS_AUTH_H

#include "daemon/bus.h"

/*
 * Who may call what changes something: root, and whom polkit allows the action.
 * Nothing here waits: bus and polkit are asked, and the call goes on, or is
 * refused, when they have answered. systemd/org.iommupolicy1.policy has the
 * actions.
 */
#define BUS_ACTION_RELOAD BUS_NAME ".reload"
#define BUS_ACTION_APPLY BUS_NAME ".apply"
#define BUS_ACTION_SET_TYPE BUS_NAME ".set-type"
#define BUS_ACTION_FORCE BUS_NAME ".force" /* besides, with the option force */
#define BUS_ACTION_RESTORE BUS_NAME ".restore"
#define BUS_ACTION_LOG_LEVEL BUS_NAME ".log-level"

/*
 * How many calls may wait to be authorized: in all, and of one connection. Whose
 * a call is, root's or a stranger's, is known only when the bus has told, so in
 * all must be more than a user has: dbus-daemon allows 256 connections.
 */
#define BUS_AUTH_MAX 8192
#define BUS_AUTH_MAX_CALLER 16
/* For polkit, which may ask a person: in all, and of one user. */
#define BUS_AUTH_MAX_POLKIT 64
#define BUS_AUTH_MAX_USER 16
/* Bytes of arguments: a call is kept until it is authorized. 16 MiB in all. */
#define BUS_AUTH_MAX_BYTES 2048

/*
 * To be returned by a method's handler. Has HANDLER called with MESSAGE and M,
 * maybe later, if the sender may do ACTION, and else answers with NotAuthorized.
 * Returns 1, or a negative errno with ERROR set.
 */
int bus_authorize(struct manager *m, sd_bus_message *message, const char *action, sd_bus_message_handler_t handler,
		  sd_bus_error *error);

/* The connection goes: nobody is to be answered any more. */
void bus_auth_free(struct manager *m);

#endif
