/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_UTIL_H
#define DAEMON_UTIL_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(f, a) __attribute__((format(printf, f, a)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define USEC_PER_MSEC 1000ULL
#define USEC_PER_SEC 1000000ULL

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)
#define _cleanup_closedir_ _cleanup_(closedirp)

/* A pointer handed on: the variable is NULL afterwards. */
#define TAKE_PTR(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

/* Takes over one copy of VALUE, frees what was there; -ENOMEM leaves *P as it was. VALUE may be NULL. */
int replace_str(char **p, const char *value);

/* asprintf that returns NULL instead of an undefined pointer when out of memory. */
char *strf(const char *format, ...) _printf_(1, 2);

static inline const char *strempty(const char *s)
{
	return s ? s : "";
}

/* A NULL-terminated array of strings that owns them. */
char **strv_free(char **l);
static inline void strv_freep(char ***l)
{
	*l = strv_free(*l);
}
#define _cleanup_strv_ _cleanup_(strv_freep)
size_t strv_len(char *const *l);
bool strv_contains(char *const *l, const char *s);
bool strv_equal(char *const *a, char *const *b); /* same strings in the same order; NULL equals empty */
int strv_add(char ***l, const char *s); /* a copy; 0 or -ENOMEM */
void strv_sort(char **l);

/* Microseconds of the clock, see clock_gettime(2). */
uint64_t now_usec(clockid_t clock);

/*
 * The whole of a small file in memory, NUL-terminated, a byte count of at most
 * MAX. -EFBIG where it is longer, -EBADMSG where it holds a NUL byte.
 */
int read_fd(int fd, size_t max, char **ret);
int read_file_at(int dirfd, const char *path, size_t max, char **ret);

/* "0000:3b:00.0", or a domain of up to eight digits; lower case hex only. */
bool address_is_valid(const char *s);

#endif
