/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/fuzz/fuzz-folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { FILES_MAX = 64 };

/* What was written last. */
static struct written {
	char name[128];
	void *content;
	size_t size;
} files[FILES_MAX];

const char *fuzz_folder(void)
{
	static char folder[PATH_MAX];
	const char *tmp = getenv("TMPDIR");

	if (!*folder) {
		snprintf(folder, sizeof(folder), "%s/fuzz-XXXXXX", tmp ? tmp : "/tmp");
		require(mkdtemp(folder));
	}
	return folder;
}

static void make_place(const char *name, char *path, size_t size)
{
	require(snprintf(path, size, "%s/%s", fuzz_folder(), name) < (int)size);
	for (char *slash = path + strlen(fuzz_folder()) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		require(mkdir(path, 0755) == 0 || errno == EEXIST);
	}
}

static bool is_new(const char *name, const void *content, size_t size)
{
	struct written *file = files;

	while (*file->name && strcmp(file->name, name) != 0)
		file++;
	require(file < files + FILES_MAX - 1 && strlen(name) < sizeof(file->name));
	if (*file->name && file->size == size && memcmp(file->content, content, size) == 0)
		return false;
	free(file->content);
	strcpy(file->name, name);
	file->content = malloc(size + 1);
	require(file->content);
	memcpy(file->content, content, size);
	file->size = size;
	return true;
}

void fuzz_file(const char *name, const void *content, size_t size)
{
	char path[PATH_MAX + 128];
	int fd;

	if (!is_new(name, content, size))
		return;
	make_place(name, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	require(fd >= 0 && write(fd, content, size) == (ssize_t)size);
	close(fd);
}

void fuzz_link(const char *target, const char *name)
{
	char path[PATH_MAX + 128], to[PATH_MAX + 128];

	require(snprintf(to, sizeof(to), "%s/%s", fuzz_folder(), target) < (int)sizeof(to));
	make_place(name, path, sizeof(path));
	require(symlink(to, path) == 0);
}
