/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/policy-read.h"

#include <errno.h>
#include <sys/stat.h>

#include "ctl/display.h"
#include "ctl/failure.h"
#include "ctl/json.h"
#include "ctl/util.h"

static int print_document(const struct ctl *ctl, const struct policy_errors *errors)
{
	struct json_builder b = { 0 };
	json_object *document = json_object_new_object();
	json_object *list = json_add_array(&b, document, "errors");
	int r;

	for (size_t i = 0; i < errors->n_items; i++) {
		const struct policy_error *error = &errors->items[i];
		json_object *item = json_add_object(&b, list, NULL);

		json_add_text(&b, item, "file", error->path);
		if (error->line > 0)
			json_add_number(&b, item, "line", error->line);
		else
			json_add_null(&b, item, "line");
		json_add_text(&b, item, "section", error->section);
		json_add_text(&b, item, "key", error->key);
		json_add_text(&b, item, "message", error->message);
	}
	json_add_number(&b, document, "errors_not_shown", errors->n_dropped);
	r = json_print(ctl, &b, document);
	return r == EXIT_CODE_DONE ? EXIT_CODE_FAILED : r;
}

/* On standard output: the errors are what was asked for. */
int policy_errors_print(const struct ctl *ctl, const struct policy_errors *errors)
{
	if (json_wanted(ctl))
		return print_document(ctl, errors);
	for (size_t i = 0; i < errors->n_items; i++) {
		_cleanup_free_ char *line = policy_error_format(&errors->items[i]), *escaped = NULL;

		if (line)
			escaped = display_escape(line);
		if (!escaped)
			return complain_memory();
		puts(escaped);
	}
	if (errors->n_dropped > 0)
		printf("... and %zu more errors\n", errors->n_dropped);
	return EXIT_CODE_FAILED;
}

int policy_read_failed(const struct ctl *ctl, int r, const struct policy_errors *errors)
{
	if (r == -EBADMSG)
		return policy_errors_print(ctl, errors);
	if (r == -ENOMEM)
		return complain_memory();
	return failure_complain(ctl, EXIT_CODE_FAILED, -r, "reading the policy files: %s",
				strerror(-r));
}

int policy_folder_check(const struct ctl *ctl, const char *path)
{
	_cleanup_free_ char *escaped = display_escape(path);
	struct stat st;
	int error = stat(path, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;

	if (error == 0)
		return 0;
	return failure_complain(ctl, EXIT_CODE_FAILED, error, "cannot read the folder '%s': %s",
				str_or(escaped, "?"), strerror(error));
}
