/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/machine.h"

#include <errno.h>
#include <string.h>

#include "ctl/failure.h"
#include "daemon/inventory.h"
#include "daemon/way.h"

struct machine_group {
	struct group group;
	struct group_facts facts;
};

static void free_group(struct machine_group *g)
{
	group_facts_clear(&g->facts);
	for (size_t i = 0; i < g->group.n_devices; i++) {
		struct device *device = g->group.devices[i];

		free(device->address);
		free(device->driver);
		sysfs_device_clear(&device->attributes);
		free(device);
	}
	free(g->group.devices);
	free(g);
}

/* -ENOENT, -ENODEV: it was unplugged while its group was read. */
static int add_device(struct machine_group *g, const char *address)
{
	struct group *group = &g->group;
	struct device *device = calloc(1, sizeof(*device));
	int r = -ENOMEM;

	if (device)
		device->address = strdup(address);
	if (device && device->address)
		r = sysfs_read_device(address, &device->attributes);
	if (r >= 0)
		r = sysfs_device_driver(address, &device->driver);
	if (r < 0) {
		if (device) {
			free(device->address);
			sysfs_device_clear(&device->attributes);
		}
		free(device);
		return r;
	}
	device->group = group;
	group->devices[group->n_devices++] = device; /* the caller has made room */
	return 0;
}

static bool has_gone(int r)
{
	return r == -ENOENT || r == -ENODEV;
}

static int read_devices(struct machine_group *g, int fd)
{
	_cleanup_strv_ char **addresses = NULL;
	int r;

	r = sysfs_group_devices(fd, &addresses, NULL);
	if (r < 0)
		return r;
	g->group.devices = calloc(strv_len(addresses) + 1, sizeof(*g->group.devices));
	if (!g->group.devices)
		return -ENOMEM;
	for (char **address = addresses; address && *address; address++) {
		r = add_device(g, *address);
		if (r < 0 && !has_gone(r))
			return r;
	}
	return 0;
}

static bool requires_direct(int fd)
{
	_cleanup_free_ struct sysfs_region *regions = NULL;
	size_t n = 0;

	if (sysfs_group_regions(fd, &regions, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(regions[i].kind, "direct") == 0)
			return true;
	return false;
}

static int read_group(unsigned id, struct machine_group **ret)
{
	struct machine_group *g = calloc(1, sizeof(*g));
	_cleanup_close_ int fd = -1;
	int r;

	if (!g)
		return -ENOMEM;
	g->group.id = id;
	r = fd = sysfs_open_group(id);
	if (r >= 0)
		r = read_devices(g, fd);
	if (r >= 0) {
		/* An older kernel, or a word that is somebody's ownership: the type is not known. */
		if (sysfs_group_type(fd, &g->group.type) < 0)
			g->group.type = DOMAIN_NONE;
		g->group.requires_direct = requires_direct(fd);
		r = group_facts_make(&g->group, &g->facts);
	}
	if (r < 0) {
		free_group(g);
		return r;
	}
	*ret = g;
	return 0;
}

int machine_read(struct machine *ret)
{
	_cleanup_free_ unsigned *ids = NULL;
	size_t n = 0;
	int r;

	*ret = (struct machine){};
	r = sysfs_list_groups(&ids, &n);
	if (r < 0)
		return r;
	ret->groups = calloc(n + 1, sizeof(struct machine_group *));
	if (!ret->groups)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		r = read_group(ids[i], &ret->groups[ret->n_groups]);
		if (r >= 0)
			ret->n_groups++;
		else if (!has_gone(r)) {
			machine_clear(ret);
			return r;
		}
	}
	return 0;
}

int machine_load(const struct ctl *ctl, struct machine *ret)
{
	int r = machine_read(ret);

	if (r == -ENOMEM)
		return complain_memory();
	if (r < 0)
		return failure_complain(ctl, EXIT_CODE_FAILED, -r,
					"reading the IOMMU groups below /sys: %s", strerror(-r));
	return 0;
}

void machine_clear(struct machine *machine)
{
	for (size_t i = 0; i < machine->n_groups; i++)
		free_group(machine->groups[i]);
	free(machine->groups);
	*machine = (struct machine){};
}

struct machine_group *machine_group(const struct machine *machine, unsigned id)
{
	for (size_t i = 0; i < machine->n_groups; i++)
		if (machine->groups[i]->group.id == id)
			return machine->groups[i];
	return NULL;
}

unsigned machine_group_id(const struct machine_group *group)
{
	return group->group.id;
}

const struct group_facts *machine_group_facts(const struct machine_group *group)
{
	return &group->facts;
}

const char *machine_group_driver(const struct machine_group *group, size_t i)
{
	return group->group.devices[i]->driver;
}

void machine_know(struct machine_group *group, enum domain current, enum domain boot)
{
	group->group.type = group->facts.current = current;
	group->group.boot_type = group->facts.boot = boot;
}

int machine_outlook(const struct machine_group *group, const struct decision *decision,
		    struct machine_outlook *ret)
{
	struct way_options options = {};
	struct group decided = group->group;
	bool lacking = false;
	enum way way = WAY_NOTHING;
	enum state state = STATE_UNMANAGED;
	char *reason = NULL;

	decided.decision = *decision;
	if (decision->verdict == VERDICT_REFUSED) {
		state = STATE_REFUSED;
	} else if (decision->verdict == VERDICT_TARGET && way_refusal(&decided)) {
		state = STATE_REFUSED;
		reason = strdup(way_refusal(&decided));
		if (!reason)
			return -ENOMEM;
	} else if (decision->verdict == VERDICT_TARGET) {
		way = way_choose(&decided, &options, &lacking, &reason);
		/* There is a reason where something has to be waited for, be it for one device only. */
		state = lacking || reason || way == WAY_WAIT ? STATE_PENDING : STATE_COMPLIANT;
	}
	if (!reason)
		reason = strdup(strempty(decision->reason));
	*ret = (struct machine_outlook){
		.state = state_to_string(state),
		.way = way_to_string(way),
		.reason = reason,
	};
	return reason ? 0 : -ENOMEM;
}
