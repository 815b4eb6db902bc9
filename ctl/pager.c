/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/pager.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include "ctl/util.h"

void pager_choose(const struct pager_environment *environment, struct pager_choice *ret)
{
	const char *wanted = environment->systemd_pager ? environment->systemd_pager :
							  environment->pager;

	*ret = (struct pager_choice){
		.none = wanted && (!*wanted || streq(wanted, "cat")),
		/* A word that is neither yes nor no is better taken for yes. */
		.secure = environment->secure ? !term_word_is_no(environment->secure) :
						environment->other_user,
		.command = environment->secure ? wanted : NULL,
	};
}

static bool is_other_user(void)
{
	uid_t owner;

	return sd_pid_get_owner_uid(0, &owner) < 0 || owner != geteuid();
}

static void run_words(const char *command)
{
	char *copy = strdup(command), *words[16] = { NULL }, *rest = copy;
	size_t n = 0;

	for (char *word; copy && n + 1 < ARRAY_SIZE(words) && (word = strsep(&rest, " \t"));)
		if (*word)
			words[n++] = word;
	if (n > 0)
		execvp(words[0], words);
	free(copy);
}

/* No pager could be run: what was written for it is to be seen all the same. */
static void copy_through(void)
{
	char buffer[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0)
		for (ssize_t done = 0, put; done < n; done += put) {
			put = write(STDOUT_FILENO, buffer + done, (size_t)(n - done));
			if (put < 0)
				return;
		}
}

static void run_pager(const struct ctl *ctl, const struct pager_choice *choice, pid_t parent)
	__attribute__((noreturn));

static void run_pager(const struct ctl *ctl, const struct pager_choice *choice, pid_t parent)
{
	const char *options = getenv("SYSTEMD_LESS"), *charset = getenv("SYSTEMD_LESSCHARSET");

	/* Not to outlive a command that was killed; which may have been already. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(EXIT_FAILURE);
	setenv("LESS", options ? options : "FRSXMK", 1);
	if (charset || ctl->term.utf8)
		setenv("LESSCHARSET", charset ? charset : "utf-8", 1);
	if (choice->secure)
		setenv("LESSSECURE", "1", 1);
	else
		unsetenv("LESSSECURE");

	if (choice->command)
		run_words(choice->command);
	if (!choice->secure)
		execlp("pager", "pager", (char *)NULL);
	execlp("less", "less", (char *)NULL);
	if (!choice->secure)
		execlp("more", "more", (char *)NULL);
	copy_through();
	_exit(EXIT_SUCCESS);
}

static void start(struct ctl *ctl, const struct pager_choice *choice)
{
	pid_t parent = getpid();
	int fds[2];

	if (pipe(fds) < 0)
		return;
	fflush(stdout);
	ctl->pager = fork();
	if (ctl->pager == 0) {
		dup2(fds[0], STDIN_FILENO);
		close(fds[0]);
		close(fds[1]);
		run_pager(ctl, choice, parent);
	}
	close(fds[0]);
	if (ctl->pager > 0) {
		dup2(fds[1], STDOUT_FILENO);
		/* Whoever leaves it early has seen enough. */
		signal(SIGPIPE, SIG_IGN);
	}
	close(fds[1]);
}

void pager_open(struct ctl *ctl)
{
	const struct pager_environment environment = {
		.systemd_pager = getenv("SYSTEMD_PAGER"),
		.pager = getenv("PAGER"),
		.secure = getenv("SYSTEMD_PAGERSECURE"),
		.other_user = is_other_user(),
	};
	const char *term = getenv("TERM");
	struct pager_choice choice;

	if (ctl->arguments.no_pager || isatty(STDOUT_FILENO) != 1 || !term || streq(term, "dumb"))
		return;
	pager_choose(&environment, &choice);
	if (!choice.none)
		start(ctl, &choice);
}

void pager_close(struct ctl *ctl)
{
	if (ctl->pager <= 0)
		return;
	/* The end of the pipe: that is when it knows that there is no more. */
	fclose(stdout);
	/* From here on Ctrl-C is the pager's. */
	signal(SIGINT, SIG_IGN);
	kill(ctl->pager, SIGCONT);
	while (waitpid(ctl->pager, NULL, 0) < 0 && errno == EINTR)
		;
	ctl->pager = 0;
}
