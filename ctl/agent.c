/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/agent.h"

#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/util.h"

bool agent_wanted(const struct ctl *ctl, uid_t user, bool tty)
{
#if !ENABLE_POLKIT
	/* The daemon asks polkit nothing, so there is nothing that an agent could answer. */
	(void)ctl, (void)user, (void)tty;
	return false;
#else
	return !ctl->arguments.no_ask_password && !ctl->arguments.host && user != 0 && tty;
#endif
}

/* It closes FD when it has registered, or when it ends. */
static void run_agent(int fd, pid_t parent) __attribute__((noreturn));

static void run_agent(int fd, pid_t parent)
{
	char number[16];

	/* Not to outlive a command that was killed; which may have been already. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(EXIT_FAILURE);
	snprintf(number, sizeof(number), "%d", fd);
	execlp("pkttyagent", "pkttyagent", "--notify-fd", number, "--fallback", (char *)NULL);
	/* Without polkit there is nothing to ask either: the daemon's answer says what to do. */
	_exit(EXIT_FAILURE);
}

static void await_registration(int fd)
{
	struct pollfd wait = { .fd = fd };

	while (poll(&wait, 1, -1) < 0 && errno == EINTR)
		;
}

void agent_open(struct ctl *ctl)
{
	pid_t parent = getpid();
	int fds[2];

	if (ctl->agent > 0 ||
	    !agent_wanted(ctl, geteuid(), isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1))
		return;
	if (pipe(fds) < 0)
		return;
	fflush(stdout);
	ctl->agent = fork();
	if (ctl->agent == 0) {
		close(fds[0]);
		run_agent(fds[1], parent);
	}
	close(fds[1]);
	if (ctl->agent > 0)
		await_registration(fds[0]);
	close(fds[0]);
}

void agent_close(struct ctl *ctl)
{
	if (ctl->agent <= 0)
		return;
	/* It may have been stopped by the terminal, where TERM alone would wait for ever. */
	kill(ctl->agent, SIGTERM);
	kill(ctl->agent, SIGCONT);
	while (waitpid(ctl->agent, NULL, 0) < 0 && errno == EINTR)
		;
	ctl->agent = 0;
}
