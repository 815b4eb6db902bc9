/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/describe.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "ctl/display.h"
#include "ctl/util.h"

#define USEC_PER_SEC 1000000ULL

char *describe_members(const struct model_group *group)
{
	FILE *f;
	char *ret = NULL;
	size_t size;

	f = open_memstream(&ret, &size);
	if (!f)
		return NULL;
	for (size_t i = 0; i < group->n_devices; i++) {
		const struct model_device *device = group->devices[i];

		fprintf(f, "%s%s %s", i > 0 ? ", " : "", device->address,
			str_or(device->driver, "(no driver)"));
	}
	if (fclose(f) != 0) {
		free(ret);
		return NULL;
	}
	return ret;
}

/* Lists are joined by ", ", so that a name ("Advanced Micro Devices, Inc.") must not have it. */
static void put_name(FILE *f, const struct model_device *device)
{
	const char *name = str_or(device->device_name, device->vendor_name);

	if (*name)
		fputc(' ', f);
	for (; *name; name++)
		if (name[0] != ',' || name[1] != ' ')
			fputc(*name, f);
}

const char *describe_short_address(const char *address)
{
	return strncmp(address, "0000:", 5) == 0 ? address + 5 : address;
}

static char *list_devices(const struct model_group *group, bool brief)
{
	char *ret = NULL;
	size_t size;
	FILE *f = open_memstream(&ret, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < group->n_devices; i++) {
		const struct model_device *device = group->devices[i];

		fprintf(f, "%s%s", i > 0 ? ", " : "",
			brief ? describe_short_address(device->address) : device->address);
		fprintf(f, " %s", str_or(device->driver, brief ? "-" : "(no driver)"));
		if (!brief)
			put_name(f, device);
	}
	if (fclose(f) != 0) {
		free(ret);
		return NULL;
	}
	return ret;
}

int describe_content(const struct model_group *group, char **ret, size_t *ret_keep,
		     char **ret_brief)
{
	*ret = list_devices(group, false);
	*ret_brief = list_devices(group, true);
	if (!*ret || !*ret_brief) {
		free(*ret);
		free(*ret_brief);
		*ret = *ret_brief = NULL;
		return -ENOMEM;
	}
	/* Of one device, address and driver will do; several are better all there without names. */
	*ret_keep = DISPLAY_UNLIMITED;
	if (group->n_devices == 1)
		*ret_keep = strlen(group->devices[0]->address) + 1 +
			    display_width(str_or(group->devices[0]->driver, "(no driver)")) + 3;
	return 0;
}

char *describe_name(const struct model_device *device)
{
	bool both = *device->vendor_name && *device->device_name;
	char *ret;

	return asprintf(&ret, "%s%s%s", device->vendor_name, both ? " " : "",
			device->device_name) < 0 ? NULL : ret;
}

const char *describe_flags(const struct model_device *device)
{
	static const char *const words[] = {
		"",	  "removable",	       "vf",	     "removable, vf",
		"bridge", "removable, bridge", "vf, bridge", "removable, vf, bridge",
	};

	return words[device->removable + 2 * device->virtual_function + 4 * device->bridge];
}

uint64_t realtime_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

void describe_age(uint64_t usec, uint64_t now, char *ret, size_t size)
{
	static const struct {
		uint64_t seconds;
		const char *unit;
	} units[] = {
		{ 24 * 60 * 60, "d" },
		{ 60 * 60, "h" },
		{ 60, "min" },
		{ 1, "s" },
	};
	uint64_t seconds = now > usec ? (now - usec) / USEC_PER_SEC : 0;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (seconds >= units[i].seconds) {
			snprintf(ret, size, "%" PRIu64 "%s ago", seconds / units[i].seconds,
				 units[i].unit);
			return;
		}
	snprintf(ret, size, "now");
}

char *describe_time(uint64_t usec, uint64_t now)
{
	time_t seconds = (time_t)(usec / USEC_PER_SEC);
	char stamp[64], age[32], *ret;
	struct tm tm;

	if (usec == 0 || !localtime_r(&seconds, &tm) ||
	    strftime(stamp, sizeof(stamp), "%a %F %T %Z", &tm) == 0)
		return strdup("");
	describe_age(usec, now, age, sizeof(age));
	return asprintf(&ret, "%s, %s", stamp, age) < 0 ? NULL : ret;
}

bool group_needs_reason(const struct model_group *group)
{
	if (!*group->reason)
		return false;
	if (streq(group->state, "compliant"))
		return false;
	if (streq(group->state, "unmanaged"))
		return group->drifted ||
		       (*group->boot_type && !streq(group->type, group->boot_type));
	return true;
}

char *describe_change(const struct term *term, const char *from, const char *to)
{
	char *ret;

	if (!*to || streq(from, to))
		return strdup(str_or(from, "-"));
	return asprintf(&ret, "%s %s %s", str_or(from, "-"), term_arrow(term), to) < 0 ? NULL : ret;
}
