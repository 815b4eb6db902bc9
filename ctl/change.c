/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/change.h"

#include "ctl/bus.h"
#include "ctl/display.h"
#include "ctl/plan.h"
#include "ctl/util.h"

/*
 * Only what waits for a driver needs a word about how it goes on; what waits for
 * something else says it in its reason. The change is told by now, so that a
 * question which fails is no error.
 */
static const char *next_step(struct ctl *ctl, uint32_t group, const char *state)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	const struct arguments *arguments = &ctl->arguments;
	_cleanup_free_ char *way = NULL, *mode = NULL;

	if (!streq(state, "pending") || arguments->rebind ||
	    !(arguments->verb->options & VERB_REBIND))
		return NULL;
	if (sd_bus_get_property_string(ctl->bus, BUS_NAME, BUS_ROOT, BUS_MANAGER, "Mode", &error,
				       &mode) < 0 ||
	    plan_ask_way(ctl, group, &error, &way) < 0 || streq(mode, "audit") || !way ||
	    !streq(way, "wait"))
		return NULL;
	return "It is done when the driver lets go; --rebind does not wait.";
}

void change_document(struct json_builder *b, json_object *results, uint32_t group,
		     const char *state, const char *reason)
{
	json_object *object = json_add_object(b, results, NULL);

	json_add_number(b, object, "group", group);
	json_add_text(b, object, "state", state);
	json_add_text(b, object, "reason", *reason ? reason : NULL);
}

static int print_json(const struct ctl *ctl, uint32_t group, const char *state, const char *reason)
{
	json_object *document = json_object_new_object();
	struct json_builder b = { 0 };
	int code;

	change_document(&b, json_add_array(&b, document, "results"), group, state, reason);
	code = json_print(ctl, &b, document);
	return code == EXIT_CODE_DONE ? (int)outcome_of_state(state) : code;
}

int change_print(struct ctl *ctl, uint32_t group, const char *doing, int r,
		 const sd_bus_error *error, sd_bus_message *reply)
{
	_cleanup_free_ char *safe_state = NULL, *safe_reason = NULL;
	const char *state, *reason, *next;
	enum style style;

	if (r >= 0)
		r = sd_bus_message_read(reply, "ss", &state, &reason);
	if (r < 0)
		return bus_complain(ctl, doing, error, r);
	if (json_wanted(ctl))
		return print_json(ctl, group, state, reason);

	safe_state = display_escape(state);
	safe_reason = display_escape(reason);
	if (!safe_state || !safe_reason)
		return complain_memory();

	style = outcome_style(state);
	printf("Group %u: %s%s%s%s%s\n", group, term_on(&ctl->term, style), safe_state,
	       term_off(&ctl->term, style), *reason ? ": " : "", safe_reason);
	next = ctl->term.legend ? next_step(ctl, group, state) : NULL;
	if (next)
		puts(next);
	return outcome_of_state(state);
}
