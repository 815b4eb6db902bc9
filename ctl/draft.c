/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/display.h"
#include "ctl/util.h"

#define FIRST_LINE_MAX 256

static int complain_path(const char *doing, const char *path, const char *what)
{
	_cleanup_free_ char *escaped = display_escape(path);

	complain("%s '%s': %s", doing, str_or(escaped, "?"), what);
	return EXIT_CODE_FAILED;
}

/* Where its last part begins. */
static size_t folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) + 1 : 0;
}

static bool is_own(int fd, const char *text)
{
	size_t length = strcspn(text, "\n") + 1;
	char line[FIRST_LINE_MAX];

	return length <= sizeof(line) && pread(fd, line, length, 0) == (ssize_t)length &&
	       memcmp(line, text, length) == 0;
}

/* What is there already, and whether it may be replaced. */
static int check_present(struct draft *draft, const char *text, enum draft_over over)
{
	int fd = open(draft->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int error = fd < 0 ? errno : 0;
	bool regular, own;
	struct stat st;

	if (error == ENOENT)
		return 0;
	if (error != 0 && error != ELOOP)
		return complain_path("cannot look at", draft->path, strerror(error));
	regular = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	own = regular && over == DRAFT_OVER_OWN && is_own(fd, text);
	if (fd >= 0)
		close(fd);
	draft->replaces = own || (regular && over == DRAFT_OVER_ANY);
	if (draft->replaces)
		return 0;
	return complain_path(
		"will not write over", draft->path,
		!regular		   ? "it is no regular file" :
		over == DRAFT_OVER_NOTHING ? "it exists (move it away, or choose another name)" :
					     "it is not of this command's making (move it away)");
}

static int write_whole(int fd, const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		ssize_t n = write(fd, text, left);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			left -= (size_t)n;
		}
	}
	/* Whoever reads it is not this user, whatever the umask says. */
	return fchmod(fd, 0644) < 0 || fsync(fd) < 0 ? -errno : 0;
}

int draft_write(struct draft *ret, const char *path, const char *text, enum draft_over over)
{
	size_t folder = folder_length(path);
	int fd, r;

	*ret = (struct draft){ .path = strdup(path) };
	if (!ret->path)
		return complain_memory();
	r = check_present(ret, text, over);
	if (r != 0)
		return r;
	if (asprintf(&ret->temporary, "%.*s.%s.XXXXXX", (int)folder, path, path + folder) < 0) {
		ret->temporary = NULL;
		return complain_memory();
	}
	fd = mkostemp(ret->temporary, O_CLOEXEC);
	if (fd < 0) {
		r = errno;
		free(ret->temporary);
		ret->temporary = NULL;
		return complain_path("cannot write", path, strerror(r));
	}
	r = write_whole(fd, text);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r < 0 ? complain_path("cannot write", path, strerror(-r)) : 0;
}

/* Makes the new name last. That it is there is what matters, so an error is none. */
static void sync_folder(const char *path)
{
	_cleanup_free_ char *folder = strndup(path, folder_length(path));
	int fd = folder ? open(*folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	(void)!fsync(fd);
	close(fd);
}

int draft_commit(struct draft *draft)
{
	int r;

	/* link(2), unlike rename(2), replaces nothing. */
	r = draft->replaces ? rename(draft->temporary, draft->path) :
			      link(draft->temporary, draft->path);
	if (r < 0)
		return complain_path("cannot write", draft->path, strerror(errno));
	if (!draft->replaces)
		unlink(draft->temporary);
	free(draft->temporary);
	draft->temporary = NULL;
	sync_folder(draft->path);
	return 0;
}

void draft_clear(struct draft *draft)
{
	if (draft->temporary)
		unlink(draft->temporary);
	free(draft->temporary);
	free(draft->path);
	*draft = (struct draft){ 0 };
}
