/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/change.h"

#include "ctl/display.h"
#include "ctl/util.h"

/* Only what is not finished needs a word about how it goes on. */
static const char *next_step(const struct ctl *ctl, const char *state)
{
	const struct arguments *arguments = &ctl->arguments;

	if (streq(state, "pending") && arguments->verb->options & VERB_REBIND && !arguments->rebind)
		return "It is done when the driver lets go; --rebind does not wait.";
	return NULL;
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

int change_print(const struct ctl *ctl, uint32_t group, const char *doing, int r,
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
	next = next_step(ctl, state);
	if (next && ctl->term.legend)
		puts(next);
	return outcome_of_state(state);
}
