/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "daemon/util.h"

int replace_str(char **p, const char *value)
{
	char *copy = NULL;

	if (value) {
		copy = strdup(value);
		if (!copy)
			return -ENOMEM;
	}
	free(*p);
	*p = copy;
	return 0;
}

char *strf(const char *format, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&s, format, ap) < 0)
		s = NULL;
	va_end(ap);
	return s;
}

char **strv_free(char **l)
{
	for (char **i = l; i && *i; i++)
		free(*i);
	free(l);
	return NULL;
}

size_t strv_len(char *const *l)
{
	size_t n = 0;

	while (l && l[n])
		n++;
	return n;
}

bool strv_contains(char *const *l, const char *s)
{
	for (; l && *l; l++)
		if (strcmp(*l, s) == 0)
			return true;
	return false;
}

bool strv_equal(char *const *a, char *const *b)
{
	size_t n = strv_len(a);

	if (n != strv_len(b))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

int strv_add(char ***l, const char *s)
{
	size_t n = strv_len(*l);
	char **grown = reallocarray(*l, n + 2, sizeof(char *));

	if (!grown)
		return -ENOMEM;
	*l = grown;
	grown[n + 1] = NULL;
	grown[n] = strdup(s);
	return grown[n] ? 0 : -ENOMEM;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(char **l)
{
	if (l)
		qsort(l, strv_len(l), sizeof(*l), compare_strings);
}

uint64_t now_usec(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

int read_fd(int fd, size_t max, char **ret)
{
	_cleanup_free_ char *buffer = NULL;
	size_t size = 0, room = 0;

	for (;;) {
		ssize_t n;

		if (size + 1 >= room) {
			char *grown;

			room = room ? 2 * room : 4096;
			if (room > max + 2)
				room = max + 2;
			grown = realloc(buffer, room);
			if (!grown)
				return -ENOMEM;
			buffer = grown;
		}
		n = read(fd, buffer + size, room - size - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		size += (size_t)n;
		if (size > max)
			return -EFBIG;
	}
	buffer[size] = '\0';
	if (memchr(buffer, '\0', size))
		return -EBADMSG;
	*ret = TAKE_PTR(buffer);
	return 0;
}

int read_file_at(int dirfd, const char *path, size_t max, char **ret)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? -errno : read_fd(fd, max, ret);
}

static bool skip_hex(const char **s, size_t min, size_t max)
{
	size_t n = strspn(*s, "0123456789abcdef");

	*s += n;
	return n >= min && n <= max;
}

bool address_is_valid(const char *s)
{
	if (!skip_hex(&s, 4, 8) || *s++ != ':' || !skip_hex(&s, 2, 2) || *s++ != ':' || !skip_hex(&s, 2, 2) ||
	    *s++ != '.')
		return false;
	return *s >= '0' && *s <= '7' && s[1] == '\0';
}
