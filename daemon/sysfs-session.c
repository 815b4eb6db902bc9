/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "daemon/sysfs-files.h"
#include "daemon/sysfs-session.h"
#include "daemon/util.h"

/* Two port names of 18 characters each with what stands before them; an IPv6 address with its scope is shorter. */
#define ADDRESS_MAX 96

struct session_list {
	struct sysfs_session *items;
	size_t n;
};

static void session_list_done(struct session_list *list)
{
	free(list->items);
}

static int session_list_add(struct session_list *list, const struct sysfs_session *session)
{
	struct sysfs_session *grown = reallocarray(list->items, list->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->items = grown;
	list->items[list->n++] = *session;
	return 0;
}

/*
 * It goes, or the driver has nothing to say: ENOTCONN is iscsi_tcp's between
 * two connections, ENOSYS that of adapters that do iSCSI by themselves.
 */
static bool is_absent(int r)
{
	return r == -ENOENT || r == -ENODEV || r == -ENOTCONN || r == -ENOSYS || r == -EINVAL;
}

/* What stands in the file, or -ENODATA where nothing does. */
static int read_value(char **ret, const char *directory, const char *attribute)
{
	_cleanup_free_ char *path = strf("%s/%s", directory, attribute);
	int r;

	*ret = NULL;
	if (!path)
		return -ENOMEM;
	r = sysfs_read_attribute_at(AT_FDCWD, path, ret);
	if (r < 0)
		return is_absent(r) ? -ENODATA : r;
	return **ret ? 0 : -ENODATA;
}

static bool copy_string(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	if (length >= size)
		return false;
	memcpy(to, from, length + 1);
	return true;
}

/* Of a disk that is in the machine or made up in it, there is nothing to say. */
static bool is_remote(const char *transport, struct sysfs_session *session)
{
	static const struct {
		const char *word, *name;
		enum session_kind kind;
	} table[] = {
		{ "tcp", "TCP", SESSION_NVME },
		{ "rdma", "RDMA", SESSION_NVME },
		{ "fc", "FC", SESSION_NVME_FC },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(transport, table[i].word) == 0) {
			session->kind = table[i].kind;
			return copy_string(session->transport, sizeof(session->transport), table[i].name);
		}
	return false;
}

static int add_nvme(struct session_list *list, const char *class, const char *name)
{
	_cleanup_free_ char *directory = strf("%s/%s", class, name);
	_cleanup_free_ char *transport = NULL;
	_cleanup_free_ char *address = NULL;
	struct sysfs_session session = {};
	char value[ADDRESS_MAX];
	int r;

	if (!directory)
		return -ENOMEM;
	r = read_value(&transport, directory, "transport");
	if (r < 0)
		return r == -ENODATA ? 0 : r;
	if (!is_remote(transport, &session))
		return 0;
	if (!copy_string(session.name, sizeof(session.name), name))
		return -ENAMETOOLONG;
	r = read_value(&address, directory, "address");
	if (r < 0 && r != -ENODATA)
		return r;
	if (address && session.kind == SESSION_NVME_FC) {
		if (session_option(address, "host_traddr", value, sizeof(value)))
			session_fc_port(value, &session.port);
	} else if (address) {
		session.has_remote = session_option(address, "traddr", value, sizeof(value)) &&
				     session_address_parse(value, &session.remote);
		if (session_option(address, "host_iface", value, sizeof(value)) &&
		    !copy_string(session.interface, sizeof(session.interface), value))
			return -ENAMETOOLONG;
	}
	return session_list_add(list, &session);
}

/* The interface that iscsid bound the session's host to; what is not bound has a word there that is no interface's. */
static int read_bound_interface(struct sysfs_session *session, const char *connection)
{
	_cleanup_free_ char *real = realpath(connection, NULL);
	_cleanup_free_ char *directory = NULL;
	_cleanup_free_ char *name = NULL;
	const char *host = real ? strstr(real, "/host") : NULL;
	unsigned number;
	int r;

	if (!host || sscanf(host, "/host%u/", &number) != 1)
		return 0;
	directory = strf("%s/class/iscsi_host/host%u", sysfs_root, number);
	if (!directory)
		return -ENOMEM;
	r = read_value(&name, directory, "netdev");
	if (r < 0)
		return r == -ENODATA ? 0 : r;
	if (strcmp(name, "default") != 0 && name[0] != '(' && name[0] != '<')
		copy_string(session->interface, sizeof(session->interface), name);
	return 0;
}

/*
 * Where the connection leads is in one file, without a scope; what it was set
 * up with, and what it is set up with again, is in the other, maybe by a name.
 */
static int read_remote(struct sysfs_session *session, const char *directory)
{
	static const char *const names[] = { "address", "persistent_address" };
	struct session_address found;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *text = NULL;
		int r = read_value(&text, directory, names[i]);

		if (r < 0 && r != -ENODATA)
			return r;
		if (!text || !session_address_parse(text, &found))
			continue;
		if (!session->has_remote || *found.scope)
			session->remote = found;
		session->has_remote = true;
	}
	return 0;
}

static int add_iscsi(struct session_list *list, const char *class, const char *name)
{
	_cleanup_free_ char *directory = strf("%s/%s", class, name);
	_cleanup_free_ char *owner = NULL;
	_cleanup_free_ char *target = NULL;
	struct sysfs_session session = { .kind = SESSION_ISCSI };
	unsigned number, connection;
	int end = 0, r;

	if (sscanf(name, "connection%u:%u%n", &number, &connection, &end) != 2 || name[end])
		return 0;
	snprintf(session.name, sizeof(session.name), "%u", number);
	owner = strf("%s/class/iscsi_session/session%u", sysfs_root, number);
	if (!directory || !owner)
		return -ENOMEM;
	if (access(directory, F_OK) < 0)
		return errno == ENOENT ? 0 : -errno;
	r = read_value(&target, owner, "targetname");
	if (r < 0 && r != -ENODATA)
		return r;
	if (target && !copy_string(session.target, sizeof(session.target), target))
		return -ENAMETOOLONG;
	r = read_remote(&session, directory);
	if (r >= 0)
		r = read_bound_interface(&session, directory);
	return r < 0 ? r : session_list_add(list, &session);
}

static int add_class(struct session_list *list, const char *name,
		     int (*add)(struct session_list *list, const char *class, const char *name))
{
	_cleanup_free_ char *class = strf("%s/class/%s", sysfs_root, name);
	_cleanup_strv_ char **names = NULL;
	int r;

	if (!class)
		return -ENOMEM;
	r = sysfs_list_names_at(AT_FDCWD, class, &names);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (char **item = names; r >= 0 && item && *item; item++)
		r = add(list, class, *item);
	return r;
}

int sysfs_sessions(struct sysfs_session **ret, size_t *ret_n)
{
	_cleanup_(session_list_done) struct session_list list = {};
	int r;

	r = add_class(&list, "nvme", add_nvme);
	if (r >= 0)
		r = add_class(&list, "iscsi_connection", add_iscsi);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(list.items);
	*ret_n = list.n;
	return 0;
}

int sysfs_fc_hosts_below(const char *address, struct sysfs_fc_host **ret, size_t *ret_n)
{
	_cleanup_free_ char *link = sysfs_device_path(address, "");
	_cleanup_free_ char *class = strf("%s/class/fc_host", sysfs_root);
	_cleanup_free_ struct sysfs_fc_host *hosts = NULL;
	_cleanup_free_ char *device = NULL;
	_cleanup_strv_ char **names = NULL;
	size_t n = 0, length;
	int r;

	if (!link || !class)
		return -ENOMEM;
	r = sysfs_list_names_at(AT_FDCWD, class, &names);
	if (r < 0 && r != -ENOENT)
		return r;
	device = realpath(link, NULL);
	if (!device)
		return errno == ENOENT ? -ENODEV : -errno;
	length = strlen(device);
	hosts = calloc(strv_len(names) + 1, sizeof(*hosts));
	if (!hosts)
		return -ENOMEM;
	for (char **name = names; name && *name; name++) {
		_cleanup_free_ char *entry = strf("%s/%s", class, *name);
		_cleanup_free_ char *real = NULL;
		_cleanup_free_ char *port = NULL;

		if (!entry)
			return -ENOMEM;
		real = realpath(entry, NULL);
		if (!real || strncmp(real, device, length) != 0 || real[length] != '/')
			continue;
		r = read_value(&port, entry, "port_name");
		if (r == -ENODATA)
			continue;
		if (r < 0)
			return r;
		if (!session_fc_port(port, &hosts[n].port))
			return -EBADMSG;
		if (!copy_string(hosts[n].name, sizeof(hosts[n].name), *name))
			return -ENAMETOOLONG;
		n++;
	}
	*ret = TAKE_PTR(hosts);
	*ret_n = n;
	return 0;
}
