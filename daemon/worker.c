/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "daemon/engine.h"
#include "daemon/failpoint.h"
#include "daemon/group-lock.h"
#include "daemon/log.h"
#include "daemon/record.h"
#include "daemon/worker.h"

/*
 * A worker has its group locked, until its process has ended: so it is also
 * known to the next daemon, which begins nothing, and undoes nothing, that this
 * one may still be at. systemd leaves it alone (KillMode=process).
 */

enum job {
	JOB_RUN,
	JOB_RECOVER,
	JOB_ASK, /* beside a worker that is late: whether it waits for a program that has the group */
};

struct worker {
	struct manager *manager;
	enum job job;
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
	if (worker->group && worker->group->worker == worker)
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

void worker_detach(struct manager *m, struct group *group)
{
	for (struct worker *worker = m->workers; worker; worker = worker->next)
		if (worker->group == group) {
			worker->group = NULL;
			worker->gone = true;
		}
	group->worker = NULL;
}

bool worker_is_late(const struct group *group)
{
	return group->worker && group->worker->late;
}

void worker_free_all(struct manager *m)
{
	while (m->workers)
		worker_free(m->workers);
}

/* How many workers may die of undoing the same change. */
#define ATTEMPTS_MAX 3

enum remains {
	REMAINS_NOTHING, /* it has not begun, or it had come to its end */
	REMAINS_RECOVERING, /* another worker is at it */
	REMAINS_RECORD, /* nobody is */
};

static int start_job(struct manager *m, struct group *group, struct transaction *t, enum job job);

/* A worker that died without a word has left a record behind: it is undone by another one. */
static enum remains recover_from_record(struct worker *worker)
{
	struct manager *m = worker->manager;
	const struct transaction *t = worker->transaction;
	struct transaction *left = NULL;
	struct group *group = worker->group;
	int r;

	if (worker->job == JOB_ASK || worker->gone || (t->way != WAY_TRANSACTION && !t->recovering))
		return REMAINS_NOTHING;
	r = record_read(t->record_dir, t->group, &left);
	if (r == -ENOENT)
		return REMAINS_NOTHING;
	if (r < 0)
		return REMAINS_RECORD;
	/* In force already, or still: it died before its first step or after its last. */
	if (record_is_quarantine(left)) {
		transaction_free(left);
		return REMAINS_NOTHING;
	}
	left->attempts = t->attempts + 1;
	if (left->attempts > ATTEMPTS_MAX) {
		transaction_free(left);
		return REMAINS_RECORD;
	}
	if (group) {
		worker->group = NULL;
		group->worker = NULL;
	}
	return start_job(m, group, left, JOB_RECOVER) < 0 ? REMAINS_RECORD : REMAINS_RECOVERING;
}

static const char *const remains_text[] = {
	[REMAINS_NOTHING] = "",
	[REMAINS_RECOVERING] = "; what it had begun is undone",
	[REMAINS_RECORD] = "; what it had begun cannot be undone now, and will be tried at the next reload or start",
};

/* What it has found is news only while what it was to explain is still so. */
static void asked(struct worker *worker, const struct outcome *outcome)
{
	struct group *group = worker->group;

	if (group && worker_is_late(group) && outcome->problem == PROBLEM_USER_OWNED)
		engine_finished(worker->manager, group, worker->transaction, outcome, 0);
}

/* A change that is late was counted at its deadline, and one that is undone when it failed. */
static void count(const struct worker *worker, const struct outcome *outcome, uint64_t duration_usec)
{
	if (worker->job == JOB_RUN && !worker->late)
		counts_note(&worker->manager->counts, outcome, duration_usec);
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
		enum remains remains = recover_from_record(worker);

		outcome_set(&outcome, RESULT_FAILED, PROBLEM_FAILED, EIO, "the worker process ended early (%s %d)%s",
			    si->si_code == CLD_EXITED ? "exit status" : "signal", si->si_status, remains_text[remains]);
		log_group(LOG_ERR, worker->transaction->group, "%s", outcome.reason);
		if (remains == REMAINS_RECOVERING) {
			count(worker, &outcome, duration);
			worker_free(worker);
			return 0;
		}
	}
	outcome.reason[sizeof(outcome.reason) - 1] = '\0';
	count(worker, &outcome, duration);
	if (worker->job == JOB_ASK) {
		asked(worker, &outcome);
		worker_free(worker);
		manager_worker_free(m);
		return 0;
	}
	t = TAKE_PTR(worker->transaction);
	/* It has gone on writing it; while it ran, nobody else with the number has begun anything. */
	if (worker->gone)
		record_remove(t->record_dir, t->group);
	worker_free(worker);
	if (group) {
		engine_finished(m, group, t, &outcome, duration);
		/* It may have been through with everything but telling so. */
		if (!whole)
			manager_queue_group(m, group->id, 0);
	} else if (outcome.result == RESULT_FAILED) {
		log_group(LOG_NOTICE, t->group, "it went while its type was being changed: %s", outcome.reason);
	}
	transaction_free(t);
	manager_worker_free(m);
	return 0;
}

/* Where it is, by its record: "unbind, driver e1000e of 0000:01:00.0"; malloc'd, NULL where that is not known. */
static char *describe_step(const struct transaction *t)
{
	_cleanup_(transaction_freep) struct transaction *now = NULL;
	const struct transaction_device *device = NULL;

	if (!t->record_dir || record_read(t->record_dir, t->group, &now) < 0)
		return NULL;
	for (size_t i = 0; now->step == STEP_UNBIND && i < now->n_devices; i++)
		if (now->devices[i].unbound)
			device = &now->devices[i];
	if (!device)
		return strf("step %s", step_to_string(now->step));
	return strf("step %s, driver %s of %s", step_to_string(now->step), strempty(device->driver), device->address);
}

static void describe_timeout(const struct worker *worker, struct outcome *outcome)
{
	_cleanup_free_ char *step = describe_step(worker->transaction);

	outcome_set(outcome, RESULT_FAILED, PROBLEM_TIMEOUT, ETIMEDOUT,
		    "%s for %llu s%s%s%s; the change is taken up when it does",
		    worker->job == JOB_RECOVER ? "what is to be undone has not come to an end in the kernel" :
						 "the kernel has not answered",
		    (unsigned long long)(worker->manager->settings.transaction_timeout_usec / USEC_PER_SEC),
		    step ? " (" : "", strempty(step), step ? ")" : "");
}

/* Unbinding a VFIO driver waits for the program that has the device (vfio_unregister_group_dev() in the kernel). */
static void ask_for_user(struct worker *late)
{
	struct manager *m = late->manager;
	struct transaction *t = calloc(1, sizeof(*t));
	int r = t ? 0 : -ENOMEM;

	if (t)
		t->group = late->transaction->group;
	for (size_t i = 0; r >= 0 && i < late->transaction->n_devices; i++)
		r = transaction_add_device(t, &late->transaction->devices[i]);
	if (r >= 0)
		r = start_job(m, late->group, TAKE_PTR(t), JOB_ASK);
	if (r < 0)
		log_group(LOG_WARNING, late->group->id, "cannot ask whether a program has it: %s", strerror(-r));
	transaction_free(t);
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct worker *worker = userdata;
	struct manager *m = worker->manager;
	uint64_t duration = now_usec(CLOCK_MONOTONIC) - worker->started_usec;
	struct outcome outcome;

	(void)s;
	(void)usec;
	describe_timeout(worker, &outcome);
	count(worker, &outcome, duration);
	worker->late = true;
	m->n_running--;
	if (worker->job != JOB_ASK && worker->group) {
		engine_finished(m, worker->group, worker->transaction, &outcome, duration);
		if (!m->stopping)
			ask_for_user(worker);
	}
	manager_worker_free(m);
	return 0;
}

#define LOCK_POLL_USEC (50 * 1000)

/*
 * Returns whether to go on. What is to be undone is read again once the group
 * is free. What was decided before that is not: it is to be decided anew.
 */
static bool lock_group(struct group_lock *lock, unsigned number, enum job job, pid_t daemon, struct outcome *outcome)
{
	int r = group_lock(lock, number, job == JOB_RECOVER);
	bool waited = false;

	for (; r == -EAGAIN; r = group_lock(lock, number, false)) {
		/* Whoever has decided it is gone. */
		if (getppid() != daemon)
			_exit(EXIT_FAILURE);
		waited = true;
		usleep(LOCK_POLL_USEC);
	}
	/* A group that has gone is met on the way. */
	if (r < 0 && r != -ENODEV) {
		outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, -r, "locking the group: %s", strerror(-r));
		return false;
	}
	if (!waited)
		return true;
	outcome_set(outcome, RESULT_FAILED, PROBLEM_FAILED, EAGAIN,
		    "an earlier change of the group had not come to its end");
	outcome->again = true;
	return false;
}

static void recover(struct transaction *read, struct outcome *outcome)
{
	_cleanup_(transaction_freep) struct transaction *t = NULL;
	_cleanup_(transaction_freep) struct transaction *quarantine = NULL;
	int r;

	/* Whoever was at it meanwhile has come to an end, and maybe nothing needs to be undone. */
	if (record_read_quarantine(read->record_dir, read->group, &quarantine) >= 0)
		return;
	r = record_read(read->record_dir, read->group, &t);
	if (r < 0 && r != -ENOENT)
		transaction_recover(read, outcome);
	else if (r >= 0)
		transaction_recover(t, outcome);
}

static _Noreturn void run_child(struct transaction *t, int fd, enum job job, pid_t daemon)
{
	struct group_lock lock = { .fd = -1 };
	struct outcome outcome = {};
	sigset_t none;

	failpoint_begin(job == JOB_RECOVER ? "recover" : job == JOB_ASK ? "ask" : "run", t->group);
	/* Nothing of the daemon's is the worker's, above all not its bus and its netlink socket. */
	if (dup2(fd, STDIN_FILENO) < 0)
		_exit(EXIT_FAILURE);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	sigemptyset(&none);
	signal(SIGTERM, SIG_IGN); /* a stop waits for the end of what has been begun */
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &none, NULL);

	if (job == JOB_ASK)
		transaction_ask(t, &outcome);
	else if (!lock_group(&lock, t->group, job, daemon, &outcome))
		;
	else if (job == JOB_RECOVER)
		recover(t, &outcome);
	else
		transaction_run(t, &outcome);
	(void)failpoint("tell");
	group_unlock(&lock);
	if (write(STDIN_FILENO, &outcome, sizeof(outcome)) != (ssize_t)sizeof(outcome))
		_exit(EXIT_FAILURE);
	_exit(EXIT_SUCCESS);
}

static int start_job(struct manager *m, struct group *group, struct transaction *t, enum job job)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	pid_t pid, self = getpid();
	int fds[2], r;

	if (!worker || pipe2(fds, O_CLOEXEC) < 0) {
		r = worker ? -errno : -ENOMEM;
		free(worker);
		transaction_free(t);
		return r;
	}
	pid = fork();
	if (pid == 0)
		run_child(t, fds[1], job, self);
	close(fds[1]);
	if (pid < 0) {
		r = -errno;
		close(fds[0]);
		free(worker);
		transaction_free(t);
		return r;
	}
	t->recovering = job == JOB_RECOVER;
	worker->manager = m;
	worker->job = job;
	worker->group = group;
	worker->transaction = t;
	worker->pipe_fd = fds[0];
	worker->started_usec = now_usec(CLOCK_MONOTONIC);
	worker->next = m->workers;
	m->workers = worker;
	m->n_running++;
	if (group && job != JOB_ASK)
		group->worker = worker;

	r = sd_event_add_child(m->event, &worker->child, pid, WEXITED, on_exit_of_child, worker);
	if (r >= 0)
		r = sd_event_add_time_relative(m->event, &worker->deadline, CLOCK_MONOTONIC,
					       m->settings.transaction_timeout_usec, 0, on_deadline, worker);
	if (r < 0) {
		/*
		 * Nobody would hear of its end. What it has begun is in its record for the next start.
		 * It may be held up in the kernel: better a process that nobody has waited for.
		 */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, WNOHANG);
		worker_free(worker);
	}
	return r;
}

int worker_start(struct manager *m, struct group *group, struct transaction *t, bool recover)
{
	return start_job(m, group, t, recover ? JOB_RECOVER : JOB_RUN);
}
