/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <ini.h>

#include "daemon/in-use.h"
#include "daemon/module-link.h"
#include "daemon/state-file.h"
#include "daemon/sysfs.h"
#include "daemon/transaction.h"
#include "daemon/user.h"
#include "daemon/util.h"
#include "tests/unit/fake-kernel.h"

struct fake_kernel fake;

/* What is registered; the first takes the device by itself, the others by an override only. */
static const char *const drivers[] = { "e1000e", "vfio-pci", "other" };

void fake_process_ends(void)
{
	fake.held = fake.bracket = false;
	fake.n_ops = 0;
	fake.last = 0;
	memset(fake.faults, 0, sizeof(fake.faults));
}

void fake_reset(void)
{
	free(fake.record);
	fake = (struct fake_kernel){};
}

/* Time passes while somebody waits. */
static uint64_t now;

int __wrap_usleep(useconds_t usec);
int __wrap_usleep(useconds_t usec)
{
	now += usec;
	return 0;
}

uint64_t __wrap_now_usec(clockid_t clock);
uint64_t __wrap_now_usec(clockid_t clock)
{
	(void)clock;
	return now;
}

static void violate(const char *what)
{
	if (!fake.violation)
		fake.violation = what;
}

static void take(char *where, const char *value)
{
	snprintf(where, sizeof(fake.devices[0].driver), "%s", strempty(value));
}

/* Whether it is carried out; if not, *RET is what to answer. */
static bool operate(const char *name, int *ret)
{
	fake.n_ops++;
	if (fake.n_ops <= FAKE_OPS_MAX)
		fake.ops[fake.n_ops] = name;
	else
		violate("it does not end");
	/* Not between its own comparing and writing, which nobody can prevent. */
	if (fake.n_ops == fake.meddle && strcmp(name, "override") != 0 &&
	    strcmp(fake.devices[0].override, TRANSACTION_PIN) == 0) {
		take(fake.devices[0].override, "other");
		fake.meddled = true;
	}
	*ret = -ECANCELED;
	if ((fake.last && fake.n_ops >= fake.last) || fake.n_ops > FAKE_OPS_MAX)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(fake.faults); i++)
		if (fake.faults[i].at == fake.n_ops) {
			*ret = -fake.faults[i].error;
			return false;
		}
	*ret = 0;
	return true;
}

static struct fake_device *find(const char *address)
{
	for (size_t i = 0; i < fake.n_devices; i++)
		if (strcmp(fake.devices[i].address, address) == 0)
			return fake.devices[i].gone ? NULL : &fake.devices[i];
	return NULL;
}

static size_t n_bound(void)
{
	size_t n = 0;

	for (size_t i = 0; i < fake.n_devices; i++)
		n += !fake.devices[i].gone && *fake.devices[i].driver;
	return n;
}

static bool matches(const struct fake_device *device, const char *driver)
{
	return strcmp(*device->override ? device->override : drivers[0], driver) == 0;
}

static int give(const char *value, char **ret)
{
	*ret = *value ? strdup(value) : NULL;
	return *value && !*ret ? -ENOMEM : 0;
}

/* -- the driver core ------------------------------------------------------------ */

int sysfs_device_driver(const char *address, char **ret)
{
	const struct fake_device *device = find(address);

	return device ? give(device->driver, ret) : -ENODEV;
}

int sysfs_read_override(int dir_fd, const char *address, char **ret)
{
	const struct fake_device *device = find(address);

	(void)dir_fd;
	return device ? give(device->override, ret) : -ENODEV;
}

int sysfs_write_override(int dir_fd, const char *address, const char *override)
{
	struct fake_device *device = find(address);
	int r;

	(void)dir_fd;
	if (!operate("override", &r)) {
		/* What this errno means here. */
		if (device && r == -ENODEV)
			device->gone = true;
		return r;
	}
	if (!device)
		return -ENODEV;
	device->fenced = true;
	take(device->override, override);
	return 0;
}

int sysfs_unbind(const char *address, const char *driver)
{
	struct fake_device *device = find(address);
	int r;

	if (!operate("unbind", &r)) {
		/* What this errno means here. */
		if (device && r == -ENODEV)
			*device->driver = '\0';
		return r;
	}
	if (!device || strcmp(device->driver, driver) != 0)
		return -ENODEV;
	if (device->in_use)
		violate("unbinds a device in use");
	*device->driver = '\0';
	return 0;
}

static int probe_with(struct fake_device *device, const char *driver)
{
	if (fake.held || device->gated)
		return -EAGAIN;
	if (fake.claimed)
		return -EBUSY;
	if (fake.probe_fails != DOMAIN_NONE && fake.probe_fails == fake.type)
		return -EIO;
	take(device->driver, driver);
	return 0;
}

bool sysfs_driver_exists(const char *driver)
{
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (strcmp(drivers[i], driver) == 0)
			return true;
	return false;
}

int sysfs_bind(const char *address, const char *driver)
{
	struct fake_device *device = find(address);
	int r;

	if (!operate("bind", &r))
		return r;
	if (!sysfs_driver_exists(driver))
		return -ENOENT;
	if (!device || *device->driver)
		return -ENODEV;
	if (strcmp(device->override, TRANSACTION_PIN) == 0)
		violate("binds a device that it has pinned");
	if (fake.held)
		violate("binds a device that it holds");
	if (!matches(device, driver))
		return -ENODEV;
	return probe_with(device, driver);
}

int sysfs_probe(const char *address)
{
	struct fake_device *device = find(address);
	int r;

	if (!operate("probe", &r))
		return r;
	if (!device || *device->driver)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (matches(device, drivers[i]))
			return probe_with(device, drivers[i]) < 0 ? -EINVAL : 0;
	return -EINVAL;
}

int sysfs_list_drivers(char ***ret)
{
	*ret = NULL;
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (strv_add(ret, drivers[i]) < 0)
			return -ENOMEM;
	return 0;
}

int sysfs_open_device(const char *address)
{
	struct fake_device *device = find(address);
	int fd = device ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -ENOENT;

	/* The number may have been another one's, which has closed it. */
	for (size_t i = 0; fd >= 0 && i < fake.n_devices; i++)
		if (fake.devices[i].fd == fd)
			fake.devices[i].fd = 0;
	if (fd >= 0)
		device->fd = fd;
	return fd;
}

int sysfs_read_device(const char *address, struct sysfs_device *ret)
{
	*ret = (struct sysfs_device){};
	return find(address) ? 0 : -ENODEV;
}

void sysfs_device_clear(struct sysfs_device *device)
{
	*device = (struct sysfs_device){};
}

/* -- the group ------------------------------------------------------------------ */

static bool group_is_there(void)
{
	for (size_t i = 0; i < fake.n_devices; i++)
		if (!fake.devices[i].gone)
			return true;
	return false;
}

int sysfs_open_group(unsigned group)
{
	return group == FAKE_GROUP && group_is_there() ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -ENOENT;
}

bool sysfs_is_there(int dir_fd)
{
	for (size_t i = 0; i < fake.n_devices; i++)
		if (fake.devices[i].fd == dir_fd)
			return !fake.devices[i].gone;
	return group_is_there();
}

int sysfs_group_devices(int fd, char ***ret_pci, char ***ret_other)
{
	(void)fd;
	*ret_pci = NULL;
	if (ret_other)
		*ret_other = NULL;
	for (size_t i = 0; i < fake.n_devices; i++)
		if (!fake.devices[i].gone && strv_add(ret_pci, fake.devices[i].address) < 0)
			return -ENOMEM;
	return 0;
}

int sysfs_group_type(int fd, enum domain *ret)
{
	(void)fd;
	*ret = fake.type;
	return 0;
}

int sysfs_write_group_type(int fd, enum domain domain)
{
	bool live = fake.type == DOMAIN_DMA && domain == DOMAIN_DMA_FQ;
	int r;

	(void)fd;
	if (!operate("type", &r))
		return r;
	if (domain == fake.type)
		violate("writes the type that is there");
	if (fake.module && !fake.bracket)
		violate("writes the type outside a bracket");
	if (!fake.many && fake.n_devices > 1)
		return -EINVAL;
	if (fake.claimed)
		violate("writes the type of a group that is claimed");
	/* A group of several is asked while it is bound, to learn whether the kernel can do it at all. */
	if (n_bound() && !live && n_bound() < fake.n_devices)
		violate("writes the type while a device is bound");
	if (n_bound() && !live && fake.n_devices == 1)
		violate("writes the type while the device is bound");
	if (fake.claimed || (n_bound() && !live))
		return fake.many ? -EPERM : -EBUSY;
	fake.type = domain;
	return 0;
}

int in_use(const char *address, char **ret)
{
	const struct fake_device *device = find(address);

	*ret = NULL;
	if (!device || !device->in_use)
		return 0;
	*ret = strdup("somebody has it");
	return 1;
}

int in_use_remember(const char *address, struct in_use_nodes *nodes)
{
	(void)nodes;
	return find(address) ? 0 : -ENODEV;
}

int in_use_await_last_close(const struct in_use_nodes *nodes, char **ret)
{
	int r;

	(void)nodes;
	*ret = NULL;
	operate("last-close", &r);
	return r;
}

void in_use_forget(struct in_use_nodes *nodes)
{
	(void)nodes;
}

int user_find(unsigned group, const char *const *addresses, size_t n, struct user *ret, char **ret_text)
{
	(void)group;
	(void)addresses;
	(void)n;
	*ret = (struct user){};
	*ret_text = NULL;
	return 0;
}

/* -- the kernel module ---------------------------------------------------------- */

struct module_link {
	int unused;
};

int module_link_open(struct module_link **ret)
{
	if (!fake.module)
		return -ENOENT;
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

struct module_link *module_link_close(struct module_link *link)
{
	if (link)
		fake.held = fake.bracket = false;
	free(link);
	return NULL;
}

static int call(const struct module_request *request)
{
	struct fake_device *device = request->device ? find(request->device) : NULL;

	switch (request->command) {
	case IOMMU_POLICY_CMD_HOLD:
		fake.held = true;
		for (size_t i = 0; i < fake.n_devices; i++)
			fake.devices[i].fenced = true;
		return 0;
	case IOMMU_POLICY_CMD_RELEASE:
		if (!fake.held)
			return -ENOENT;
		fake.held = false;
		return 0;
	case IOMMU_POLICY_CMD_BRACKET_BEGIN:
		if (fake.claimed || fake.bracket || (n_bound() && !(request->flags & IOMMU_POLICY_F_LIVE)))
			return -EBUSY;
		fake.bracket = true;
		return 0;
	case IOMMU_POLICY_CMD_BRACKET_END:
		if (!fake.bracket)
			return -ENOENT;
		fake.bracket = false;
		return 0;
	case IOMMU_POLICY_CMD_CLAIM:
		if (n_bound())
			return -EBUSY;
		fake.claimed = true; /* also where it is already, by a persistent claim */
		return 0;
	case IOMMU_POLICY_CMD_UNCLAIM:
		if (!fake.claimed)
			return -ENOENT;
		fake.claimed = false;
		return 0;
	case IOMMU_POLICY_CMD_GATE_RELEASE:
		if (!device || !device->gated)
			return -ENOENT;
		device->gated = false;
		if (request->flags & IOMMU_POLICY_F_PROBE)
			for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
				if (matches(device, drivers[i]))
					probe_with(device, drivers[i]);
		return 0;
	default:
		violate("asks the module for what is not known here");
		return -EINVAL;
	}
}

int module_link_call(struct module_link *link, struct module_request *request, struct module_done *ret)
{
	static const char *const names[] = {
		[IOMMU_POLICY_CMD_HOLD] = "hold",
		[IOMMU_POLICY_CMD_RELEASE] = "release",
		[IOMMU_POLICY_CMD_BRACKET_BEGIN] = "bracket-begin",
		[IOMMU_POLICY_CMD_BRACKET_END] = "bracket-end",
		[IOMMU_POLICY_CMD_GATE_RELEASE] = "gate-release",
		[IOMMU_POLICY_CMD_CLAIM] = "claim",
		[IOMMU_POLICY_CMD_UNCLAIM] = "unclaim",
	};
	int r;

	(void)link;
	if (ret)
		*ret = (struct module_done){};
	if (operate(names[request->command], &r))
		return call(request);
	/* What this errno means here. */
	if (request->command == IOMMU_POLICY_CMD_RELEASE && r == -ENODEV)
		fake.held = false;
	return r;
}

int module_link_get_group(struct module_link *link, unsigned group, struct module_group *ret)
{
	(void)link;
	*ret = (struct module_group){
		.id = group,
		.hold.present = fake.held,
		.bracket.present = fake.bracket,
		.claim.present = fake.claimed,
	};
	return 0;
}

bool module_link_owns(const struct module_link *link, const struct module_holder *holder)
{
	(void)link;
	return holder->present;
}

char *module_holder_describe(const struct module_holder *holder)
{
	(void)holder;
	return strdup("somebody");
}

/* -- state files: one, the record ----------------------------------------------- */

int state_file_write(const char *dir, const char *name, void (*body)(FILE *f, const void *data), const void *data)
{
	char *text = NULL;
	size_t size;
	FILE *f;
	int r;

	(void)dir;
	(void)name;
	if (!operate("record", &r))
		return r;
	f = open_memstream(&text, &size);
	if (!f)
		return -ENOMEM;
	body(f, data);
	fclose(f);
	free(fake.record);
	fake.record = text;
	return 0;
}

int state_file_read(const char *dir, const char *name,
		    int (*handler)(void *userdata, const char *section, const char *key, const char *value),
		    void *userdata)
{
	(void)dir;
	(void)name;
	if (!fake.record)
		return -ENOENT;
	return ini_parse_string(fake.record, handler, userdata) == 0 ? 0 : -EBADMSG;
}

int state_file_remove(const char *dir, const char *name)
{
	int r;

	(void)dir;
	(void)name;
	if (!operate("record-remove", &r))
		return r;
	free(fake.record);
	fake.record = NULL;
	return 0;
}

int state_file_list_numbers(const char *dir, unsigned **ret, size_t *ret_n)
{
	(void)dir;
	*ret = NULL;
	*ret_n = 0;
	return 0;
}
