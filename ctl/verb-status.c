/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>

#include "ctl/describe.h"
#include "ctl/display.h"
#include "ctl/document.h"
#include "ctl/table.h"
#include "ctl/util.h"

/* A reason may be long; here one line of it does, 'show' has the whole. */
#define REASON_LINES 1

/* What the line above the table takes; where there is less, it is two. */
#define HEADER_WIDTH 72

static bool has_feature(const struct model_manager *manager, const char *feature)
{
	for (char **p = manager->features; p && *p; p++)
		if (streq(*p, feature))
			return true;
	return false;
}

static void print_warning(const struct ctl *ctl, const char *text)
{
	display_print_wrapped(stdout, text,
			      &(struct display_wrap){
				      .width = ctl->term.width,
				      .before = term_on(&ctl->term, STYLE_BAD),
				      .after = term_off(&ctl->term, STYLE_BAD),
			      });
}

static void print_manager(const struct ctl *ctl, const struct model_manager *manager)
{
	_cleanup_free_ char *mode = display_escape(manager->mode),
			    *backend = display_escape(manager->backend);
	enum style style = manager->n_errors > 0 ? STYLE_BAD : STYLE_PLAIN;
	bool narrow = ctl->term.width < HEADER_WIDTH;
	const char *gap = narrow ? "\n" : "   ";
	char text[160];

	printf("Mode: %s%sBackend: %s%sPolicy: ", str_or(mode, "?"), narrow ? "  " : gap,
	       str_or(backend, "?"), gap);
	if (manager->generation == 0)
		printf("none");
	else
		printf("%" PRIu64 " (%zu %s)", manager->generation, model_n_files(manager),
		       model_n_files(manager) == 1 ? "file" : "files");
	printf("%s%sErrors: %zu%s\n", narrow ? "  " : gap, term_on(&ctl->term, style),
	       manager->n_errors, term_off(&ctl->term, style));

	if (manager->n_errors > 0) {
		snprintf(text, sizeof(text),
			 "The policy files have %zu %s, so %s. See: iommu-policyctl check",
			 manager->n_errors, manager->n_errors == 1 ? "error" : "errors",
			 manager->generation > 0 ? "the policy before them stays in force"
						 : "no policy is in force");
		print_warning(ctl, text);
	}
	if (streq(manager->mode, "audit"))
		print_warning(ctl, "Mode audit: decisions are reported and nothing is changed.");
	if (!has_feature(manager, "iommu"))
		print_warning(
			ctl,
			"No IOMMU is active: enable it in the firmware and, for Intel, boot with intel_iommu=on.");
	else if (!has_feature(manager, "type-file"))
		print_warning(
			ctl,
			"This kernel cannot change the type of a group (Linux 5.11 or newer can).");
}

static int fill_table(struct table *table, const struct model *model)
{
	for (size_t i = 0; i < model->n_groups; i++) {
		const struct model_group *group = &model->groups[i];
		_cleanup_free_ char *content = NULL, *brief = NULL;
		enum style style = outcome_style(group->state);
		size_t keep;

		if (describe_content(group, &content, &keep, &brief) < 0)
			return -ENOMEM;
		table_addf(table, STYLE_PLAIN, "%u", group->id);
		table_add(table, STYLE_PLAIN, group->type);
		table_add(table, STYLE_PLAIN, group->target);
		table_add(table, style, group->state);
		table_add_brief(table, STYLE_PLAIN, content, keep, brief);
		/* What is fine by its state but has something to say is worth a look. */
		if (group_needs_reason(group))
			table_note(table,
				   outcome_of_state(group->state) == EXIT_CODE_DONE ? STYLE_WAIT
										    : style,
				   REASON_LINES, group->reason);
	}
	return 0;
}

/* "14 groups: 1 pending, 3 compliant": what wants attention comes first. */
static void write_summary(FILE *f, const struct model *model)
{
	static const char *const states[] = { "failed",	  "refused",   "user-owned", "pending",
					      "applying", "compliant", "unmanaged" };
	const char *separator = ": ";

	fprintf(f, "%zu %s", model->n_groups, model->n_groups == 1 ? "group" : "groups");
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		size_t n = 0;

		for (size_t j = 0; j < model->n_groups; j++)
			n += streq(model->groups[j].state, states[i]);
		if (n == 0)
			continue;
		fprintf(f, "%s%zu %s", separator, n, states[i]);
		separator = ", ";
	}
}

static int print_summary(const struct ctl *ctl, const struct model *model)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f;

	f = open_memstream(&text, &size);
	if (!f)
		return -ENOMEM;
	write_summary(f, model);
	if (fclose(f) != 0)
		return -ENOMEM;
	return display_print_wrapped(stdout, text,
				     &(struct display_wrap){ .width = ctl->term.width });
}

static int print_json(const struct ctl *ctl, const struct model *model)
{
	json_object *document = json_object_new_object(), *groups;
	struct json_builder b = { 0 };

	document_manager(&b, document, "manager", &model->manager);
	groups = json_add_array(&b, document, "groups");
	for (size_t i = 0; i < model->n_groups; i++)
		document_group(&b, groups, NULL, &model->groups[i]);
	return json_print(ctl, &b, document);
}

int verb_status(struct ctl *ctl, char **args _unused_, int n_args _unused_)
{
	static const struct table_column columns[] = {
		{ "GROUP", TABLE_RIGHT },
		{ "TYPE", TABLE_SHRINK },
		{ "TARGET", TABLE_SHRINK },
		{ "STATE", TABLE_SHRINK },
		{ "DEVICES", TABLE_SHRINK | TABLE_LIST },
	};
	_cleanup_(table_freep) struct table *table = table_new(columns, ARRAY_SIZE(columns));
	_cleanup_(model_clear) struct model model = { 0 };
	int code;

	if (!table)
		return complain_memory();
	code = model_load(ctl, MODEL_OBJECTS | MODEL_MANAGER | MODEL_NAMES, &model);
	if (code != 0)
		return code;

	if (json_wanted(ctl))
		return print_json(ctl, &model);
	if (fill_table(table, &model) < 0)
		return complain_memory();
	if (ctl->term.legend) {
		print_manager(ctl, &model.manager);
		putchar('\n');
	}
	if (table_print(table, stdout, &ctl->term) < 0)
		return complain_memory();
	if (ctl->term.legend) {
		if (model.n_groups > 0)
			putchar('\n');
		if (print_summary(ctl, &model) < 0)
			return complain_memory();
	}
	return EXIT_CODE_DONE;
}
