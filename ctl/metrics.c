/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/metrics.h"

#include <inttypes.h>

#include "ctl/util.h"

/* Series that come and go are hard to alert on: each state and type is there, if with none. */
static const char *const states[] = { "unmanaged", "compliant", "pending",    "applying",
				      "refused",   "failed",	"user-owned" };
static const char *const types[] = { "DMA", "DMA-FQ", "identity", "blocked", "unknown" };

static void put_family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP iommu_policy_%s %s\n# TYPE iommu_policy_%s %s\n", name, help, name,
		type);
}

/* The value of a label: of what the format gives a meaning, nothing may be left. */
static void put_label(FILE *f, const char *name, const char *value)
{
	fprintf(f, "%s=\"", name);
	for (const char *c = value; *c; c++) {
		if (*c == '\\' || *c == '"')
			fputc('\\', f);
		if (*c == '\n')
			fputs("\\n", f);
		else
			fputc(*c, f);
	}
	fputc('"', f);
}

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(word, words[i]))
			return true;
	return false;
}

static const char *type_of(const struct model_group *group)
{
	return str_or(group->type, "unknown");
}

static void put_groups_of(FILE *f, const struct model *model, const char *state, const char *type)
{
	size_t n = 0;

	for (size_t i = 0; i < model->n_groups; i++)
		n += streq(model->groups[i].state, state) && streq(type_of(&model->groups[i]), type);
	fputs("iommu_policy_groups{", f);
	put_label(f, "state", state);
	fputc(',', f);
	put_label(f, "type", type);
	fprintf(f, "} %zu\n", n);
}

/* Words of a newer daemon, too, each pair once. */
static void put_other_groups(FILE *f, const struct model *model)
{
	for (size_t i = 0; i < model->n_groups; i++) {
		const struct model_group *group = &model->groups[i];
		bool seen = is_one_of(group->state, states, ARRAY_SIZE(states)) &&
			    is_one_of(type_of(group), types, ARRAY_SIZE(types));

		for (size_t j = 0; j < i && !seen; j++)
			seen = streq(model->groups[j].state, group->state) &&
			       streq(type_of(&model->groups[j]), type_of(group));
		if (!seen)
			put_groups_of(f, model, group->state, type_of(group));
	}
}

static void put_groups(FILE *f, const struct model *model)
{
	static const char drifted[] = "drifted:";
	size_t n = 0;

	put_family(f, "groups", "gauge", "IOMMU groups by state and default domain type.");
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		for (size_t j = 0; j < ARRAY_SIZE(types); j++)
			put_groups_of(f, model, states[i], types[j]);
	put_other_groups(f, model);

	for (size_t i = 0; i < model->n_groups; i++)
		n += strncmp(model->groups[i].reason, drifted, strlen(drifted)) == 0;
	put_family(f, "drifted_groups", "gauge",
		   "Groups that somebody else has changed since the policy was applied.");
	fprintf(f, "iommu_policy_drifted_groups %zu\n", n);
}

static void put_transactions(FILE *f, const struct metrics *metrics)
{
	put_family(f, "transactions_total", "counter",
		   "Changes of groups since the daemon started, by result.");
	for (size_t i = 0; i < metrics->n_transactions; i++) {
		fputs("iommu_policy_transactions_total{", f);
		put_label(f, "result", metrics->transactions[i].result);
		fprintf(f, "} %" PRIu64 "\n", metrics->transactions[i].count);
	}
	put_family(f, "transaction_seconds_total", "counter",
		   "Time that changes of groups took together, by result.");
	for (size_t i = 0; i < metrics->n_transactions; i++) {
		uint64_t usec = metrics->transactions[i].usec;

		fputs("iommu_policy_transaction_seconds_total{", f);
		put_label(f, "result", metrics->transactions[i].result);
		/* Not by %f, whose point is the locale's. */
		fprintf(f, "} %" PRIu64 ".%06" PRIu64 "\n", usec / 1000000, usec % 1000000);
	}
}

static void put_policy(FILE *f, const struct metrics *metrics)
{
	const struct model_manager *manager = &metrics->model.manager;

	put_family(f, "generation", "gauge",
		   "Number of the policy in force; it grows with each change, 0 is none.");
	fprintf(f, "iommu_policy_generation %" PRIu64 "\n", manager->generation);
	put_family(f, "errors", "gauge",
		   "Errors in the policy files; with any, an earlier policy is in force.");
	fprintf(f, "iommu_policy_errors %zu\n", manager->n_errors);
	put_family(f, "reloads_total", "counter",
		   "Readings of the policy files since the daemon started, by result.");
	fprintf(f,
		"iommu_policy_reloads_total{result=\"done\"} %" PRIu64
		"\niommu_policy_reloads_total{result=\"failed\"} %" PRIu64 "\n",
		metrics->reloads, metrics->failed_reloads);
}

void metrics_write(FILE *f, const struct metrics *metrics)
{
	const struct model_manager *manager = &metrics->model.manager;

	put_family(f, "up", "gauge", "Whether iommu-policyd runs and answers.");
	fprintf(f, "iommu_policy_up %d\n", metrics->up);
	if (!metrics->up)
		return;
	put_family(f, "info", "gauge", "Version, mode and backend of the daemon; always 1.");
	fputs("iommu_policy_info{", f);
	put_label(f, "version", manager->version);
	fputc(',', f);
	put_label(f, "mode", manager->mode);
	fputc(',', f);
	put_label(f, "backend", manager->backend);
	fputs("} 1\n", f);
	put_groups(f, &metrics->model);
	put_transactions(f, metrics);
	put_policy(f, metrics);
}

void metrics_clear(struct metrics *metrics)
{
	model_clear(&metrics->model);
	for (size_t i = 0; i < metrics->n_transactions; i++)
		free(metrics->transactions[i].result);
	free(metrics->transactions);
	*metrics = (struct metrics){ 0 };
}
