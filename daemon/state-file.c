/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <ini.h>

#include "daemon/failpoint.h"
#include "daemon/state-file.h"
#include "daemon/util.h"
#include "policy/trusted.h"

#define SIZE_MAX_BYTES (1 << 20)
#define NUMBERS_MAX 65536

int state_dir_make(const char *dir)
{
	_cleanup_free_ char *path = strdup(dir);

	if (!path)
		return -ENOMEM;
	for (char *slash = path + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

/* Nobody but root, or who runs this, may exchange what is in it. */
static int open_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || trusted_distrust(&st)) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

static int put_in_place(int dirfd, const char *temporary, const char *name)
{
	if (renameat(dirfd, temporary, dirfd, name) < 0)
		return -errno;
	return fsync(dirfd) < 0 && errno != EINVAL ? -errno : 0;
}

int state_file_write(const char *dir, const char *name, void (*body)(FILE *f, const void *data), const void *data)
{
	_cleanup_close_ int dirfd = open_dir(dir);
	_cleanup_free_ char *temporary = strf(".%s.new", name);
	_cleanup_fclose_ FILE *f = NULL;
	int fd, r;

	if (dirfd < 0)
		return dirfd;
	if (!temporary)
		return -ENOMEM;
	r = failpoint("file-write");
	if (r < 0)
		return r;
	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	f = fdopen(fd, "we");
	if (!f) {
		int saved = errno;

		close(fd);
		return -saved;
	}
	body(f, data);
	errno = 0;
	if (fflush(f) == EOF || ferror(f) || fsync(fd) < 0)
		r = errno ? -errno : -EIO;
	else
		r = failpoint_around("file-rename", put_in_place(dirfd, temporary, name));
	if (r < 0)
		unlinkat(dirfd, temporary, 0);
	return r;
}

int state_file_read(const char *dir, const char *name,
		    int (*handler)(void *userdata, const char *section, const char *key, const char *value),
		    void *userdata)
{
	_cleanup_close_ int dirfd = open_dir(dir);
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	int r;

	if (dirfd < 0)
		return dirfd;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || trusted_distrust(&st))
		return -EPERM;
	r = read_fd(fd, SIZE_MAX_BYTES, &text);
	if (r < 0)
		return r;
	r = ini_parse_string(text, handler, userdata);
	return r == 0 ? 0 : r == -2 ? -ENOMEM : -EBADMSG;
}

/* A worker of an earlier daemon may still be between its write and its rename. */
#define LEFT_SEC 60

/* What a process that was killed has left between its write and its rename. */
void state_dir_clean(const char *dir)
{
	int fd = open_dir(dir);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	time_t now = time(NULL);
	struct dirent *entry;
	struct stat st;

	while (d && (entry = readdir(d))) {
		size_t length = strlen(entry->d_name);

		if (entry->d_name[0] == '.' && length > 5 && strcmp(entry->d_name + length - 4, ".new") == 0 &&
		    fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (!S_ISREG(st.st_mode) || st.st_mtime + LEFT_SEC < now))
			unlinkat(dirfd(d), entry->d_name, 0);
	}
}

const char *state_file_describe(int error)
{
	switch (-error) {
	case EPERM:
	case ELOOP:
	case ENXIO:
		return "not a regular file that only root can have written";
	case EBADMSG:
		return "not what the daemon writes";
	default:
		return strerror(-error);
	}
}

int state_file_remove(const char *dir, const char *name)
{
	_cleanup_close_ int dirfd = open_dir(dir);

	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	return failpoint_around("file-remove", unlinkat(dirfd, name, 0) < 0 && errno != ENOENT ? -errno : 0);
}

int state_file_list_numbers(const char *dir, unsigned **ret, size_t *ret_n)
{
	_cleanup_close_ int fd = open_dir(dir);
	_cleanup_closedir_ DIR *d = NULL;
	_cleanup_free_ unsigned *numbers = NULL;
	struct dirent *entry;
	size_t n = 0;

	if (fd < 0 && fd != -ENOENT)
		return fd;
	if (fd >= 0) {
		d = fdopendir(fd);
		if (!d)
			return -errno;
		fd = -1;
	}
	while (d && n < NUMBERS_MAX && (entry = readdir(d))) {
		unsigned long value;
		unsigned *grown;
		char *end;

		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		errno = 0;
		value = strtoul(entry->d_name, &end, 10);
		if (errno || *end || value > INT_MAX)
			continue;
		grown = reallocarray(numbers, n + 1, sizeof(*numbers));
		if (!grown)
			return -ENOMEM;
		numbers = grown;
		numbers[n++] = (unsigned)value;
	}
	*ret = TAKE_PTR(numbers);
	*ret_n = n;
	return 0;
}
