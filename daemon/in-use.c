/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/in-use.h"
#include "daemon/in-use-sources.h"
#include "daemon/sysfs.h"

/* udev is through with a new disk within a second, and with a slow one in some. */
#define LAST_CLOSE_USEC (8 * USEC_PER_SEC)

const char *in_use_proc = "/proc";

void in_use_set_proc(const char *root)
{
	in_use_proc = root;
}

/* Drivers that hand a device on to programs: whatever it showed before, it does not show now. */
static bool shows_nothing(const char *driver)
{
	return !driver || strcmp(driver, "vfio-pci") == 0 || strcmp(driver, "pci-stub") == 0 ||
	       strcmp(driver, "pciback") == 0 || strcmp(driver, "uio_pci_generic") == 0;
}

static int display(const char *address, const struct sysfs_below *below, struct uses *uses)
{
	_cleanup_free_ char *driver = NULL;
	_cleanup_free_ char *framebuffer = NULL;
	int r;

	r = sysfs_device_driver(address, &driver);
	if (r < 0)
		return uses_unknown(uses, r, "cannot read its driver");
	if (sysfs_is_boot_display(address) && !shows_nothing(driver)) {
		r = uses_add(uses, USE_DISPLAY, strdup("it is the boot display"));
		if (r < 0)
			return r;
	}
	r = sysfs_console_framebuffer(&framebuffer);
	for (size_t i = 0; r >= 0 && framebuffer && i < below->n_nodes; i++)
		if (!below->nodes[i].block && strcmp(below->nodes[i].name, framebuffer) == 0)
			r = uses_add(uses, USE_DISPLAY, strf("%s shows the text console", framebuffer));
	return r == -ENOMEM ? r : r < 0 ? uses_unknown(uses, r, "cannot tell where the text console is") : 0;
}

static int hidden_interfaces(const struct sysfs_below *below, struct uses *uses)
{
	if (below->n_hidden == 0)
		return 0;
	if (below->n_hidden == 1)
		return uses_add(uses, USE_NAMESPACE, strdup("its network interface is in another network namespace"));
	return uses_add(uses, USE_NAMESPACE,
			strf("%zu of its network interfaces are in other network namespaces", below->n_hidden));
}

/* They go when the driver goes, or are left without one that they need, and nobody makes them again. */
static int virtual_functions(const struct sysfs_below *below, struct uses *uses)
{
	unsigned n = below->n_virtual_functions;

	if (n == 0)
		return 0;
	return uses_add(uses, USE_VIRTUAL_FUNCTIONS,
			strf("its %u virtual function%s would be lost", n, n == 1 ? "" : "s"));
}

/* A disk's own nodes, and those of what is stacked on it. A multipath head is not below the device. */
static int add_block_nodes(struct sysfs_below *below, const struct sysfs_block *blocks, size_t n)
{
	struct sysfs_node *grown = reallocarray(below->nodes, below->n_nodes + n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	below->nodes = grown;
	for (size_t i = 0; i < n; i++) {
		struct sysfs_node *node = &below->nodes[below->n_nodes];
		bool known = false;

		for (size_t j = 0; j < below->n_nodes && !known; j++)
			known = below->nodes[j].block && below->nodes[j].major == blocks[i].major &&
				below->nodes[j].minor == blocks[i].minor;
		if (known)
			continue;
		*node = (struct sysfs_node){ .major = blocks[i].major, .minor = blocks[i].minor, .block = true };
		memcpy(node->name, blocks[i].name, sizeof(node->name));
		memcpy(node->path, blocks[i].name, sizeof(blocks[i].name));
		below->n_nodes++;
	}
	return 0;
}

static int ask(const char *address, struct sysfs_below *below, struct uses *uses)
{
	_cleanup_free_ struct sysfs_block *blocks = NULL;
	size_t n = 0;
	int r;

	r = sysfs_block_below(address, &blocks, &n);
	if (r < 0)
		uses_unknown(uses, r, "cannot tell which disks it has");
	r = sysfs_read_below(address, below);
	if (r < 0)
		uses_unknown(uses, r, "cannot tell what it has");
	if ((r = in_use_block(blocks, n, uses)) < 0 || (r = in_use_share(below, uses)) < 0 ||
	    (r = in_use_net(below->interfaces, below->n_interfaces, uses)) < 0 || (r = in_use_fc(address, uses)) < 0 ||
	    (r = hidden_interfaces(below, uses)) < 0 || (r = virtual_functions(below, uses)) < 0 ||
	    (r = display(address, below, uses)) < 0 || (r = in_use_console(below->nodes, below->n_nodes, uses)) < 0)
		return r;
	/* To look at all processes takes a while, and to claim a disk may keep somebody else from it: only if need be. */
	if (uses->n)
		return 0;
	if ((r = add_block_nodes(below, blocks, n)) < 0 || (r = in_use_open(below->nodes, below->n_nodes, uses)) < 0 ||
	    uses->n)
		return r;
	return in_use_claimed(blocks, n, uses);
}

int in_use(const char *address, char **ret)
{
	struct sysfs_below below = {};
	struct uses uses = {};
	int r;

	*ret = NULL;
	r = ask(address, &below, &uses);
	if (r >= 0)
		r = uses_tell(&uses, ret);
	uses_clear(&uses);
	sysfs_below_clear(&below);
	return r;
}

int in_use_remember(const char *address, struct in_use_nodes *nodes)
{
	struct sysfs_below below = {};
	struct sysfs_node *grown;
	int r;

	r = sysfs_read_below(address, &below);
	if (r >= 0 && below.n_nodes > 0) {
		grown = reallocarray(nodes->nodes, nodes->n + below.n_nodes, sizeof(*grown));
		if (grown) {
			memcpy(grown + nodes->n, below.nodes, below.n_nodes * sizeof(*grown));
			nodes->nodes = grown;
			nodes->n += below.n_nodes;
		} else {
			r = -ENOMEM;
		}
	}
	sysfs_below_clear(&below);
	return r;
}

int in_use_await_last_close(const struct in_use_nodes *nodes, char **ret)
{
	return in_use_await_closed(nodes->nodes, nodes->n, LAST_CLOSE_USEC, ret);
}

void in_use_forget(struct in_use_nodes *nodes)
{
	free(nodes->nodes);
	*nodes = (struct in_use_nodes){};
}
