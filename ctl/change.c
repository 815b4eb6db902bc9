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
