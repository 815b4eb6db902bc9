/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_SURROUNDINGS_H
#define DAEMON_SURROUNDINGS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What the daemon has been started in. Where it has nothing to do, or cannot do
 * it, it runs all the same and says so in one line of the journal and in its
 * status: what it has found, and what a person can do about it.
 */
enum surroundings_kind {
	SURROUNDINGS_FINE,
	SURROUNDINGS_NO_GROUP, /* an IOMMU, and no device has a group yet: they come with the first drivers */
	SURROUNDINGS_NO_IOMMU,
	SURROUNDINGS_NO_TYPE_FILE, /* groups, whose type can be neither read nor written */
	SURROUNDINGS_READ_ONLY,
	SURROUNDINGS_POWERLESS, /* without the capabilities that the type file asks for */
};

/* What is judged by. Words of the command line are parted by white space; NULL where it cannot be read. */
struct surroundings_facts {
	size_t n_groups;
	bool groups_folder, iommu, type_file, read_only, capable, container;
	bool table_intel, table_amd, table_arm, table_virtio;
	const char *cmdline;
};

struct surroundings {
	enum surroundings_kind kind;
	char *found, *remedy; /* NULL with SURROUNDINGS_FINE */
	bool had_groups; /* when it was looked at */
};

/* Pure. -ENOMEM. */
int surroundings_judge(const struct surroundings_facts *facts, struct surroundings *ret);

/* The word of a kernel command line by which the IOMMU is off, or by which devices bypass it by default; malloc'd or NULL. */
char *surroundings_off_word(const char *cmdline);
char *surroundings_passthrough_word(const char *cmdline);

/* Whether nothing can be changed here, though there are groups: FOUND and REMEDY say why. */
bool surroundings_prevent(const struct surroundings *surroundings);

void surroundings_clear(struct surroundings *surroundings);

/* In words: what was found, and what helps. NULL: out of memory. */
char *surroundings_describe(const struct surroundings *surroundings);

struct manager;

/* After the enumeration: looks, and tells the journal. */
void surroundings_look(struct manager *m);
/* Whether the first groups have come since; looks again then. */
bool surroundings_follow(struct manager *m);

/* Whether iommu_policyd=off is on the kernel command line. */
bool surroundings_switched_off(void);

/*
 * Whether this is the kernel that saves a crashed one's memory (Documentation/admin-guide/kdump/kdump.rst). Its
 * devices are as that one had them, and may not bear another domain.
 */
bool surroundings_crash_kernel(void);

#endif
