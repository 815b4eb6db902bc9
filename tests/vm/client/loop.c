// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many requests at a time, of which only numbers are told:
 *
 *	flood count=N [hoard] COMMAND...	one request N times; hoard: nothing is read meanwhile
 *	type-loop seconds=N device=ADDRESS types=A,B [bracket]
 *						writes the group's type file over and over
 *	stress seconds=N seed=N devices=A,B	everything there is, at random
 *
 * Every request has to be acknowledged, and each that is queued has to have its DONE: what is
 * missing at the end is told.
 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long answers may take that are still to come when a loop ends. */
#define ANSWERS_MS 60000

/* Requests on their way at once: fewer than the module's queue or the socket's buffer hold. */
#define WINDOW 16

static uint32_t next_seq(bool later)
{
	static uint32_t last;

	last = (last + 1) & 0x3fffffff;
	return last | 1U << 30 | (later ? 1U << 31 : 0);
}

static void drain(struct client *client)
{
	while (client_receive(client, client->socket, 0))
		;
}

/* Waits until at most `left` answers are still to come; false if they do not come. */
static bool settle(struct client *client, unsigned int left)
{
	const struct counting *counting = client->counting;

	while (counting->acks + counting->dones > left)
		if (!client_receive(client, client->socket, ANSWERS_MS))
			return false;
	return true;
}

/* Sends what a line says; 0 or a positive errno. */
static int fire(struct client *client, const char *line, uint32_t *sent_as)
{
	struct counting *counting = client->counting;
	struct nl_msg *message;
	char words[512];
	bool later = false;
	uint32_t seq;
	int error;

	snprintf(words, sizeof(words), "%s", line);
	message = request_build(client, words, 0, &later);
	if (!message)
		return EINVAL;
	seq = next_seq(later);
	nlmsg_hdr(message)->nlmsg_seq = seq;
	if (sent_as)
		*sent_as = seq;
	/* Before it is sent: the answer may be there before sending returns. */
	counting->acks++;
	counting->dones += later;
	error = request_send(client, message);
	if (error) {
		counting->acks--;
		counting->dones -= later;
	}
	return error;
}

/* Sends and waits for the acknowledgement; its error. */
static int ask(struct client *client, const char *line)
{
	uint32_t seq = 0;
	int error = fire(client, line, &seq);

	if (error)
		return error;
	client->counting->wait_seq = seq;
	while (client->counting->wait_seq)
		if (!client_receive(client, client->socket, ANSWERS_MS))
			return ETIME;
	return client->counting->wait_error;
}

static void begin(struct client *client, struct counting *counting)
{
	memset(counting, 0, sizeof(*counting));
	client->counting = counting;
}

static void end(struct client *client, const char *kind, double started)
{
	const struct counting *counting = client->counting;

	client->counting = NULL;
	client->unanswered = 0;
	show_begin(kind);
	show_number("ms", (long long)((client_now() - started) * 1000));
	show_tally("acks", &counting->ack);
	show_tally("dones", &counting->done);
	show_number("missing_acks", counting->acks);
	show_number("missing_dones", counting->dones);
	show_number("overruns", counting->overruns);
}

void loop_flood(struct client *client, char *words)
{
	struct counting counting;
	struct tally unsent = { 0 };
	double started = client_now();
	unsigned long n = 0;
	bool hoard = false;

	if (!strncmp(words, "count=", 6))
		n = strtoul(words + 6, &words, 10);
	words += strspn(words, " ");
	if (!strncmp(words, "hoard ", 6)) {
		hoard = true;
		words += 6;
	}
	begin(client, &counting);
	for (; n; n--) {
		unsent.count[fire(client, words, NULL)]++;
		if (!hoard)
			drain(client);
	}
	/* What an overrun has swallowed does not come any more: no need to wait long for it. */
	do
		drain(client);
	while (counting.acks + counting.dones &&
	       client_receive(client, client->socket, hoard ? 2000 : ANSWERS_MS));
	end(client, "flood", started);
	show_tally("sent", &unsent);
	show_end();
}

static int write_type(const char *device, const char *type)
{
	char path[256];
	int fd, error;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group/type", device);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	error = write(fd, type, strlen(type)) < 0 ? errno : 0;
	close(fd);
	return error;
}

void loop_type(struct client *client, char *words)
{
	char device[64] = "", types[64] = "", value[32], line[128];
	struct tally writes = { 0 }, begins = { 0 }, ends = { 0 };
	struct counting counting;
	double started = client_now(), until = started;
	bool bracket = strstr(words, " bracket");
	char *comma;

	if (client_word(words, "seconds", value, sizeof(value)))
		until += strtod(value, NULL);
	client_word(words, "device", device, sizeof(device));
	client_word(words, "types", types, sizeof(types));
	comma = strchr(types, ',');
	if (comma)
		*comma++ = '\0';
	begin(client, &counting);
	for (unsigned int i = 0; client_now() < until; i++) {
		if (bracket) {
			int error;

			snprintf(line, sizeof(line), "bracket-begin device=%s", device);
			error = ask(client, line);
			begins.count[error]++;
			if (error)
				continue;
		}
		writes.count[write_type(device, comma && i & 1 ? comma : types)]++;
		if (bracket) {
			snprintf(line, sizeof(line), "bracket-end device=%s", device);
			ends.count[ask(client, line)]++;
		}
	}
	end(client, "type-loop", started);
	show_tally("writes", &writes);
	show_tally("begins", &begins);
	show_tally("ends", &ends);
	show_end();
}

static const char *const stress_lines[] = {
	"hold", "hold", "hold cookie=7", "release", "release probe", "release probe",
	"claim", "claim persistent", "unclaim", "unclaim probe", "unclaim probe",
	"group-get", "gate-release probe", "gate-release", "bracket-begin", "bracket-begin live",
	"bracket-end", "bracket-end",
};
static const char *const stress_alone[] = {
	"dump", "info-get", "gate-arm timeout=200", "gate-arm timeout=300 sticky",
	"gate-arm timeout=200 keep-shut", "gate-disarm", "gate-disarm",
};
static const char *const stress_types[] = { "identity", "DMA", "auto" };

#define PICK(list, seed) (list)[rand_r(seed) % (sizeof(list) / sizeof((list)[0]))]

void loop_stress(struct client *client, char *words)
{
	char value[32], list[256] = "", *devices[16], line[128], *rest = NULL, *word;
	unsigned int seed = 1, n = 0;
	struct counting counting;
	struct tally unsent = { 0 }, writes = { 0 };
	double started = client_now(), until = started;

	if (client_word(words, "seconds", value, sizeof(value)))
		until += strtod(value, NULL);
	if (client_word(words, "seed", value, sizeof(value)))
		seed = strtoul(value, NULL, 0);
	client_word(words, "devices", list, sizeof(list));
	for (word = strtok_r(list, ",", &rest); word && n < 16; word = strtok_r(NULL, ",", &rest))
		devices[n++] = word;
	if (!n)
		return;
	begin(client, &counting);
	while (client_now() < until) {
		const char *device = devices[rand_r(&seed) % n];

		switch (rand_r(&seed) % 8) {
		case 0:
			unsent.count[fire(client, PICK(stress_alone, &seed), NULL)]++;
			break;
		case 1:
			/* Inside a bracket, as the daemon does it. */
			snprintf(line, sizeof(line), "bracket-begin device=%s", device);
			if (!ask(client, line)) {
				writes.count[write_type(device, PICK(stress_types, &seed))]++;
				snprintf(line, sizeof(line), "bracket-end device=%s", device);
				ask(client, line);
			}
			break;
		default:
			snprintf(line, sizeof(line), "%s device=%s", PICK(stress_lines, &seed), device);
			unsent.count[fire(client, line, NULL)]++;
		}
		if (!settle(client, WINDOW))
			break;
	}
	settle(client, 0);
	end(client, "stress", started);
	show_tally("sent", &unsent);
	show_tally("writes", &writes);
	show_end();
}
