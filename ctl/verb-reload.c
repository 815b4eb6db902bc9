/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "ctl/bus.h"
#include "ctl/display.h"
#include "ctl/document.h"
#include "ctl/model.h"
#include "ctl/util.h"

/* In the form that 'check' has, so that editors find the places. */
static int print_errors(const struct model_manager *manager)
{
	fflush(stdout);
	for (size_t i = 0; i < manager->n_errors; i++) {
		const struct model_policy_error *error = &manager->errors[i];
		_cleanup_free_ char *file = display_escape(error->file);
		_cleanup_free_ char *key = display_escape(error->key);
		_cleanup_free_ char *message = display_escape(error->message);
		char line[16] = "";

		if (!file || !key || !message)
			return complain_memory();
		if (error->line > 0)
			snprintf(line, sizeof(line), ":%u", error->line);
		fprintf(stderr, "%s%s: %s%s%s\n", file, line, key, *key ? ": " : "", message);
	}
	complain("the policy files have %zu %s, so %s", manager->n_errors,
		 manager->n_errors == 1 ? "error" : "errors",
		 manager->generation > 0 ? "the policy before them stays in force"
					 : "no policy is in force");
	return EXIT_CODE_FAILED;
}

static int print_json(const struct ctl *ctl, const struct model_manager *manager, bool ok)
{
	json_object *document = json_object_new_object();
	struct json_builder b = { 0 };
	int code;

	json_add_bool(&b, document, "ok", ok);
	document_policy(&b, document, manager);
	code = json_print(ctl, &b, document);
	return code == EXIT_CODE_DONE && !ok ? EXIT_CODE_FAILED : code;
}

int verb_reload(struct ctl *ctl, char **args _unused_, int n_args _unused_)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(model_clear) struct model model = { 0 };
	int r, code;

	r = bus_connect(ctl);
	if (r != 0)
		return r;
	r = bus_call_manager(ctl, "Reload", false, &error, NULL, NULL);
	if (r < 0 && !sd_bus_error_has_name(&error, "org.iommupolicy1.Error.PolicyInvalid"))
		return bus_complain(ctl, "reloading the policy", &error, r);

	code = model_load(ctl, MODEL_MANAGER, &model);
	if (code != 0)
		return code;
	if (json_wanted(ctl) && (r >= 0 || model.manager.n_errors > 0))
		return print_json(ctl, &model.manager, r >= 0);
	if (r < 0 && model.manager.n_errors > 0)
		return print_errors(&model.manager);
	/* Somebody was quicker and has mended the files: what was answered is still the answer. */
	if (r < 0)
		return bus_complain(ctl, "reloading the policy", &error, r);
	if (ctl->term.legend)
		printf("Policy %" PRIu64 " is in force, from %zu %s.\n", model.manager.generation,
		       model_n_files(&model.manager), model_n_files(&model.manager) == 1 ? "file" : "files");
	return EXIT_CODE_DONE;
}
