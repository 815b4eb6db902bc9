/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_LINE_READER_H
#define POLICY_LINE_READER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Debian's inih has a buffer of 200 bytes on its stack; one of them is the
 * terminating zero. Since r57 it takes a line that fills the rest for the
 * beginning of a longer one, and throws away what comes next.
 */
#define LINE_BYTES_MAX 198

/* What is kept of a line at most: it may begin with a byte order mark, which does not count. */
#define LINE_BYTES_KEPT (LINE_BYTES_MAX + 3)

enum line_status {
	LINE_TEXT,
	LINE_END, /* of the file; there is no line */
	LINE_TOO_LONG,
	LINE_NUL,
	LINE_NOT_UTF8,
	LINE_CONTROL,
	LINE_TOO_MUCH, /* the file goes on past the reader's bound; no more lines come */
	LINE_READ_ERROR, /* see errno; no more lines come */
};

struct line_reader {
	FILE *stream; /* not owned */
	uint64_t bytes_left; /* how much more will be read */
	unsigned number; /* of the line read last, from 1 */
	size_t length; /* of that line, also where it is too long */
	char text[LINE_BYTES_KEPT + 1]; /* that line, its beginning where it is too long */
	unsigned char flaw; /* the byte that LINE_NOT_UTF8 and LINE_CONTROL are about */
};

/*
 * Reads one line, without its end, which is LF, CR LF or the end of the file. A
 * byte order mark at the beginning of the file is left out. Whatever the line's
 * status, the next call continues with the next line.
 */
enum line_status line_read(struct line_reader *reader);

#endif
