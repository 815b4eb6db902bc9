/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Until many groups have a type: the observer of groups.py, and what it is
 * compared with.
 *
 *   groups make TYPE FOLDER COUNT    makes COUNT virtual functions of the device
 *                                    whose folder that is, and no more
 *   groups write TYPE FOLDER COUNT   makes them, and writes TYPE for each; no look
 *                                    at anything
 *   groups wait TYPE FOLDER COUNT    makes them, and waits until others have
 *   groups change TYPE FILE ADDRESS...  has FILE run by a shell, and waits until
 *                                    all devices have TYPE and a driver
 *
 * Prints microseconds, from the first write to the end. Exit status 1: an error,
 * or not within two minutes.
 */
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_USEC (120 * UINT64_C(1000000))

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

static bool has_type(const char *folder, const char *type)
{
	char path[300], text[32] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/iommu_group/type", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, type) == 0;
}

static bool has_driver(const char *folder)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/driver", folder);
	return access(path, F_OK) == 0;
}

static void wait_for(const char *folder, const char *type, bool driver, uint64_t since)
{
	while (!has_type(folder, type) || (driver && !has_driver(folder))) {
		if (now() - since > DEADLINE_USEC)
			errx(1, "%s: not %s after two minutes", folder, type);
		usleep(2000);
	}
}

int main(int argc, char **argv)
{
	char folder[256], path[300];
	uint64_t began;

	if (argc < 5)
		errx(2, "usage: groups make|write|wait|change TYPE ...");
	began = now();
	if (strcmp(argv[1], "change") == 0) {
		snprintf(path, sizeof(path), "sh %s", argv[3]);
		if (system(path) != 0)
			errx(1, "%s failed", argv[3]);
		for (int i = 4; i < argc; i++) {
			snprintf(folder, sizeof(folder), "/sys/bus/pci/devices/%s", argv[i]);
			wait_for(folder, argv[2], true, began);
		}
	} else {
		snprintf(path, sizeof(path), "%s/sriov_numvfs", argv[3]);
		put(path, argv[4]);
		for (int i = 0; i < atoi(argv[4]); i++) {
			snprintf(folder, sizeof(folder), "%s/virtfn%d", argv[3], i);
			if (strcmp(argv[1], "write") == 0) {
				snprintf(path, sizeof(path), "%s/iommu_group/type", folder);
				put(path, argv[2]);
			} else if (strcmp(argv[1], "wait") == 0) {
				wait_for(folder, argv[2], false, began);
			}
		}
	}
	printf("%llu\n", (unsigned long long)(now() - began));
	return 0;
}
