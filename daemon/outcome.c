/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>

#include "daemon/outcome.h"
#include "policy/text.h"

const char outcome_user_owned[] = "a user of VFIO or iommufd, such as a virtual machine, owns the group's DMA; the "
				  "change is made when it lets go";

void outcome_set(struct outcome *outcome, enum result result, enum problem problem, int error, const char *format, ...)
{
	va_list ap;

	outcome->result = result;
	outcome->problem = problem;
	outcome->error = error;
	outcome->held = false;
	outcome->user = (struct user){};
	va_start(ap, format);
	vsnprintf(outcome->reason, sizeof(outcome->reason), format, ap);
	va_end(ap);
	/* Names of processes, mounts and drivers are in it, and its end may be cut off. */
	text_replace(outcome->reason);
}

const char *problem_to_bus_error(enum problem problem)
{
	static const char *const names[] = {
		[PROBLEM_NONE] = "",
		[PROBLEM_IN_USE] = "org.iommupolicy1.Error.InUse",
		[PROBLEM_USER_OWNED] = "org.iommupolicy1.Error.UserOwned",
		[PROBLEM_REQUIRES_DIRECT] = "org.iommupolicy1.Error.RequiresDirect",
		[PROBLEM_UNTRUSTED] = "org.iommupolicy1.Error.Untrusted",
		[PROBLEM_KERNEL_REFUSED] = "org.iommupolicy1.Error.KernelRefused",
		[PROBLEM_TIMEOUT] = "org.iommupolicy1.Error.Timeout",
		[PROBLEM_FAILED] = "org.freedesktop.DBus.Error.Failed",
	};

	return names[problem];
}
