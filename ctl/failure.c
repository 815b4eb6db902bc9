/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/failure.h"

#include <stdarg.h>

#include "ctl/json.h"
#include "ctl/util.h"

int failure_document(const struct ctl *ctl, const char *name, const char *message,
		     const char *hint)
{
	json_object *document, *object;
	struct json_builder b = { 0 };

	if (!json_wanted(ctl))
		return EXIT_CODE_DONE;
	document = json_object_new_object();
	object = json_add_object(&b, document, "error");
	json_add_text(&b, object, "name", name);
	json_add_text(&b, object, "message", message);
	json_add_text(&b, object, "hint", *hint ? hint : NULL);
	return json_print(ctl, &b, document);
}

int failure_complain(const struct ctl *ctl, enum exit_code code, int error, const char *format, ...)
{
	_cleanup_(sd_bus_error_free) sd_bus_error named = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *message = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&message, format, args) < 0)
		message = NULL;
	va_end(args);
	if (!message)
		return complain_memory();

	complain("%s", message);
	if (error > 0)
		sd_bus_error_set_errno(&named, error);
	if (failure_document(ctl, error > 0 ? named.name : SD_BUS_ERROR_FAILED, message, "") !=
	    EXIT_CODE_DONE)
		return EXIT_CODE_FAILED;
	return code;
}
