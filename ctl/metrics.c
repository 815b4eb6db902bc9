/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/metrics.h"

#include <inttypes.h>

#include "ctl/display.h"
#include "ctl/util.h"

/* Series that come and go are hard to alert on: each state and type is there, if with none. */
static const char *const states[] = { "unmanaged", "compliant", "pending",    "applying",
				      "refused",   "failed",	"user-owned" };
static const char *const types[] = { "DMA", "DMA-FQ", "identity", "blocked", "unknown" };

/* Where samples go: either lines to F, or objects to the array SAMPLES. */
struct sink {
	FILE *f;
	json_object *samples;
	struct json_builder *builder;
};

/* Up to an entry without a name. */
struct label {
	const char *name, *value;
};

static void put_family(struct sink *to, const char *name, const char *type, const char *help)
{
	if (to->f)
		fprintf(to->f, "# HELP iommu_policy_%s %s\n# TYPE iommu_policy_%s %s\n", name, help,
			name, type);
}

/*
 * The value of a label: of what the format, or a terminal, gives a meaning nothing
 * may be left.
 */
static void print_label(FILE *f, const struct label *label)
{
	_cleanup_free_ char *escaped = display_escape(label->value);

	fprintf(f, "%s=\"", label->name);
	for (const char *c = str_or(escaped, ""); *c; c++) {
		if (*c == '\\' || *c == '"')
			fputc('\\', f);
		fputc(*c, f);
	}
	fputc('"', f);
}

static void print_sample(FILE *f, const char *name, const struct label *labels, const char *number)
{
	fprintf(f, "iommu_policy_%s", name);
	for (const struct label *l = labels; l && l->name; l++) {
		fputc(l == labels ? '{' : ',', f);
		print_label(f, l);
	}
	fprintf(f, "%s %s\n", labels ? "}" : "", number);
}

static json_object *add_sample(struct sink *to, const char *name, const struct label *labels)
{
	json_object *sample = json_add_object(to->builder, to->samples, NULL), *object;
	char whole[64];

	snprintf(whole, sizeof(whole), "iommu_policy_%s", name);
	json_add_text(to->builder, sample, "name", whole);
	object = json_add_object(to->builder, sample, "labels");
	for (const struct label *l = labels; l && l->name; l++)
		json_add_text(to->builder, object, l->name, l->value);
	return sample;
}

static void put_number(struct sink *to, const char *name, const struct label *labels,
		       uint64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	if (to->f)
		print_sample(to->f, name, labels, text);
	else
		json_add_number(to->builder, add_sample(to, name, labels), "value", number);
}

/* In seconds, and not by %f, whose point is the locale's. */
static void put_usec(struct sink *to, const char *name, const struct label *labels, uint64_t usec)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64 ".%06" PRIu64, usec / 1000000, usec % 1000000);
	if (to->f)
		print_sample(to->f, name, labels, text);
	else
		json_add_decimal(to->builder, add_sample(to, name, labels), "value",
				 (double)usec / 1e6, text);
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

static void put_groups_of(struct sink *to, const struct model *model, const char *state,
			  const char *type)
{
	const struct label labels[] = { { "state", state }, { "type", type }, { 0 } };
	size_t n = 0;

	for (size_t i = 0; i < model->n_groups; i++)
		n += streq(model->groups[i].state, state) && streq(type_of(&model->groups[i]), type);
	put_number(to, "groups", labels, n);
}

/* Words of a newer daemon, too, each pair once. */
static void put_other_groups(struct sink *to, const struct model *model)
{
	for (size_t i = 0; i < model->n_groups; i++) {
		const struct model_group *group = &model->groups[i];
		bool seen = is_one_of(group->state, states, ARRAY_SIZE(states)) &&
			    is_one_of(type_of(group), types, ARRAY_SIZE(types));

		for (size_t j = 0; j < i && !seen; j++)
			seen = streq(model->groups[j].state, group->state) &&
			       streq(type_of(&model->groups[j]), type_of(group));
		if (!seen)
			put_groups_of(to, model, group->state, type_of(group));
	}
}

static void put_groups(struct sink *to, const struct model *model)
{
	size_t n = 0;

	put_family(to, "groups", "gauge", "IOMMU groups by state and default domain type.");
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		for (size_t j = 0; j < ARRAY_SIZE(types); j++)
			put_groups_of(to, model, states[i], types[j]);
	put_other_groups(to, model);

	for (size_t i = 0; i < model->n_groups; i++)
		n += model->groups[i].drifted;
	put_family(to, "drifted_groups", "gauge",
		   "Groups that somebody else has changed since the policy was applied.");
	put_number(to, "drifted_groups", NULL, n);
}

static void put_transactions(struct sink *to, const struct metrics *metrics)
{
	put_family(to, "transactions_total", "counter",
		   "Changes of groups since the daemon started, by result.");
	for (size_t i = 0; i < metrics->n_transactions; i++) {
		const struct metrics_transactions *of = &metrics->transactions[i];

		put_number(to, "transactions_total",
			   (struct label[]){ { "result", of->result }, { 0 } }, of->count);
	}
	put_family(to, "transaction_seconds_total", "counter",
		   "Time that changes of groups took together, by result.");
	for (size_t i = 0; i < metrics->n_transactions; i++) {
		const struct metrics_transactions *of = &metrics->transactions[i];

		put_usec(to, "transaction_seconds_total",
			 (struct label[]){ { "result", of->result }, { 0 } }, of->usec);
	}
}

static void put_policy(struct sink *to, const struct metrics *metrics)
{
	const struct model_manager *manager = &metrics->model.manager;

	put_family(to, "generation", "gauge",
		   "Number of the policy in force; it grows with each change, 0 is none.");
	put_number(to, "generation", NULL, manager->generation);
	put_family(to, "errors", "gauge",
		   "Errors in the policy files; with any, an earlier policy is in force.");
	put_number(to, "errors", NULL, manager->n_errors);
	put_family(to, "reloads_total", "counter",
		   "Readings of the policy files since the daemon started, by result.");
	put_number(to, "reloads_total", (struct label[]){ { "result", "done" }, { 0 } },
		   metrics->reloads);
	put_number(to, "reloads_total", (struct label[]){ { "result", "failed" }, { 0 } },
		   metrics->failed_reloads);
}

static void put_all(struct sink *to, const struct metrics *metrics)
{
	const struct model_manager *manager = &metrics->model.manager;
	const struct label info[] = { { "version", manager->version },
				      { "mode", manager->mode },
				      { "backend", manager->backend },
				      { 0 } };

	put_family(to, "up", "gauge", "Whether iommu-policyd runs and answers.");
	put_number(to, "up", NULL, metrics->up);
	if (!metrics->up)
		return;
	put_family(to, "info", "gauge", "Version, mode and backend of the daemon; always 1.");
	put_number(to, "info", info, 1);
	put_groups(to, &metrics->model);
	put_transactions(to, metrics);
	put_policy(to, metrics);
}

void metrics_write(FILE *f, const struct metrics *metrics)
{
	put_all(&(struct sink){ .f = f }, metrics);
}

void metrics_document(struct json_builder *b, json_object *samples, const struct metrics *metrics)
{
	put_all(&(struct sink){ .samples = samples, .builder = b }, metrics);
}

void metrics_clear(struct metrics *metrics)
{
	model_clear(&metrics->model);
	for (size_t i = 0; i < metrics->n_transactions; i++)
		free(metrics->transactions[i].result);
	free(metrics->transactions);
	*metrics = (struct metrics){ 0 };
}
