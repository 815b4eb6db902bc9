/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_OPEN_FILES_H
#define DAEMON_OPEN_FILES_H

#include "daemon/sysfs-below.h"
#include "daemon/uses.h"

/* Which processes have which device nodes open, as /proc/PID/fd tells. */

struct open_file {
	const struct sysfs_node *node; /* NULL: a file that has no name, of the kind that was asked for */
	const char *pid;
	const char *fd;
	const char *link; /* what /proc/PID/fd/FD leads to */
	const char *program;
};

struct open_files {
	const struct sysfs_node *nodes;
	size_t n_nodes;
	bool udevs; /* udev's own processes count */
	const char *anonymous; /* files that lead to this are reported too; NULL for none */
	/* Called for each file. 0: go on; 1: this process is done with; or a negative errno that ends it all. */
	int (*found)(const struct open_files *files, const struct open_file *file);
	void *userdata;
	struct uses *uses; /* gets what could not be found out; the rest is FOUND's */
};

/* Looks at all processes. Returns 0, or what FOUND returned. May take some seconds at most. */
int open_files_scan(const struct open_files *files);

/* The folder FD of the process whose folder in /proc is open as PROCESS. */
int open_files_folder(int parent, const char *name, DIR **ret);

#endif
