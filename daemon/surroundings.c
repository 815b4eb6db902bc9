/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include <linux/capability.h>

#include "daemon/kernel.h"
#include "daemon/log.h"
#include "daemon/manager.h"
#include "daemon/module.h"
#include "daemon/surroundings.h"
#include "daemon/sysfs-machine.h"

#define CMDLINE_MAX 65536
#define SPACE " \t\n"

/* Whether WORD (not terminated) is KEY=...VALUE..., in a list with commas as iommu= takes it. */
static bool has_value(const char *word, size_t length, const char *key, const char *value)
{
	size_t skip = strlen(key), wanted = strlen(value);

	if (length < skip || strncmp(word, key, skip) != 0)
		return false;
	for (const char *p = word + skip; p < word + length;) {
		size_t n = strcspn(p, "," SPACE);

		if (n == wanted && strncmp(p, value, n) == 0)
			return true;
		p += n + 1;
	}
	return false;
}

struct setting {
	const char *key, *value;
	bool not; /* takes back what the others say */
};

/* The last word of CMDLINE that is one of SETTINGS, as the kernel takes them; NULL if that takes back. */
static char *find_word(const char *cmdline, const struct setting *settings, size_t n)
{
	const char *found = NULL;

	for (const char *word = strempty(cmdline); *word;) {
		size_t length;

		word += strspn(word, SPACE);
		length = strcspn(word, SPACE);
		for (size_t i = 0; i < n; i++)
			if (has_value(word, length, settings[i].key, settings[i].value))
				found = settings[i].not ? NULL : word;
		word += length;
	}
	return found ? strndup(found, strcspn(found, SPACE)) : NULL;
}

char *surroundings_off_word(const char *cmdline)
{
	static const struct setting settings[] = {
		{ "iommu=", "off", false },
		{ "intel_iommu=", "off", false },
		{ "amd_iommu=", "off", false },
	};

	return find_word(cmdline, settings, ARRAY_LEN(settings));
}

char *surroundings_passthrough_word(const char *cmdline)
{
	/* iommu_set_def_domain_type() in drivers/iommu/iommu.c takes what kstrtobool() does. */
	static const struct setting settings[] = {
		{ "iommu=", "pt", false },	       { "iommu.passthrough=", "1", false },
		{ "iommu.passthrough=", "y", false },  { "iommu.passthrough=", "yes", false },
		{ "iommu.passthrough=", "on", false }, { "iommu.passthrough=", "Y", false },
		{ "iommu=", "nopt", true },	       { "iommu.passthrough=", "0", true },
		{ "iommu.passthrough=", "n", true },   { "iommu.passthrough=", "no", true },
		{ "iommu.passthrough=", "off", true }, { "iommu.passthrough=", "N", true },
	};

	return find_word(cmdline, settings, ARRAY_LEN(settings));
}

static int judge_no_iommu(const struct surroundings_facts *facts, struct surroundings *ret)
{
	_cleanup_free_ char *word = surroundings_off_word(facts->cmdline);
	const char *found = "No IOMMU is in use", *remedy;

	ret->kind = SURROUNDINGS_NO_IOMMU;
	if (facts->container) {
		found = "No IOMMU group is to be seen in this container";
		remedy = "run iommu-policyd on the host";
	} else if (!facts->groups_folder) {
		found = "This kernel is built without support for IOMMUs";
		remedy = "boot a kernel of the distribution, or one with CONFIG_IOMMU_SUPPORT=y";
	} else if (word) {
		ret->found = strf("The IOMMU is switched off by %s on the kernel command line", word);
		remedy = facts->table_intel ? "take that away and boot with intel_iommu=on" : "boot without that";
	} else if (facts->table_intel) {
		found = "No IOMMU is in use, though the firmware offers VT-d";
		remedy = "boot with intel_iommu=on; \"dmesg | grep -i dmar\" tells more";
	} else if (facts->table_amd) {
		found = "No IOMMU is in use, though the firmware offers AMD-Vi";
		remedy = "\"dmesg | grep -i amd-vi\" tells why";
	} else if (facts->table_arm) {
		found = "No IOMMU is in use, though the firmware may offer an SMMU";
		remedy = "\"dmesg | grep -iE 'smmu|iort'\" tells why";
	} else if (facts->table_virtio) {
		found = "No IOMMU is in use yet, though there is a virtio-iommu";
		remedy = "its groups are decided when the driver virtio_iommu has been loaded; if \"modprobe "
			 "virtio_iommu\" finds none, boot a kernel with CONFIG_VIRTIO_IOMMU";
	} else {
		remedy = "enable VT-d, AMD-Vi or the SMMU in the firmware's set-up, or give the virtual machine an "
			 "IOMMU";
	}
	if (!ret->found)
		ret->found = strdup(found);
	ret->remedy = strdup(remedy);
	return ret->found && ret->remedy ? 0 : -ENOMEM;
}

int surroundings_judge(const struct surroundings_facts *facts, struct surroundings *ret)
{
	const char *found, *remedy;

	*ret = (struct surroundings){ .had_groups = facts->n_groups > 0 };
	if (facts->n_groups == 0 && !facts->iommu)
		return judge_no_iommu(facts, ret);
	if (facts->n_groups == 0) {
		ret->kind = SURROUNDINGS_NO_GROUP;
		found = "There is an IOMMU, and no device has a group yet";
		remedy = "groups come with the first drivers, and are decided then";
	} else if (!facts->type_file) {
		ret->kind = SURROUNDINGS_NO_TYPE_FILE;
		found = "This kernel has no file for the type of an IOMMU group";
		remedy = "Linux 5.11 and later have it";
	} else if (facts->read_only) {
		ret->kind = SURROUNDINGS_READ_ONLY;
		found = facts->container ? "/sys is read-only in this container" : "/sys is read-only";
		remedy = facts->container ? "run iommu-policyd on the host" : "mount it writable and start iommu-policyd "
									     "again, or run it as its unit does";
	} else if (!facts->capable) {
		ret->kind = SURROUNDINGS_POWERLESS;
		found = "The capabilities CAP_SYS_ADMIN and CAP_SYS_RAWIO, which the kernel asks for, are missing";
		remedy = facts->container ? "run iommu-policyd on the host" : "run iommu-policyd as its unit does";
	} else {
		return 0;
	}
	ret->found = strdup(found);
	ret->remedy = strdup(remedy);
	return ret->found && ret->remedy ? 0 : -ENOMEM;
}

bool surroundings_prevent(const struct surroundings *surroundings)
{
	return surroundings->kind >= SURROUNDINGS_NO_TYPE_FILE;
}

char *surroundings_describe(const struct surroundings *surroundings)
{
	return strf("%s (%s)", strempty(surroundings->found), strempty(surroundings->remedy));
}

void surroundings_clear(struct surroundings *surroundings)
{
	free(surroundings->found);
	free(surroundings->remedy);
	*surroundings = (struct surroundings){};
}

static char *read_cmdline(void)
{
	char *text;

	return read_file_at(AT_FDCWD, "/proc/cmdline", CMDLINE_MAX, &text) < 0 ? NULL : text;
}

bool surroundings_switched_off(void)
{
	static const struct setting setting = { "iommu_policyd=", "off", false };
	_cleanup_free_ char *cmdline = read_cmdline();
	_cleanup_free_ char *word = find_word(cmdline, &setting, 1);

	return word;
}

bool surroundings_crash_kernel(void)
{
	return access("/proc/vmcore", F_OK) == 0;
}

/* iommu_group_store_type() in drivers/iommu/iommu.c. */
static bool is_capable(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
	uint32_t wanted = 1U << CAP_SYS_ADMIN | 1U << CAP_SYS_RAWIO;

	/* What cannot be asked is found out by the first write. */
	return syscall(SYS_capget, &header, data) < 0 || (data[0].effective & wanted) == wanted;
}

/* The marks that systemd and the usual engines leave: systemd's "Container Interface", podman, docker. */
static bool is_container(void)
{
	const char *word = getenv("container");

	return (word && *word) || access("/run/systemd/container", F_OK) == 0 ||
	       access("/run/.containerenv", F_OK) == 0 || access("/.dockerenv", F_OK) == 0;
}

/* What works, and may yet be no news that is welcome. */
static void tell_conditions(const struct manager *m, const char *cmdline)
{
	_cleanup_free_ char *word = surroundings_passthrough_word(cmdline);
	const char *lockdown = sysfs_lockdown();

	if (word)
		log_notice("%s on the kernel command line gives all devices the type identity, without protection, "
			   "where no rule says otherwise (boot without it to have them translated)", word);
	if (lockdown && !module_is_there(m))
		log_notice("The kernel is locked down (%s): types are changed all the same, but the kernel module "
			   "iommu_policy is loaded only if it is signed with a key that the kernel trusts", lockdown);
}

static void tell(const struct manager *m, const char *cmdline)
{
	const struct surroundings *found = &m->surroundings;
	struct log_fields fields = { .message_id = MESSAGE_NO_IOMMU, .group = -1 };

	switch (found->kind) {
	case SURROUNDINGS_FINE:
		tell_conditions(m, cmdline);
		break;
	case SURROUNDINGS_NO_GROUP:
		log_info("%s (%s)", strempty(found->found), strempty(found->remedy));
		break;
	case SURROUNDINGS_NO_IOMMU:
		log_struct(LOG_NOTICE, &fields, "%s, so there is nothing to do (%s)", strempty(found->found),
			   strempty(found->remedy));
		break;
	default:
		fields.message_id = MESSAGE_CANNOT_CHANGE;
		log_struct(LOG_WARNING, &fields, "%s, so groups are shown and none is changed (%s)",
			   strempty(found->found), strempty(found->remedy));
	}
}

void surroundings_look(struct manager *m)
{
	_cleanup_free_ char *cmdline = read_cmdline();
	struct surroundings_facts facts = {
		.n_groups = m->inventory.n_groups,
		.groups_folder = sysfs_has_groups_folder(),
		.iommu = sysfs_has_iommu(),
		.type_file = kernel_has_type_file(),
		.read_only = sysfs_is_read_only(),
		.capable = is_capable(),
		.container = is_container(),
		.table_intel = sysfs_has_firmware_table("DMAR"),
		.table_amd = sysfs_has_firmware_table("IVRS"),
		.table_arm = sysfs_has_firmware_table("IORT"),
		.table_virtio = sysfs_has_firmware_table("VIOT"),
		.cmdline = cmdline,
	};

	surroundings_clear(&m->surroundings);
	if (surroundings_judge(&facts, &m->surroundings) < 0)
		log_oom();
	log_debug("%zu groups, %zu devices", m->inventory.n_groups, m->inventory.n_devices);
	tell(m, cmdline);
}

bool surroundings_follow(struct manager *m)
{
	if (m->surroundings.had_groups || m->inventory.n_groups == 0)
		return false;
	surroundings_look(m);
	return true;
}
