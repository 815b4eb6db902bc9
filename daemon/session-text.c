/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/session-text.h"

bool session_address_parse(const char *text, struct session_address *ret)
{
	char copy[INET6_ADDRSTRLEN + IFNAMSIZ + sizeof("[%]")];
	size_t length = strlen(text);
	char *scope;

	*ret = (struct session_address){};
	if (length > 1 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	scope = strchr(copy, '%');
	if (scope) {
		*scope++ = '\0';
		length = strlen(scope);
		if (length == 0 || length >= sizeof(ret->scope))
			return false;
		memcpy(ret->scope, scope, length + 1);
	}
	if (inet_pton(AF_INET6, copy, ret->bytes) == 1) {
		ret->family = AF_INET6;
		ret->length = sizeof(struct in6_addr);
	} else if (!scope && inet_pton(AF_INET, copy, ret->bytes) == 1) {
		ret->family = AF_INET;
		ret->length = sizeof(struct in_addr);
	} else {
		return false;
	}
	/* In the short form: the kernel writes IPv6 addresses of iSCSI in full. */
	return inet_ntop(ret->family, ret->bytes, ret->text, sizeof(ret->text));
}

bool session_address_is_link_local(const struct session_address *address)
{
	return address->family == AF_INET6 && address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

bool session_option(const char *text, const char *key, char *ret, size_t size)
{
	size_t key_length = strlen(key);

	while (*text) {
		size_t length = strcspn(text, ",");

		if (length > key_length && strncmp(text, key, key_length) == 0 && text[key_length] == '=') {
			length -= key_length + 1;
			if (length == 0 || length >= size)
				return false;
			memcpy(ret, text + key_length + 1, length);
			ret[length] = '\0';
			return true;
		}
		text += length + (text[length] == ',');
	}
	return false;
}

bool session_fc_port(const char *text, uint64_t *ret)
{
	const char *port = strstr(text, "pn-0x");
	char *end;

	if (port)
		port += strlen("pn-");
	else
		port = text;
	/* strtoull() takes a sign and spaces, too. */
	if (strncmp(port, "0x", strlen("0x")) != 0)
		return false;
	port += strlen("0x");
	if (strspn(port, "0123456789abcdefABCDEF") != 16 || port[16])
		return false;
	*ret = strtoull(port, &end, 16);
	return true;
}
