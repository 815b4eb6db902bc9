/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/search.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/array.h"
#include "policy/file.h"
#include "policy/text.h"
#include "policy/trusted.h"

/* A file that has been found, and how early its folder comes. */
struct found {
	char *path;
	const char *name; /* the last part of the path */
	size_t folder;
};

struct found_list {
	struct found *items;
	size_t n;
};

void path_list_clear(struct path_list *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		free(paths->items[i]);
	free(paths->items);
	*paths = (struct path_list){ 0 };
}

int path_list_add(struct path_list *paths, const char *path)
{
	char **items = array_grow(paths->items, paths->n, sizeof(*items));
	char *copy;

	if (!items)
		return -ENOMEM;
	paths->items = items;

	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	items[paths->n++] = copy;
	return 0;
}

static void found_list_clear(struct found_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i].path);
	free(list->items);
}

static bool is_policy_name(const char *name)
{
	size_t length = strlen(name), suffix = strlen(".conf");

	return name[0] != '.' && length > suffix && strcmp(name + length - suffix, ".conf") == 0;
}

static int found_list_add(struct found_list *list, const char *folder_path, const char *name,
			  size_t folder)
{
	struct found *items = array_grow(list->items, list->n, sizeof(*items));
	char *path;

	if (!items)
		return -ENOMEM;
	list->items = items;

	if (asprintf(&path, "%s/%s", folder_path, name) < 0)
		return -ENOMEM;

	items[list->n++] = (struct found){ .path = path,
					   .name = path + strlen(folder_path) + 1,
					   .folder = folder };
	return 0;
}

static int read_folder(DIR *dir, const char *path, size_t folder, struct found_list *list,
		       struct policy_errors *errors)
{
	const char *distrusted;
	struct dirent *entry;
	struct stat st;
	int r;

	if (fstat(dirfd(dir), &st) < 0)
		return policy_errors_add(errors, path, 0, NULL, NULL,
					 "cannot be looked at: %s (expected a folder)",
					 strerror(errno));

	distrusted = trusted_distrust(&st);
	if (distrusted)
		return policy_errors_add(errors, path, 0, NULL, NULL, "the folder %s", distrusted);

	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			break;
		if (!is_policy_name(entry->d_name))
			continue;
		if (list->n == POLICY_FILES_MAX)
			return policy_errors_add(
				errors, path, 0, NULL, NULL,
				"too many policy files (expected at most %u in all folders)",
				POLICY_FILES_MAX);
		r = found_list_add(list, path, entry->d_name, folder);
		if (r < 0)
			return r;
	}

	if (errno != 0)
		return policy_errors_add(errors, path, 0, NULL, NULL,
					 "the folder cannot be read: %s (expected policy files)",
					 strerror(errno));
	return 0;
}

static int search_folder(const char *path, size_t folder, struct found_list *list,
			 struct policy_errors *errors)
{
	DIR *dir;
	int r;

	dir = opendir(path);
	if (!dir) {
		if (errno == ENOENT)
			return 0;
		if (errno == ENOMEM)
			return -ENOMEM;
		return policy_errors_add(errors, path, 0, NULL, NULL,
					 "the folder cannot be read: %s (expected policy files)",
					 strerror(errno));
	}

	r = read_folder(dir, path, folder, list, errors);
	closedir(dir);
	return r;
}

static int compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r != 0 ? r : (x->folder > y->folder) - (x->folder < y->folder);
}

int search_files(const char *root, const char *const *dirs, struct path_list *ret,
		 struct policy_errors *errors)
{
	struct found_list list = { 0 };
	int r = 0;

	for (size_t i = 0; dirs[i] && r == 0; i++) {
		char *path;

		if (asprintf(&path, "%s%s", root ? root : "", dirs[i]) < 0) {
			r = -ENOMEM;
			break;
		}
		r = search_folder(path, i, &list, errors);
		free(path);
	}

	if (r == 0 && list.n > 0)
		qsort(list.items, list.n, sizeof(*list.items), compare_found);

	for (size_t i = 0; i < list.n && r == 0; i++)
		if (i == 0 || strcmp(list.items[i].name, list.items[i - 1].name) != 0)
			r = path_list_add(ret, list.items[i].path);

	found_list_clear(&list);
	return r;
}

#define refuse(errors, path, ...) policy_errors_add(errors, path, 0, NULL, NULL, __VA_ARGS__)

int search_open(const char *path, FILE **ret, struct policy_errors *errors)
{
	char fault[TRUSTED_FAULT_SIZE];
	int fd;

	*ret = NULL;

	/* The path is shown on the bus, in the journal and in reasons. */
	if (text_check(path, strlen(path), NULL) != TEXT_CLEAN || strchr(path, '\t'))
		return refuse(errors, path,
			      "no good name for a policy file (expected printable UTF-8)");

	fd = trusted_open(path, POLICY_FILE_BYTES_MAX, fault);
	if (fd == -ENODATA)
		return 0;
	if (fd < 0)
		return refuse(errors, path, "%s", fault);

	*ret = fdopen(fd, "re");
	if (!*ret) {
		close(fd);
		return -ENOMEM;
	}

	return 0;
}
