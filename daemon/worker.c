/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "daemon/engine.h"
#include "daemon/log.h"
#include "daemon/record.h"
#include "daemon/worker.h"

struct worker {
	struct manager *manager;
	struct group *group; /* NULL once that is gone */
	bool gone; /* the group went while this was under way: whoever has its number now is another */
	struct transaction *transaction;
	sd_event_source *child, *deadline;
	int pipe_fd;
	uint64_t started_usec; /* CLOCK_MONOTONIC */
	bool late; /* past its deadline, and reported so */
	struct worker *next;
};

static void worker_free(struct worker *worker)
{
	struct manager *m = worker->manager;

	for (struct worker **w = &m->workers; *w; w = &(*w)->next)
		if (*w == worker) {
			*w = worker->next;
			break;
		}
	if (!worker->late)
		m->n_running--;
	if (worker->group)
		worker->group->worker = NULL;
	sd_event_source_disable_unref(worker->child);
	sd_event_source_disable_unref(worker->deadline);
	if (worker->pipe_fd >= 0)
		close(worker->pipe_fd);
	transaction_free(worker->transaction);
	free(worker);
}

bool worker_available(const struct manager *m)
{
	return m->n_running < m->settings.max_workers;
}

static bool has_address(const struct transaction *t, const char *address)
{
	for (size_t i = 0; i < t->n_devices; i++)
		if (strcmp(t->devices[i].address, address) == 0)
			return true;
	return false;
}

bool worker_in_the_way(const struct manager *m, const struct group *group)
{
	for (const struct worker *worker = m->workers; worker; worker = worker->next) {
		if (worker->group || !worker->transaction)
			continue;
		if (worker->transaction->group == group->id)
			return true;
		for (size_t i = 0; i < group->n_devices; i++)
			if (has_address(worker->transaction, group->devices[i]->address))
				return true;
	}
	return false;
}

void worker_detach(struct group *group)
{
	if (group->worker) {
		group->worker->group = NULL;
		group->worker->gone = true;
	}
	group->worker = NULL;
}

void worker_free_all(struct manager *m)
{
	while (m->workers)
		worker_free(m->workers);
}

/* A worker that died without a word has left a record behind: it is undone by another one. */
static bool recover_from_record(struct worker *worker)
{
	struct manager *m = worker->manager;
	const struct transaction *t = worker->transaction;
	struct transaction *left = NULL;
	struct group *group = worker->group;

	if (t->way != WAY_TRANSACTION || m->stopping || worker->gone)
		return false;
	if (record_read(t->record_dir, t->group, &left) < 0)
		return false;
	if (group)
		worker_detach(group);
	if (worker_start(m, group, left, true) < 0)
		return false;
	return true;
}

static int on_exit_of_child(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	struct worker *worker = userdata;
	struct manager *m = worker->manager;
	struct outcome outcome;
	struct group *group = worker->group;
	struct transaction *t;
	uint64_t duration = now_usec(CLOCK_MONOTONIC) - worker->started_usec;
	bool whole;
	ssize_t n;

	(void)s;
	do
		n = read(worker->pipe_fd, &outcome, sizeof(outcome));
	while (n < 0 && errno == EINTR);
	whole = si->si_code == CLD_EXITED && n == (ssize_t)sizeof(outcome);
	if (!whole) {
		outcome_set(&outcome, RESULT_FAILED, PROBLEM_FAILED, EIO,
			    "the worker process ended early (%s %d); what it had begun is undone",
			    si->si_code == CLD_EXITED ? "exit status" : "signal", si->si_status);
		log_error("Group %u: %s", worker->transaction->group, outcome.reason);
		if (recover_from_record(worker)) {
			worker_free(worker);
			return 0;
		}
	}
	outcome.reason[sizeof(outcome.reason) - 1] = '\0';
	t = TAKE_PTR(worker->transaction);
	/* It has gone on writing it; while it ran, nobody else with the number has begun anything. */
	if (worker->gone)
		record_remove(t->record_dir, t->group);
	worker_free(worker);
	if (group)
		engine_finished(m, group, t, &outcome, duration);
	else if (outcome.result == RESULT_FAILED)
		log_notice("Group %u went while its type was being changed: %s", t->group, outcome.reason);
	transaction_free(t);
	manager_worker_free(m);
	return 0;
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct worker *worker = userdata;
	struct manager *m = worker->manager;
	struct outcome outcome;

	(void)s;
	(void)usec;
	worker->late = true;
	m->n_running--;
	outcome_set(&outcome, RESULT_FAILED, PROBLEM_TIMEOUT, ETIMEDOUT,
		    "the kernel has not answered for %llu s; the change is taken up when it does",
		    (unsigned long long)(m->settings.transaction_timeout_usec / USEC_PER_SEC));
	if (worker->group)
		engine_finished(m, worker->group, worker->transaction, &outcome,
				now_usec(CLOCK_MONOTONIC) - worker->started_usec);
	manager_worker_free(m);
	return 0;
}

static _Noreturn void run_child(struct transaction *t, int fd, bool recover)
{
	struct outcome outcome = {};
	sigset_t none;

	/* Nothing of the daemon's is the worker's, above all not its bus and its netlink socket. */
	if (dup2(fd, STDIN_FILENO) < 0)
		_exit(EXIT_FAILURE);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	sigemptyset(&none);
	signal(SIGTERM, SIG_IGN); /* a stop waits for the end of what has been begun */
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &none, NULL);

	if (recover)
		transaction_recover(t, &outcome);
	else
		transaction_run(t, &outcome);
	if (write(STDIN_FILENO, &outcome, sizeof(outcome)) != (ssize_t)sizeof(outcome))
		_exit(EXIT_FAILURE);
	_exit(EXIT_SUCCESS);
}

int worker_start(struct manager *m, struct group *group, struct transaction *t, bool recover)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int fds[2], r;
	pid_t pid;

	if (!worker || pipe2(fds, O_CLOEXEC) < 0) {
		r = worker ? -errno : -ENOMEM;
		free(worker);
		transaction_free(t);
		return r;
	}
	pid = fork();
	if (pid == 0)
		run_child(t, fds[1], recover);
	close(fds[1]);
	if (pid < 0) {
		r = -errno;
		close(fds[0]);
		free(worker);
		transaction_free(t);
		return r;
	}
	t->recovering = recover;
	worker->manager = m;
	worker->group = group;
	worker->transaction = t;
	worker->pipe_fd = fds[0];
	worker->started_usec = now_usec(CLOCK_MONOTONIC);
	worker->next = m->workers;
	m->workers = worker;
	m->n_running++;
	if (group)
		group->worker = worker;

	r = sd_event_add_child(m->event, &worker->child, pid, WEXITED, on_exit_of_child, worker);
	if (r >= 0)
		r = sd_event_add_time_relative(m->event, &worker->deadline, CLOCK_MONOTONIC,
					       m->settings.transaction_timeout_usec, 0, on_deadline, worker);
	if (r < 0) {
		/* Nobody would hear of its end. What it has begun is in its record for the next start. */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		worker_free(worker);
	}
	return r;
}
