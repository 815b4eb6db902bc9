/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "ctl/bus.h"
#include "ctl/draft.h"
#include "ctl/metrics.h"
#include "ctl/presence.h"
#include "ctl/props.h"
#include "ctl/util.h"

static int add_transactions(struct metrics *metrics, const char *result, uint64_t count,
			    uint64_t usec)
{
	struct metrics_transactions *more = reallocarray(
		metrics->transactions, metrics->n_transactions + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	metrics->transactions = more;
	more += metrics->n_transactions++;
	*more = (struct metrics_transactions){ .count = count, .usec = usec };
	return prop_set_string(&more->result, result);
}

static int read_transactions(sd_bus_message *m, struct metrics *metrics)
{
	const char *result;
	uint64_t count, usec;
	int r = sd_bus_message_enter_container(m, 'a', "(stt)");

	if (r < 0)
		return r;
	while ((r = sd_bus_message_read(m, "(stt)", &result, &count, &usec)) > 0) {
		r = add_transactions(metrics, result, count, usec);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int load_counters(struct ctl *ctl, struct metrics *metrics)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *transactions = NULL, *reloads = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_get_property(ctl->bus, BUS_NAME, BUS_ROOT, BUS_MANAGER, "Transactions", &error,
				&transactions, "a(stt)");
	if (r >= 0)
		r = read_transactions(transactions, metrics);
	if (r >= 0)
		r = sd_bus_get_property(ctl->bus, BUS_NAME, BUS_ROOT, BUS_MANAGER, "PolicyReloads",
					&error, &reloads, "(tt)");
	if (r >= 0)
		r = sd_bus_message_read(reloads, "(tt)", &metrics->reloads,
					&metrics->failed_reloads);
	return r < 0 ? bus_complain(ctl, "reading the counters of iommu-policyd", &error, r) : 0;
}

static int load(struct ctl *ctl, struct metrics *metrics)
{
	bool daemon;
	int code = presence_check(ctl, &daemon);

	/* That it does not run is what there is to tell, and no failure of telling it. */
	if (code != 0 || !daemon)
		return code;
	code = model_load(ctl, MODEL_OBJECTS | MODEL_MANAGER, &metrics->model);
	if (code == 0)
		code = load_counters(ctl, metrics);
	metrics->up = code == 0;
	return code;
}

static int write_file(const struct ctl *ctl, const char *path, const struct metrics *metrics)
{
	_cleanup_(draft_clear) struct draft draft = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f;
	int code;

	f = open_memstream(&text, &size);
	if (!f)
		return complain_memory();
	metrics_write(f, metrics);
	if (fclose(f) != 0)
		return complain_memory();
	code = draft_write(ctl, &draft, path, text, DRAFT_OVER_ANY);
	return code != 0 ? code : draft_commit(ctl, &draft);
}

static int print_json(const struct ctl *ctl, const struct metrics *metrics)
{
	struct json_builder b = { 0 };
	json_object *samples = json_object_new_array();

	metrics_document(&b, samples, metrics);
	return json_print(ctl, &b, samples);
}

int verb_metrics(struct ctl *ctl, char **args, int n_args)
{
	_cleanup_(metrics_clear) struct metrics metrics = { 0 };
	int loaded = load(ctl, &metrics), written = 0;
	struct ctl plain = *ctl;

	/* That failure was a document, and there is one a command. */
	if (loaded != 0)
		plain.arguments.json = JSON_OFF;
	/* Also where it does not answer: a fleet sees what is written, not how this ends. */
	if (n_args > 0)
		written = write_file(&plain, args[0], &metrics);
	else if (!json_wanted(ctl))
		metrics_write(stdout, &metrics);
	if (json_wanted(ctl) && loaded == 0 && written == 0)
		written = print_json(ctl, &metrics);
	return outcome_worse(loaded, written);
}
