/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as a settings file: what comes out is within the bounds that iommu-policyd(8) gives. */
#include <string.h>
#include <syslog.h>

#include "daemon/log.h"
#include "daemon/settings.h"
#include "daemon/util.h"
#include "tests/fuzz/fuzz.h"

static bool is_seconds(uint64_t usec)
{
	return usec >= USEC_PER_SEC && usec <= 3600 * USEC_PER_SEC && usec % USEC_PER_SEC == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings settings = settings_default;
	char *text;

	/* A file with a NUL is not read. */
	if (size == 0 || memchr(data, '\0', size))
		return 0;
	log_set_max_level(-1);
	log_set_console(true);
	text = strndup((const char *)data, size);
	require(text);
	settings_parse(text, "fuzz.conf", &settings);
	free(text);

	require(settings.mode == MODE_ENFORCE || settings.mode == MODE_AUDIT);
	require(settings.max_workers >= 1 && settings.max_workers <= 256);
	require(is_seconds(settings.transaction_timeout_usec) && is_seconds(settings.gate_timeout_usec));
	require(settings.gate_on_timeout == GATE_OPEN || settings.gate_on_timeout == GATE_HOLD);
	require(settings.log_level >= LOG_EMERG && settings.log_level <= LOG_DEBUG);
	return 0;
}
