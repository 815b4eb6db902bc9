/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/display.h"
#include "ctl/failure.h"
#include "ctl/util.h"

#define FIRST_LINE_MAX 256

static int complain_path(const struct ctl *ctl, const char *doing, const char *path, int error,
			 const char *what)
{
	_cleanup_free_ char *escaped = display_escape(path);

	return failure_complain(ctl, EXIT_CODE_FAILED, error, "%s '%s': %s", doing,
				str_or(escaped, "?"), what);
}

static int complain_errno(const struct ctl *ctl, const char *doing, const char *path, int error)
{
	return complain_path(ctl, doing, path, error, strerror(error));
}

/*
 * The hidden file of the one draft that there is. A wait for the daemon may be an
 * hour, and who interrupts it leaves nothing behind in a folder of the policy.
 */
static const int ending[] = { SIGHUP, SIGINT, SIGTERM };
static struct sigaction before[ARRAY_SIZE(ending)];
static char hidden[PATH_MAX];
static pid_t hidden_by;

static void remove_and_end(int number)
{
	/* Not in a child that is about to become another program. */
	if (getpid() == hidden_by)
		unlink(hidden);
	/* The handler is reset: it ends the process when this returns. */
	raise(number);
}

static void hold_signals(sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		sigaddset(&set, ending[i]);
	sigprocmask(SIG_BLOCK, &set, old);
}

/* With the signals held. */
static void watch_signals(const char *path)
{
	const struct sigaction action = { .sa_handler = remove_and_end, .sa_flags = SA_RESETHAND };

	snprintf(hidden, sizeof(hidden), "%s", path);
	hidden_by = getpid();
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++) {
		sigaction(ending[i], NULL, &before[i]);
		/* nohup(1), and what runs in a shell's background, ignore some. */
		if (before[i].sa_handler == SIG_DFL)
			sigaction(ending[i], &action, NULL);
	}
}

static void forget_signals(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		sigaction(ending[i], &before[i], NULL);
	hidden[0] = '\0';
}

/* Creates the hidden file. Its descriptor, or -errno. */
static int make_hidden(struct draft *draft)
{
	sigset_t old;
	int fd;

	if (strlen(draft->temporary) >= sizeof(hidden))
		return -ENAMETOOLONG;
	hold_signals(&old);
	fd = mkostemp(draft->temporary, O_CLOEXEC);
	if (fd >= 0)
		watch_signals(draft->temporary);
	else
		fd = -errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	return fd;
}

/* It has its name, or is not to be. */
static void unmake_hidden(struct draft *draft)
{
	unlink(draft->temporary);
	forget_signals();
	free(draft->temporary);
	draft->temporary = NULL;
}

/* Where its last part begins. */
static size_t folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) + 1 : 0;
}

static bool is_own(int fd, const char *first_line)
{
	size_t length = strlen(first_line);
	char line[FIRST_LINE_MAX];

	return length <= sizeof(line) && pread(fd, line, length, 0) == (ssize_t)length &&
	       memcmp(line, first_line, length) == 0;
}

/* What is there already, and whether it may be replaced. */
static int check_present(const struct ctl *ctl, struct draft *draft)
{
	enum draft_over over = draft->over;
	int fd = open(draft->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int error = fd < 0 ? errno : 0;
	bool regular, own;
	struct stat st;

	draft->replaces = false;
	if (error == ENOENT)
		return 0;
	if (error != 0 && error != ELOOP)
		return complain_errno(ctl, "cannot look at", draft->path, error);
	regular = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	own = regular && over == DRAFT_OVER_OWN && is_own(fd, draft->first_line);
	if (fd >= 0)
		close(fd);
	draft->replaces = own || (regular && over == DRAFT_OVER_ANY);
	if (draft->replaces)
		return 0;
	return complain_path(
		ctl, "will not write over", draft->path, EEXIST,
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

int draft_write(const struct ctl *ctl, struct draft *ret, const char *path, const char *text,
		enum draft_over over)
{
	size_t folder = folder_length(path);
	int fd, r;

	*ret = (struct draft){ .over = over };
	ret->path = strdup(path);
	ret->first_line = strndup(text, strcspn(text, "\n") + 1);
	if (!ret->path || !ret->first_line)
		return complain_memory();
	r = check_present(ctl, ret);
	if (r != 0)
		return r;
	if (asprintf(&ret->temporary, "%.*s.%s.XXXXXX", (int)folder, path, path + folder) < 0) {
		ret->temporary = NULL;
		return complain_memory();
	}
	fd = make_hidden(ret);
	if (fd < 0) {
		free(ret->temporary);
		ret->temporary = NULL;
		return complain_errno(ctl, "cannot write", path, -fd);
	}
	r = write_whole(fd, text);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r < 0 ? complain_errno(ctl, "cannot write", path, -r) : 0;
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

int draft_commit(const struct ctl *ctl, struct draft *draft)
{
	int r;

	/* Time may have passed, and the file have become somebody else's, or have gone. */
	if (draft->replaces) {
		r = check_present(ctl, draft);
		if (r != 0)
			return r;
	}
	/* link(2), unlike rename(2), replaces nothing. */
	r = draft->replaces ? rename(draft->temporary, draft->path) :
			      link(draft->temporary, draft->path);
	if (r < 0)
		return complain_errno(ctl, "cannot write", draft->path, errno);
	unmake_hidden(draft);
	sync_folder(draft->path);
	return 0;
}

void draft_clear(struct draft *draft)
{
	if (draft->temporary)
		unmake_hidden(draft);
	free(draft->first_line);
	free(draft->path);
	*draft = (struct draft){ 0 };
}
