// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages as lines of JSON. Names are those of the uapi header, in small letters. */
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <stdio.h>
#include <string.h>

enum kind { U32, U64, STRING, FLAG, WORD, BITS, ERRNO, NEST, LIST };

struct field {
	const char *name;
	enum kind kind;
	const char *const *words; /* WORD, BITS; NULL ends it */
	const struct field *fields; /* NEST, LIST */
	int max; /* of fields */
};

static const char *const command_words[] = {
	"unspec", "info-get", "group-get", "hold", "release", "bracket-begin", "bracket-end",
	"gate-arm", "gate-disarm", "gate-release", "claim", "unclaim", "done", "event", NULL
};
static const char *const owner_words[] = { "none", "kernel", "user", "policy", NULL };
static const char *const domain_words[] = { "none", "blocked", "identity", "DMA", "DMA-FQ",
					    "unmanaged", "other", NULL };
static const char *const region_words[] = { "other", "direct", "direct-relaxable", "reserved",
					    "msi", NULL };
static const char *const event_words[] = {
	"unspec", "owner", "held", "released", "claimed", "unclaimed", "gate-held",
	"gate-passed", "gate-timeout", "gate-opened", "gate-armed", "gate-disarmed", NULL
};
static const char *const device_bits[] = { "bridge", "bound", "held", "gated", "in-transit", NULL };
static const char *const gate_bits[] = { "sticky", "keep-shut", NULL };

#define COUNT(TABLE) ((int)(sizeof(TABLE) / sizeof((TABLE)[0])))
#define PLAIN(NAME, KIND) { .name = NAME, .kind = KIND }
#define WORDS(NAME, KIND, TABLE) { .name = NAME, .kind = KIND, .words = TABLE }
#define BELOW(NAME, KIND, TABLE) \
	{ .name = NAME, .kind = KIND, .fields = TABLE, .max = COUNT(TABLE) - 1 }

static const struct field device_fields[] = {
	[IOMMU_POLICY_DEVICE_A_ADDRESS] = PLAIN("address", STRING),
	[IOMMU_POLICY_DEVICE_A_FLAGS] = WORDS("flags", BITS, device_bits),
};
static const struct field region_fields[] = {
	[IOMMU_POLICY_REGION_A_START] = PLAIN("start", U64),
	[IOMMU_POLICY_REGION_A_END] = PLAIN("end", U64),
	[IOMMU_POLICY_REGION_A_KIND] = WORDS("kind", WORD, region_words),
};
static const struct field holder_fields[] = {
	[IOMMU_POLICY_HOLDER_A_PORTID] = PLAIN("portid", U32),
	[IOMMU_POLICY_HOLDER_A_PID] = PLAIN("pid", U32),
};
static const struct field gate_fields[] = {
	[IOMMU_POLICY_GATE_A_FLAGS] = WORDS("flags", BITS, gate_bits),
	[IOMMU_POLICY_GATE_A_TIMEOUT_MS] = PLAIN("timeout", U32),
	[IOMMU_POLICY_GATE_A_PORTID] = PLAIN("portid", U32),
	[IOMMU_POLICY_GATE_A_PID] = PLAIN("pid", U32),
	[IOMMU_POLICY_GATE_A_N_HELD] = PLAIN("held", U32),
};

static const struct field device_list[] = {
	[IOMMU_POLICY_A_DEVICE_ENTRY] = BELOW("entry", NEST, device_fields),
};
static const struct field region_list[] = {
	[IOMMU_POLICY_A_REGION_ENTRY] = BELOW("entry", NEST, region_fields),
};

static const struct field fields[] = {
	[IOMMU_POLICY_A_VERSION] = PLAIN("version", U32),
	[IOMMU_POLICY_A_GROUP] = PLAIN("group", U32),
	[IOMMU_POLICY_A_DEVICE] = PLAIN("device", STRING),
	[IOMMU_POLICY_A_FLAGS] = PLAIN("flags", U32),
	[IOMMU_POLICY_A_COOKIE] = PLAIN("cookie", U64),
	[IOMMU_POLICY_A_COMMAND] = WORDS("command", WORD, command_words),
	[IOMMU_POLICY_A_ERROR] = PLAIN("error", ERRNO),
	[IOMMU_POLICY_A_OWNER] = WORDS("owner", WORD, owner_words),
	[IOMMU_POLICY_A_DOMAIN] = WORDS("domain", WORD, domain_words),
	[IOMMU_POLICY_A_DEVICES] = BELOW("devices", LIST, device_list),
	[IOMMU_POLICY_A_REGIONS] = BELOW("regions", LIST, region_list),
	[IOMMU_POLICY_A_HOLDER] = BELOW("holder", NEST, holder_fields),
	[IOMMU_POLICY_A_BRACKET] = BELOW("bracket", NEST, holder_fields),
	[IOMMU_POLICY_A_CLAIM] = BELOW("claim", NEST, holder_fields),
	[IOMMU_POLICY_A_GATE] = BELOW("gate", NEST, gate_fields),
	[IOMMU_POLICY_A_TRUNCATED] = PLAIN("truncated", FLAG),
	[IOMMU_POLICY_A_EVENT] = WORDS("event", WORD, event_words),
};

static void text(const char *value)
{
	putchar('"');
	for (; *value; value++) {
		unsigned char c = *value;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 32 || c > 126)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void name(const char *value)
{
	printf(",\"%s\":", value);
}

void show_begin(const char *kind)
{
	printf("{\"t\":%.6f,\"kind\":\"%s\"", client_now(), kind);
}

void show_end(void)
{
	puts("}");
	fflush(stdout);
}

void show_number(const char *key, long long value)
{
	name(key);
	printf("%lld", value);
}

void show_string(const char *key, const char *value)
{
	name(key);
	text(value);
}

void show_error(const char *key, int error)
{
	const char *known = strerrorname_np(error);

	name(key);
	if (!error)
		printf("null");
	else if (known)
		text(known);
	else
		printf("\"%d\"", error);
}

void show_tally(const char *key, const struct tally *tally)
{
	const char *separator = "";

	name(key);
	putchar('{');
	for (int i = 0; i < TALLY_MAX; i++) {
		if (!tally->count[i])
			continue;
		printf("%s\"%s\":%u", separator, i ? strerrorname_np(i) ?: "?" : "0",
		       tally->count[i]);
		separator = ",";
	}
	putchar('}');
}

const char *show_command(unsigned int command)
{
	return command <= IOMMU_POLICY_CMD_MAX ? command_words[command] : "?";
}

static void word(const char *const *words, uint32_t value)
{
	for (uint32_t i = 0; words[i]; i++) {
		if (i == value) {
			text(words[i]);
			return;
		}
	}
	printf("%" PRIu32, value);
}

static void bits(const char *const *words, uint32_t value)
{
	const char *separator = "";

	putchar('[');
	for (; value; value >>= 1) {
		if (value & 1) {
			fputs(separator, stdout);
			separator = ",";
			text(*words ?: "?");
		}
		if (*words)
			words++;
	}
	putchar(']');
}

/* A value shorter than its type says is shown as null, which no test expects. */
static bool has(const struct nlattr *attr, size_t size)
{
	if ((size_t)nla_len(attr) == size)
		return true;
	printf("null");
	return false;
}

static void object(struct nlattr *first, int length, const struct field *table, int max, bool list,
		   const char *separator);

static void value(struct nlattr *attr, const struct field *field)
{
	switch (field->kind) {
	case U32:
		if (has(attr, 4))
			printf("%" PRIu32, nla_get_u32(attr));
		break;
	case U64:
		if (has(attr, 8))
			printf("%" PRIu64, nla_get_u64(attr));
		break;
	case STRING:
		text(nla_len(attr) && !((char *)nla_data(attr))[nla_len(attr) - 1] ?
			     nla_get_string(attr) :
			     "(not terminated)");
		break;
	case FLAG:
		printf("true");
		break;
	case WORD:
		if (has(attr, 4))
			word(field->words, nla_get_u32(attr));
		break;
	case BITS:
		if (has(attr, 4))
			bits(field->words, nla_get_u32(attr));
		break;
	case ERRNO: {
		const char *known = has(attr, 4) ? strerrorname_np(nla_get_u32(attr)) : NULL;

		if (nla_len(attr) == 4 && nla_get_u32(attr) == 0)
			printf("null");
		else if (known)
			text(known);
		else
			printf("\"?\"");
		break;
	}
	case NEST:
	case LIST:
		putchar(field->kind == LIST ? '[' : '{');
		object(nla_data(attr), nla_len(attr), field->fields, field->max,
		       field->kind == LIST, "");
		putchar(field->kind == LIST ? ']' : '}');
		break;
	}
}

/* The members without the braces, `separator` before the first. In a list, names are left out. */
static void object(struct nlattr *first, int length, const struct field *table, int max, bool list,
		   const char *separator)
{
	struct nlattr *attr;
	int rest;

	nla_for_each_attr(attr, first, length, rest) {
		int type = nla_type(attr);
		const struct field *field = type <= max && table[type].name ? &table[type] : NULL;

		if (type == IOMMU_POLICY_A_PAD && !field && nla_len(attr) == 0)
			continue;
		fputs(separator, stdout);
		separator = ",";
		if (!field) {
			printf("\"unknown-%d\":%d", type, nla_len(attr));
			continue;
		}
		if (!list)
			printf("\"%s\":", field->name);
		value(attr, field);
	}
	if (rest > 0)
		printf("%s\"trailing\":%d", separator, rest);
}

/* Which attribute of the request the kernel points at: the request comes back with an error. */
static void culprit(const struct nlmsghdr *request, uint32_t offset)
{
	const struct nlattr *attr = (const void *)((const char *)request + offset);

	show_number("offset", offset);
	if (offset < NLMSG_HDRLEN + GENL_HDRLEN || offset + NLA_HDRLEN > request->nlmsg_len)
		return;
	show_number("attribute", nla_type(attr));
}

static void error(const struct nlmsghdr *header)
{
	const struct nlmsgerr *answer = nlmsg_data(header);
	size_t length = sizeof(*answer);
	struct nlattr *attr;
	int rest;

	show_error("error", -answer->error);
	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(header->nlmsg_flags & NLM_F_CAPPED))
		length += NLMSG_ALIGN(answer->msg.nlmsg_len) - NLMSG_HDRLEN;
	attr = (void *)((char *)nlmsg_data(header) + length);
	nla_for_each_attr(attr, attr, nlmsg_datalen(header) - (int)length, rest) {
		switch (nla_type(attr)) {
		case NLMSGERR_ATTR_MSG:
			show_string("message", nla_get_string(attr));
			break;
		case NLMSGERR_ATTR_OFFS:
			culprit(&answer->msg, nla_get_u32(attr));
			break;
		case NLMSGERR_ATTR_MISS_TYPE:
			show_number("missing", nla_get_u32(attr));
			break;
		}
	}
}

void show_message(const struct nlmsghdr *header)
{
	const struct genlmsghdr *genl = nlmsg_data(header);

	if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == NLMSG_DONE) {
		show_begin("ack");
		show_number("seq", header->nlmsg_seq);
		if (header->nlmsg_type == NLMSG_ERROR)
			error(header);
		else
			show_error("error", nlmsg_datalen(header) >= 4 ? -*(int *)nlmsg_data(header) : 0);
		show_end();
		return;
	}
	show_begin(genl->cmd == IOMMU_POLICY_CMD_DONE	 ? "done" :
		   genl->cmd == IOMMU_POLICY_CMD_EVENT ? "event" :
							 "reply");
	if (genl->cmd != IOMMU_POLICY_CMD_DONE && genl->cmd != IOMMU_POLICY_CMD_EVENT) {
		show_number("seq", header->nlmsg_seq);
		show_string("command", show_command(genl->cmd));
		show_number("interface", genl->version);
	}
	object(nlmsg_attrdata(header, GENL_HDRLEN), nlmsg_attrlen(header, GENL_HDRLEN), fields,
	       COUNT(fields) - 1, false, ",");
	show_end();
}
