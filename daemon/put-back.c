/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "daemon/autoprobe-record.h"
#include "daemon/log.h"
#include "daemon/probes.h"
#include "daemon/put-back.h"
#include "daemon/state-file.h"
#include "daemon/sysfs-machine.h"
#include "daemon/sysfs.h"
#include "daemon/util.h"

/* Who has not come back by then goes on alone. */
#define PATIENCE_MSEC 10000

static void probe(const char *address, const char *driver, int keep_fd)
{
	pid_t pid = fork();

	if (pid == 0)
		probe_child(address, driver, keep_fd, false);
	if (pid < 0)
		(void)(driver ? sysfs_bind(address, driver) : sysfs_probe(address));
}

/* Waits for the children, each of which has the other end of the pipe as long as it lives. */
static void wait_for(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	if (poll(&poll_fd, 1, PATIENCE_MSEC) == 0)
		log_warning("A driver has not come back from its device after %d s; going on without it",
			    PATIENCE_MSEC / 1000);
}

static int probe_what_waits(const struct autoprobe_record *done)
{
	_cleanup_strv_ char **devices = NULL, **drivers = NULL;
	_cleanup_close_ int mine = -1;
	size_t n = 0;
	int fds[2], r;
	bool offered;

	if ((r = sysfs_list_devices(&devices)) < 0 || (r = sysfs_list_drivers(&drivers)) < 0)
		return r;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	mine = fds[0];
	for (char **address = devices; address && *address; address++) {
		if (!probe_is_unbound(*address))
			continue;
		if (!strv_contains(done->devices, *address)) {
			probe(*address, NULL, fds[1]);
			n++;
			continue;
		}
		offered = false;
		for (char **driver = drivers; driver && *driver; driver++)
			if (!strv_contains(done->drivers, *driver)) {
				probe(*address, *driver, fds[1]);
				offered = true;
			}
		n += offered;
	}
	close(fds[1]);
	wait_for(mine);
	log_notice("Gate=autoprobe has ended: the kernel gives devices to their drivers by itself again; %zu "
		   "without one were offered to theirs", n);
	return 0;
}

static int switch_on(void)
{
	int r = sysfs_write_autoprobe(true);

	if (r < 0)
		log_error("Devices get no driver by themselves: /sys/bus/pci/drivers_autoprobe cannot be written: %s "
			  "(echo 1 >/sys/bus/pci/drivers_autoprobe)", strerror(-r));
	return r;
}

int put_back_switch(const char *dir)
{
	int r = autoprobe_record_exists(dir) ? switch_on() : -ENOENT;

	if (r >= 0)
		log_warning("The daemon cannot be ended, and Gate=autoprobe is put back beside it: the kernel gives "
			    "devices to their drivers by itself again; what waited gets its driver at the next start");
	return r == -ENOENT ? 0 : r;
}

int put_back(const char *dir)
{
	_cleanup_(autoprobe_record_clear) struct autoprobe_record done = {};
	int r = autoprobe_record_read(dir, &done);

	if (r == -ENOENT)
		return 0;
	/* It was there, so the switch is the daemon's doing. Which devices wait is not known: all that have no driver. */
	if (r < 0)
		log_error("%s/autoprobe cannot be read: %s", dir, state_file_describe(r));
	r = switch_on();
	if (r < 0)
		return r;
	r = probe_what_waits(&done);
	if (r < 0)
		log_error("Cannot look for devices that wait for their driver: %s (echo ADDRESS "
			  ">/sys/bus/pci/drivers_probe gives it one)", strerror(-r));
	(void)autoprobe_record_remove(dir);
	return r;
}
