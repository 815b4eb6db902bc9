/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "ctl/display.h"
#include "ctl/draft.h"
#include "ctl/failure.h"
#include "ctl/json.h"
#include "ctl/machine.h"
#include "ctl/model.h"
#include "ctl/presence.h"
#include "ctl/rule-text.h"
#include "ctl/util.h"

/* Names are others' to choose; a comment ends with its line. */
static void put_comment(FILE *f, const struct device_facts *device, const char *driver)
{
	_cleanup_free_ char *escaped = display_escape(str_or(driver, "no driver"));

	fprintf(f, "# %s [%04x:%04x] %s\n", device->address, device->vendor, device->device,
		str_or(escaped, "?"));
}

static bool is_less_than_strict(enum domain domain)
{
	return domain == DOMAIN_IDENTITY || domain == DOMAIN_DMA_FQ;
}

static void put_group(FILE *f, const struct machine_group *group)
{
	const struct group_facts *facts = machine_group_facts(group);
	struct rule_text rule = { .prefix = "present", .domain = facts->current };
	bool untrusted = false;

	fputc('\n', f);
	for (size_t i = 0; i < facts->n_devices; i++)
		if (!facts->devices[i]->bridge) {
			put_comment(f, facts->devices[i], machine_group_driver(group, i));
			untrusted |= facts->devices[i]->removable || facts->devices[i]->untrusted;
		}
	if (facts->current == DOMAIN_NONE) {
		fputs("# The type that the group has is not known: no rule.\n", f);
		return;
	}
	if (untrusted && is_less_than_strict(facts->current))
		fputs("# It can be plugged in from outside: once it has another type, this is refused\n"
		      "# unless the rule says force = yes.\n",
		      f);
	rule_text_write(f, &rule, facts);
}

static bool is_wanted(const struct ctl *ctl, const struct machine_group *group)
{
	const struct group_facts *facts = machine_group_facts(group);

	return rule_text_first(facts) && (ctl->arguments.all || facts->current != facts->boot);
}

static char *write_policy(const struct ctl *ctl, const struct machine *machine)
{
	char *text = NULL;
	size_t size, n = 0;
	FILE *f;

	f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	fprintf(f,
		"# The types of this machine's IOMMU groups, by iommu-policyctl generate%s:\n"
		"# %s. See iommu-policy.conf(5).\n",
		ctl->arguments.all ? " --all" : "",
		ctl->arguments.all ? "all groups" : "groups with another type than at boot");
	for (size_t i = 0; i < machine->n_groups; i++)
		if (is_wanted(ctl, machine->groups[i])) {
			put_group(f, machine->groups[i]);
			n++;
		}
	if (n == 0)
		fputs("\n# There is none, so there is nothing to say.\n", f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* What only the daemon knows: types at boot, and which groups are in quarantine. */
static int ask_daemon(struct ctl *ctl, const struct machine *machine)
{
	_cleanup_(model_clear) struct model model = { 0 };
	bool daemon;
	int code = presence_check(ctl, &daemon);

	if (code != 0)
		return code;
	if (!daemon && ctl->arguments.all) {
		complain("iommu-policyd is not running: groups in quarantine are taken for DMA");
		return 0;
	}
	if (!daemon)
		return failure_complain(
			ctl, EXIT_CODE_FAILED, 0,
			"only iommu-policyd knows the types at boot, and it is not running (systemctl start iommu-policyd, or --all for all groups)");
	/* Without BootType, of a daemon that is too old, each group would seem to have another type now. */
	code = model_load(ctl, MODEL_OBJECTS | MODEL_MANAGER, &model);
	for (size_t i = 0; i < machine->n_groups && code == 0; i++) {
		struct machine_group *group = machine->groups[i];
		const struct model_group *known =
			model_find_group(&model, machine_group_id(group));

		if (known)
			machine_know(group, domain_from_string(known->type),
				     domain_from_string(known->boot_type));
	}
	return code;
}

static int write_file(const struct ctl *ctl, const char *path, const char *text)
{
	_cleanup_(draft_clear) struct draft draft = { 0 };
	int code = draft_write(ctl, &draft, path, text, DRAFT_OVER_NOTHING);

	if (code == 0)
		code = draft_commit(ctl, &draft);
	if (code == 0 && ctl->term.legend && !json_wanted(ctl)) {
		_cleanup_free_ char *escaped = display_escape(path);

		printf("Wrote %s. What it would change: iommu-policyctl plan --policy-dir=DIR\n",
		       str_or(escaped, "?"));
	}
	return code;
}

static int print_json(const struct ctl *ctl, const char *path, const char *text)
{
	struct json_builder b = { 0 };
	json_object *document = json_object_new_object();

	json_add_text(&b, document, "file", path);
	json_add_text(&b, document, "policy", text);
	return json_print(ctl, &b, document);
}

int verb_generate(struct ctl *ctl, char **args, int n_args)
{
	_cleanup_(machine_clear) struct machine machine = { 0 };
	_cleanup_free_ char *text = NULL;
	int code;

	code = machine_load(ctl, &machine);
	if (code == 0)
		code = ask_daemon(ctl, &machine);
	if (code != 0)
		return code;
	text = write_policy(ctl, &machine);
	if (!text)
		return complain_memory();
	if (n_args > 0)
		code = write_file(ctl, args[0], text);
	else if (!json_wanted(ctl))
		fputs(text, stdout);
	return code == 0 && json_wanted(ctl) ? print_json(ctl, n_args > 0 ? args[0] : NULL, text) :
					       code;
}
