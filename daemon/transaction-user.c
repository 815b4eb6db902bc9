/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/transaction-steps.h"

/*
 * A group that is a program's is not touched, whatever was asked for. The kernel
 * module knows whether it is; who it is, and without the module also whether,
 * is told by what programs have open.
 */

static int find(const struct transaction *t, struct user *user, char **ret_text)
{
	_cleanup_free_ const char **addresses = calloc(t->n_devices + 1, sizeof(*addresses));

	if (!addresses)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_devices; i++)
		addresses[i] = t->devices[i].address;
	return user_find(t->group, addresses, t->n_devices, user, ret_text);
}

static void set_user(const struct user *user, const char *text, struct outcome *outcome)
{
	outcome_set(outcome, RESULT_REFUSED, PROBLEM_USER_OWNED, EUSERS, "%s; the change is made when it lets go", text);
	outcome->user = *user;
}

void transaction_set_user_owned(const struct transaction *t, struct outcome *outcome)
{
	_cleanup_free_ char *text = NULL;
	struct user user;

	if (find(t, &user, &text) > 0)
		set_user(&user, text, outcome);
	else
		outcome_set(outcome, RESULT_REFUSED, PROBLEM_USER_OWNED, EUSERS, "%s", outcome_user_owned);
}

int transaction_check_owner(const struct transaction *t, struct outcome *outcome)
{
	enum iommu_policy_owner owner = IOMMU_POLICY_OWNER_NONE;
	bool known = transaction_module_owner(t, &owner);
	_cleanup_free_ char *text = NULL;
	struct user user;
	int r;

	if (known && owner == IOMMU_POLICY_OWNER_USER) {
		transaction_set_user_owned(t, outcome);
		return -EUSERS;
	}
	r = find(t, &user, &text);
	if (r > 0) {
		set_user(&user, text, outcome);
		return -EUSERS;
	}
	/* An answer that cannot be had counts as a yes, unless the module has given it. */
	if (r == 0 || known)
		return 0;
	outcome_set(outcome, RESULT_REFUSED, PROBLEM_USER_OWNED, -r, "cannot tell whether a program has the group%s%s: %s",
		    text ? ": " : "", strempty(text), strerror(-r));
	return r;
}
