/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/bus.h"
#include "daemon/engine.h"
#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/policy-copy.h"
#include "daemon/policy-store.h"

/* An editor writes, renames and removes in a burst: read when it is over. */
#define SETTLE_USEC (200 * USEC_PER_MSEC)
#define WATCH_MASK \
	(IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | \
	 IN_MOVE_SELF | IN_ONLYDIR)

static void log_errors(const struct policy_errors *errors)
{
	for (size_t i = 0; i < errors->n_items; i++) {
		_cleanup_free_ char *text = policy_error_format(&errors->items[i]);
		struct log_fields fields = {
			.message_id = MESSAGE_POLICY_ERROR,
			.group = -1,
			.error = &errors->items[i],
		};

		log_struct(LOG_ERR, &fields, "%s", strempty(text));
	}
	if (errors->n_dropped)
		log_error("%zu more errors in the policy files are not shown", errors->n_dropped);
}

static void log_loaded(const struct manager *m)
{
	struct log_fields fields = { .message_id = MESSAGE_POLICY_LOADED, .group = -1 };

	log_struct(LOG_INFO, &fields, "Policy %llu is in force: %zu rule(s) of %zu file(s)",
		   (unsigned long long)m->policy_generation, policy_n_rules(m->policy),
		   strv_len((char *const *)policy_files(m->policy)));
}

static void log_kept(const char *how, int priority)
{
	struct log_fields fields = { .message_id = MESSAGE_POLICY_KEPT, .group = -1 };

	log_struct(priority, &fields, "The policy files have errors: %s", how);
}

static void take_errors(struct manager *m, struct policy_errors *errors)
{
	policy_errors_clear(&m->policy_errors);
	m->policy_errors = *errors;
	*errors = (struct policy_errors){};
}

int policy_store_start(struct manager *m)
{
	static const char *const no_files[] = { NULL };
	struct policy_errors errors = {};
	int r;

	r = policy_load(NULL, policy_default_dirs, &m->policy, &errors);
	if (r >= 0) {
		m->policy_generation = 1;
		m->counts.policies_good++;
		take_errors(m, &errors);
		log_loaded(m);
		/* Early at boot /var may not be there: kept when the bus is, see bus.c. */
		m->copy_due = true;
		return 0;
	}
	if (r != -EBADMSG)
		return r;
	m->counts.policies_bad++;
	log_errors(&errors);
	take_errors(m, &errors);
	r = policy_copy_load(&m->policy);
	if (r >= 0) {
		m->policy_kept = true;
		m->policy_generation = 1;
		log_kept("the last policy that had none, kept in " POLICY_COPY_DIR ", is in force instead",
			 LOG_ERR);
		return 0;
	}
	m->policy_lacking = true;
	log_kept("and no earlier policy is kept: nothing is applied until they are mended", LOG_ERR);
	return policy_load_files(no_files, &m->policy, &errors);
}

int policy_store_reload(struct manager *m)
{
	struct policy_errors errors = {};
	struct policy *policy = NULL;
	struct policy *old = m->policy;
	int r;

	r = policy_load(NULL, policy_default_dirs, &policy, &errors);
	if (r < 0 && r != -EBADMSG) {
		policy_errors_clear(&errors);
		m->counts.policies_bad++;
		log_error("Cannot read the policy: %s", strerror(-r));
		return r;
	}
	take_errors(m, &errors);
	if (r < 0) {
		/* The files are not those of the policy in force any more. */
		m->copy_due = false;
		m->counts.policies_bad++;
		log_errors(&m->policy_errors);
		log_kept(m->policy_lacking ? "nothing is applied until they are mended" :
					     "the previous policy stays in force",
			 LOG_ERR);
	} else {
		m->policy = policy;
		m->policy_generation++;
		m->counts.policies_good++;
		m->policy_kept = m->policy_lacking = false;
		engine_policy_changed(m);
		policy_free(old);
		log_loaded(m);
		m->copy_due = true;
		policy_store_keep(m);
	}
	bus_policy_reloaded(m, r >= 0);
	manager_update_status(m);
	return r;
}

void policy_store_keep(struct manager *m)
{
	if (m->copy_due)
		policy_copy_save(m->policy);
	m->copy_due = false;
}

/*
 * A folder that does not exist is waited for in its nearest parent that does,
 * /etc/iommu-policyd or /run itself. inotify_add_watch() of what is watched
 * already only repeats its mask.
 */
static void add_watches(struct manager *m)
{
	for (const char *const *dir = policy_default_dirs; *dir; dir++) {
		_cleanup_free_ char *path = strdup(*dir);

		while (path && inotify_add_watch(m->inotify_fd, path, WATCH_MASK) < 0 && errno == ENOENT) {
			char *slash = strrchr(path, '/');

			if (!slash || slash == path)
				break;
			*slash = '\0';
		}
	}
}

static int on_settled(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)usec;
	add_watches(m);
	policy_store_reload(m);
	return 0;
}

/* In a parent that is only watched for a folder to come, nothing but that folder matters. */
static bool concerns_us(const struct inotify_event *event)
{
	const char *dot;

	static const uint32_t of_the_folder = IN_DELETE_SELF | IN_MOVE_SELF | IN_Q_OVERFLOW | IN_UNMOUNT;

	/* Without a name it is the folder itself, whose mode may have been what was wrong. */
	if (!event->len || (event->mask & of_the_folder))
		return event->mask & (of_the_folder | IN_ATTRIB);
	if (strcmp(event->name, "iommu-policyd") == 0 || strcmp(event->name, "policy.d") == 0)
		return true;
	dot = strrchr(event->name, '.');
	return dot && strcmp(dot, ".conf") == 0;
}

static int on_inotify(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;
	char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool ours = false;
	ssize_t n;

	(void)s;
	(void)revents;
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		for (char *p = buffer; p < buffer + n;) {
			const struct inotify_event *event = (const void *)p;

			ours |= concerns_us(event);
			p += sizeof(*event) + event->len;
		}
	if (!ours)
		return 0;
	sd_event_source_set_time_relative(m->settle_source, SETTLE_USEC);
	sd_event_source_set_enabled(m->settle_source, SD_EVENT_ONESHOT);
	return 0;
}

int policy_store_watch(struct manager *m)
{
	int r;

	m->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (m->inotify_fd < 0)
		return -errno;
	r = sd_event_add_time_relative(m->event, &m->settle_source, CLOCK_MONOTONIC, 0, 0, on_settled, m);
	if (r < 0)
		return r;
	sd_event_source_set_enabled(m->settle_source, SD_EVENT_OFF);
	r = sd_event_add_io(m->event, &m->inotify_source, m->inotify_fd, EPOLLIN, on_inotify, m);
	if (r < 0)
		return r;
	add_watches(m);
	return 0;
}

void policy_store_free(struct manager *m)
{
	m->inotify_source = sd_event_source_disable_unref(m->inotify_source);
	m->settle_source = sd_event_source_disable_unref(m->settle_source);
	if (m->inotify_fd >= 0)
		close(m->inotify_fd);
	m->policy = policy_free(m->policy);
	policy_errors_clear(&m->policy_errors);
}
