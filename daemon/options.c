/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "daemon/failpoint.h"
#include "daemon/options.h"

static void print_help(void)
{
	puts("iommu-policyd [OPTION…]\n\n"
	     "Put each PCI device's IOMMU group into the default domain that policy asks for.\n\n"
	     "      --once         apply the policy to what is there, and exit\n"
	     "      --types-only   with --once: leave to the service what gives devices another driver, or none\n"
	     "      --config FILE  settings, instead of /etc/iommu-policyd/iommu-policyd.conf\n"
	     "      --put-back     after a daemon that has ended: undo what Gate=autoprobe left, and exit\n"
	     "  -h, --help         show this and exit\n"
	     "      --version      show the version and exit\n\n"
	     "See iommu-policyd(8), iommu-policy.conf(5).");
}

int options_parse(int argc, char **argv, struct options *ret, int *ret_status)
{
	enum { OPTION_ONCE = 256, OPTION_TYPES_ONLY, OPTION_CONFIG, OPTION_PUT_BACK, OPTION_VERSION, OPTION_LIST_FAILPOINTS };
	static const struct option long_options[] = {
		{ "once", no_argument, NULL, OPTION_ONCE },
		{ "types-only", no_argument, NULL, OPTION_TYPES_ONLY },
		{ "config", required_argument, NULL, OPTION_CONFIG },
		{ "put-back", no_argument, NULL, OPTION_PUT_BACK },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPTION_VERSION },
#ifdef ENABLE_FAILPOINTS
		{ "list-failpoints", no_argument, NULL, OPTION_LIST_FAILPOINTS },
#endif
		{},
	};
	int c;

	*ret = (struct options){};
	*ret_status = EXIT_SUCCESS;
	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) >= 0)
		switch (c) {
		case OPTION_ONCE:
			ret->once = true;
			break;
		case OPTION_TYPES_ONLY:
			ret->types_only = true;
			break;
		case OPTION_CONFIG:
			ret->config = optarg;
			break;
		case OPTION_PUT_BACK:
			ret->put_back = true;
			break;
		case 'h':
			print_help();
			return 1;
		case OPTION_VERSION:
			puts("iommu-policyd " PACKAGE_VERSION);
			return 1;
#ifdef ENABLE_FAILPOINTS
		case OPTION_LIST_FAILPOINTS:
			failpoint_list();
			return 1;
#endif
		default:
			*ret_status = 2;
			return 1;
		}
	if (ret->put_back && (ret->once || ret->config)) {
		fputs("iommu-policyd: --put-back goes with no other option (see --help)\n", stderr);
		*ret_status = 2;
		return 1;
	}
	if (optind < argc) {
		fprintf(stderr, "iommu-policyd: unexpected argument '%s' (see --help)\n", argv[optind]);
		*ret_status = 2;
		return 1;
	}
	if (ret->types_only && !ret->once) {
		fputs("iommu-policyd: --types-only goes with --once (see --help)\n", stderr);
		*ret_status = 2;
		return 1;
	}
	return 0;
}
