/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/change.h"
#include "ctl/display.h"
#include "ctl/permanent.h"
#include "ctl/util.h"
#include "policy/domain.h"

/* A word that the daemon would not take is a usage error, found without asking it. */
static int parse_type(const char *word, enum domain *ret)
{
	_cleanup_free_ char *escaped = NULL;

	*ret = domain_from_string(word);
	if (domain_is_type(*ret) || *ret == DOMAIN_AUTO)
		return 0;
	escaped = display_escape(word);
	complain("'%s' is not a type (expected identity, DMA, DMA-FQ, auto or blocked)",
		 str_or(escaped, "?"));
	return EXIT_CODE_USAGE;
}

int verb_set(struct ctl *ctl, char **args, int n_args _unused_)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(draft_clear) struct draft draft = { 0 };
	bool permanent = ctl->arguments.permanent;
	struct target target;
	enum domain domain;
	uint32_t group;
	char doing[64];
	int r;

	r = ctl_parse_target(args[0], &target);
	if (r == 0)
		r = parse_type(args[1], &domain);
	if (r == 0)
		r = bus_connect(ctl);
	if (r == 0)
		r = bus_resolve_group(ctl, &target, &group);
	if (r == 0 && permanent)
		r = permanent_prepare(ctl, group, domain, &draft);
	if (r != 0)
		return r;

	snprintf(doing, sizeof(doing), "putting group %u into %s", group, domain_to_string(domain));
	r = bus_call_manager(ctl, "SetGroupType", true, &error, &reply, "us", group,
			     domain_to_string(domain));
	r = change_print(ctl, group, doing, r, &error, reply);
	/* What waits for a driver is decided, and a file decides the same; what was refused stays undone. */
	if (permanent && (r == EXIT_CODE_DONE || r == EXIT_CODE_PENDING))
		r = outcome_worse(permanent_commit(ctl, &draft), r);
	return r;
}
