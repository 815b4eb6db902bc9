// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines to messages:
 *
 *	COMMAND [group=N] [device=ADDRESS] [flags=N] [probe] [live] [persistent] [cookie=N]
 *	gate-arm [timeout=MS] [gate-flags=N] [sticky] [keep-shut]	(all three left out: no nest)
 *	dump						group-get of all groups
 *	any of them with attr=TYPE:HEX ...		one more attribute, as its bytes are
 *	raw HEX [length=N] [flags=N]			what follows the netlink header; length
 *							is what that header says, true or not
 */
#include "client.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const struct {
	const char *word;
	uint32_t flag;
} flag_words[] = {
	{ "probe", IOMMU_POLICY_F_PROBE },
	{ "live", IOMMU_POLICY_F_LIVE },
	{ "persistent", IOMMU_POLICY_F_PERSISTENT },
}, gate_words[] = {
	{ "sticky", IOMMU_POLICY_GATE_F_STICKY },
	{ "keep-shut", IOMMU_POLICY_GATE_F_KEEP_SHUT },
};

bool request_answers_later(unsigned int command)
{
	switch (command) {
	case IOMMU_POLICY_CMD_HOLD:
	case IOMMU_POLICY_CMD_RELEASE:
	case IOMMU_POLICY_CMD_CLAIM:
	case IOMMU_POLICY_CMD_UNCLAIM:
	case IOMMU_POLICY_CMD_GATE_RELEASE:
		return true;
	default:
		return false;
	}
}

/* Number of bytes, or -1. */
static int from_hex(const char *digits, unsigned char *bytes, size_t size)
{
	size_t n = 0;
	unsigned int byte;

	for (; digits[0] && digits[1] && digits[0] != ' '; digits += 2) {
		if (n == size || sscanf(digits, "%2x", &byte) != 1)
			return -1;
		bytes[n++] = byte;
	}
	return n;
}

/* The values of one line, gathered before they are put in, so that each comes once. */
struct values {
	uint32_t flags, gate_flags, timeout;
	bool has_flags, has_gate, has_gate_flags, has_timeout;
};

static bool take_number(const char *word, const char *name, uint32_t *value, bool *has)
{
	size_t length = strlen(name);

	if (strncmp(word, name, length))
		return false;
	*value = strtoul(word + length, NULL, 0);
	*has = true;
	return true;
}

static bool take_value(const char *word, struct values *values)
{
	for (size_t i = 0; i < sizeof(flag_words) / sizeof(flag_words[0]); i++) {
		if (!strcmp(word, flag_words[i].word)) {
			values->flags |= flag_words[i].flag;
			return values->has_flags = true;
		}
	}
	for (size_t i = 0; i < sizeof(gate_words) / sizeof(gate_words[0]); i++) {
		if (!strcmp(word, gate_words[i].word)) {
			values->gate_flags |= gate_words[i].flag;
			return values->has_gate_flags = values->has_gate = true;
		}
	}
	if (!strcmp(word, "gate"))
		return values->has_gate = true;
	return take_number(word, "flags=", &values->flags, &values->has_flags) ||
	       (take_number(word, "gate-flags=", &values->gate_flags, &values->has_gate_flags) &&
		(values->has_gate = true)) ||
	       (take_number(word, "timeout=", &values->timeout, &values->has_timeout) &&
		(values->has_gate = true));
}

static bool put_word(struct nl_msg *message, const char *word)
{
	unsigned char bytes[4096];
	char *digits;
	int type, length;

	if (!strncmp(word, "group=", 6))
		return !nla_put_u32(message, IOMMU_POLICY_A_GROUP, strtoul(word + 6, NULL, 0));
	if (!strncmp(word, "device=", 7))
		return !nla_put_string(message, IOMMU_POLICY_A_DEVICE, word + 7);
	if (!strncmp(word, "cookie=", 7))
		return !nla_put_u64(message, IOMMU_POLICY_A_COOKIE, strtoull(word + 7, NULL, 0));
	if (strncmp(word, "attr=", 5))
		return false;
	type = strtoul(word + 5, &digits, 0);
	length = *digits == ':' ? from_hex(digits + 1, bytes, sizeof(bytes)) : 0;
	return length >= 0 && !nla_put(message, type, length, bytes);
}

static bool put_values(struct nl_msg *message, const struct values *values)
{
	struct nlattr *nest;

	if (values->has_flags && nla_put_u32(message, IOMMU_POLICY_A_FLAGS, values->flags))
		return false;
	if (!values->has_gate)
		return true;
	nest = nla_nest_start(message, IOMMU_POLICY_A_GATE | NLA_F_NESTED);
	if (!nest ||
	    (values->has_gate_flags &&
	     nla_put_u32(message, IOMMU_POLICY_GATE_A_FLAGS, values->gate_flags)) ||
	    (values->has_timeout &&
	     nla_put_u32(message, IOMMU_POLICY_GATE_A_TIMEOUT_MS, values->timeout)))
		return false;
	nla_nest_end(message, nest);
	return true;
}

struct nl_msg *request_build(struct client *client, char *words, uint32_t seq, bool *later)
{
	struct values values = { 0 };
	struct nl_msg *message = NULL;
	int flags = NLM_F_REQUEST | NLM_F_ACK;
	unsigned int command = 0;
	char *rest = NULL;
	const char *word = strtok_r(words, " ", &rest);

	for (unsigned int i = 1; word && i <= IOMMU_POLICY_CMD_MAX; i++)
		if (!strcmp(word, show_command(i)))
			command = i;
	if (word && !strcmp(word, "dump")) {
		command = IOMMU_POLICY_CMD_GROUP_GET;
		flags = NLM_F_REQUEST | NLM_F_DUMP;
	}
	message = command ? nlmsg_alloc_size(16384) : NULL;
	if (!message || !genlmsg_put(message, NL_AUTO_PORT, seq, client->family, 0, flags, command,
				     IOMMU_POLICY_GENL_VERSION))
		goto bad;
	while ((word = strtok_r(NULL, " ", &rest)))
		if (!take_value(word, &values) && !put_word(message, word))
			goto bad;
	if (!put_values(message, &values))
		goto bad;
	*later = request_answers_later(command);
	return message;
bad:
	show_begin("usage");
	show_number("seq", seq);
	show_string("word", word ?: "");
	show_end();
	nlmsg_free(message);
	return NULL;
}

int request_send(struct client *client, struct nl_msg *message)
{
	int length;

	nl_complete_msg(client->socket, message);
	length = nl_send(client->socket, message);
	nlmsg_free(message);
	return length < 0 ? errno : 0;
}

int request_raw(struct client *client, char *words, uint32_t seq)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	_Alignas(4) unsigned char bytes[8192] = { 0 };
	struct nlmsghdr *header = (void *)bytes;
	char value[32];
	int length;

	length = from_hex(words, bytes + NLMSG_HDRLEN, sizeof(bytes) - NLMSG_HDRLEN);
	if (length < 0)
		return EINVAL;
	length += NLMSG_HDRLEN;
	header->nlmsg_len = length;
	header->nlmsg_type = client->family;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	header->nlmsg_seq = seq;
	if (client_word(words, "length", value, sizeof(value)))
		header->nlmsg_len = strtoul(value, NULL, 0);
	if (client_word(words, "flags", value, sizeof(value)))
		header->nlmsg_flags = strtoul(value, NULL, 0);
	if (sendto(nl_socket_get_fd(client->socket), bytes, length, 0, (void *)&kernel,
		   sizeof(kernel)) < 0)
		return errno;
	return 0;
}
