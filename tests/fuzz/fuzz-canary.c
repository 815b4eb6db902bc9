/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a fuzzer of this build finds a bug at all: behind the real parser of
 * mounts stands one that reads beyond its end, for /boot of device 8:1 only.
 * tests/fuzz/run begins with a seed that is neither, and insists on a report.
 */
#include <string.h>

#include "daemon/proc-text.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct mount_line *lines;
	size_t n;

	require(text);
	memcpy(text, data, size);
	text[size] = '\0';
	require(mountinfo_parse(text, &lines, &n) == 0);
	for (size_t i = 0; i < n; i++)
		if (lines[i].major == 8 && lines[i].minor == 1 && strcmp(lines[i].point, "/boot") == 0)
			fprintf(stderr, "%d\n", text[size + 1]);
	free(lines);
	free(text);
	return 0;
}
