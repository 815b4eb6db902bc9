/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/manager.h"
#include "daemon/options.h"

int main(int argc, char **argv)
{
	struct options options;
	int status;

	if (options_parse(argc, argv, &options, &status))
		return status;
	return manager_run(&options);
}
