/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the ADD uevent of a PCI device to "its group has this type and a driver
 * is bound", in microseconds, one line for each time it is plugged in.
 *
 *   hotplug watch ADDRESS TYPE           somebody else does it (the daemon)
 *   hotplug act ADDRESS TYPE DRIVER      done here, by the fewest system calls
 *                                        that can: unbind, write, bind
 *
 * "act" is what a person would script: no fence, no look at what is in use, no
 * way back. It is what the daemon's care is measured against.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char type_path[256], driver_path[256], unbind_path[256], bind_path[256];

static long long now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

/* 0 or a negative errno. */
static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static bool done(const char *type)
{
	char word[32] = "";
	int fd = open(type_path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, word, sizeof(word) - 1);
	close(fd);
	return n > 0 && strncmp(word, type, strlen(type)) == 0 && word[strlen(type)] == '\n' &&
	       access(driver_path, F_OK) == 0;
}

static void act(const char *address, const char *type)
{
	/* The kernel's own probe may be under way (unbind waits for it) or still to come (then the write goes through). */
	do
		put(unbind_path, address);
	while (put(type_path, type) < 0 && access(type_path, F_OK) == 0);
	put(bind_path, address);
}

static int listen_to_kernel(void)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	int size = 4 << 20;

	if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0) {
		perror("netlink");
		exit(EXIT_FAILURE);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

/* An event is "ACTION@/devices/…/ADDRESS", and its variables after that. */
static bool is_event(const char *event, const char *action, const char *address)
{
	size_t length = strlen(action);
	const char *name = strrchr(event, '/');

	return strncmp(event, action, length) == 0 && event[length] == '@' && name && strcmp(name + 1, address) == 0;
}

int main(int argc, char **argv)
{
	bool acting = argc == 5 && strcmp(argv[1], "act") == 0;
	const char *address, *type;
	long long begun = 0;
	char event[8192];
	int fd;

	if (!acting && (argc != 4 || strcmp(argv[1], "watch") != 0)) {
		fprintf(stderr, "usage: hotplug watch ADDRESS TYPE | act ADDRESS TYPE DRIVER\n");
		return 2;
	}
	address = argv[2];
	type = argv[3];
	snprintf(type_path, sizeof(type_path), "/sys/bus/pci/devices/%s/iommu_group/type", address);
	snprintf(driver_path, sizeof(driver_path), "/sys/bus/pci/devices/%s/driver", address);
	if (acting) {
		snprintf(unbind_path, sizeof(unbind_path), "/sys/bus/pci/drivers/%s/unbind", argv[4]);
		snprintf(bind_path, sizeof(bind_path), "/sys/bus/pci/drivers/%s/bind", argv[4]);
	}
	fd = listen_to_kernel();
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t n = recv(fd, event, sizeof(event) - 1, 0);

		if (n <= 0)
			continue;
		event[n] = '\0';
		if (is_event(event, "add", address)) {
			begun = now_usec();
			if (acting)
				act(address, type);
		} else if (!is_event(event, "bind", address)) {
			continue;
		}
		/* A driver's bind event comes when its probe is through; by then the type must be right. */
		if (begun && done(type) && (acting || is_event(event, "bind", address))) {
			printf("%lld\n", now_usec() - begun);
			fflush(stdout);
			begun = 0;
		}
	}
}
