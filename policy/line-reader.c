/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/line-reader.h"

#include <stdbool.h>
#include <string.h>

#include "policy/text.h"

/* U+FEFF at the beginning of a file is some editors' sign that it is UTF-8. */
static void strip_byte_order_mark(struct line_reader *reader)
{
	static const char mark[] = "\xef\xbb\xbf";
	const size_t length = sizeof(mark) - 1;
	size_t kept = reader->length < LINE_BYTES_KEPT ? reader->length : LINE_BYTES_KEPT;

	if (reader->number != 1 || kept < length || memcmp(reader->text, mark, length) != 0)
		return;

	memmove(reader->text, reader->text + length, kept - length + 1);
	reader->length -= length;
}

static enum line_status check(struct line_reader *reader)
{
	size_t at = 0;
	enum text_flaw flaw = text_check(reader->text, reader->length, &at);

	reader->flaw = (unsigned char)reader->text[at];
	return flaw == TEXT_CLEAN ? LINE_TEXT : flaw == TEXT_CONTROL ? LINE_CONTROL : LINE_NOT_UTF8;
}

enum line_status line_read(struct line_reader *reader)
{
	bool nul = false, held_cr = false;
	int c;

	reader->length = 0;
	reader->number++;

	for (;;) {
		c = reader->bytes_left > 0 ? getc_unlocked(reader->stream) : EOF;
		if (c == EOF)
			break;
		reader->bytes_left--;
		if (c == '\n')
			break;

		/* A CR counts only once it is seen not to be part of the line's end. */
		if (held_cr) {
			if (reader->length < LINE_BYTES_KEPT)
				reader->text[reader->length] = '\r';
			reader->length++;
		}
		held_cr = c == '\r';
		if (held_cr)
			continue;

		nul = nul || c == '\0';
		if (reader->length < LINE_BYTES_KEPT)
			reader->text[reader->length] = (char)c;
		reader->length++;
	}

	if (c == EOF) {
		if (ferror(reader->stream))
			return LINE_READ_ERROR;
		if (reader->bytes_left == 0 && getc_unlocked(reader->stream) != EOF)
			return LINE_TOO_MUCH;
		if (reader->length == 0 && !held_cr)
			return LINE_END;
	}

	reader->text[reader->length < LINE_BYTES_KEPT ? reader->length : LINE_BYTES_KEPT] = '\0';
	strip_byte_order_mark(reader);

	if (nul)
		return LINE_NUL;
	if (reader->length > LINE_BYTES_MAX)
		return LINE_TOO_LONG;
	return check(reader);
}
