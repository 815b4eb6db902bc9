/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/vote.h"

#include <stdio.h>
#include <stdlib.h>

/* A group may have hundreds of devices; a line for a person names so many of each kind. */
#define ADDRESSES_MAX 4

/* What one rule wishes, or what all devices without one do: one part of a sentence. */
struct party {
	const struct ballot *ballot;
	const struct vote *first; /* of the devices that share its rule */
	size_t n;
};

static bool is_voting(const struct vote *vote)
{
	return !vote->abstains;
}

/* Votes of one rule, or of none, are the same: the wish is the rule's. */
static bool next_party(const struct ballot *ballot, size_t *i, struct party *ret)
{
	for (; *i < ballot->n_votes; (*i)++) {
		const struct vote *vote = &ballot->votes[*i];
		bool seen = false;

		for (size_t k = 0; k < *i && !seen; k++)
			seen = is_voting(&ballot->votes[k]) && ballot->votes[k].rule == vote->rule;
		if (seen || !is_voting(vote))
			continue;

		*ret = (struct party){ .ballot = ballot, .first = vote };
		for (size_t k = *i; k < ballot->n_votes; k++)
			ret->n +=
				is_voting(&ballot->votes[k]) && ballot->votes[k].rule == vote->rule;
		(*i)++;
		return true;
	}

	return false;
}

static const char *address_of(const struct vote *vote)
{
	return vote->device->address ? vote->device->address : "a device without an address";
}

static void put_addresses(FILE *f, const struct party *party)
{
	size_t put = 0, shown = party->n <= ADDRESSES_MAX ? party->n : ADDRESSES_MAX - 1;

	for (const struct vote *vote = party->first; put < shown; vote++)
		if (is_voting(vote) && vote->rule == party->first->rule) {
			if (put > 0)
				fputs(put + 1 == party->n ? " and " : ", ", f);
			fputs(address_of(vote), f);
			put++;
		}

	if (shown < party->n)
		fprintf(f, " and %zu more", party->n - shown);
}

static void put_rule(FILE *f, const struct policy_rule *rule)
{
	fprintf(f, "[%s] (%s:%u)", rule->name, rule->path, rule->line);
}

/* "auto (DMA)": the word of the rule, and what it comes down to. */
static void put_wish(FILE *f, const struct vote *vote)
{
	const char *type =
		vote->domain == DOMAIN_NONE ? "an unknown type" : domain_to_string(vote->domain);

	if (vote->rule->domain == DOMAIN_AUTO)
		fprintf(f, "auto (%s)", type);
	else
		fputs(type, f);
}

static bool is_keeping(const struct vote *vote)
{
	return !vote->rule || vote->rule->domain == DOMAIN_KEEP;
}

/* "identity wished by [gpu] (50-gpu.conf:3) for 0000:01:00.0" */
static void put_wisher(FILE *f, const struct party *party)
{
	if (!party->first->rule) {
		fprintf(f, "%s kept by ", domain_to_string(party->first->domain));
		put_addresses(f, party);
		fputs(", which no rule matches", f);
		return;
	}

	put_wish(f, party->first);
	fputs(is_keeping(party->first) ? " kept by " : " wished by ", f);
	put_rule(f, party->first->rule);
	fputs(" for ", f);
	put_addresses(f, party);
}

/* "0000:01:00.1, which no rule matches and which keeps DMA" */
static void put_overruler(FILE *f, const struct party *party)
{
	if (!party->first->rule) {
		put_addresses(f, party);
		fprintf(f, ", which no rule matches and which %s %s",
			party->n > 1 ? "keep" : "keeps", domain_to_string(party->first->domain));
		return;
	}

	put_rule(f, party->first->rule);
	fputs(is_keeping(party->first) ? ", which keeps " : ", which wishes ", f);
	put_wish(f, party->first);
	fputs(" for ", f);
	put_addresses(f, party);
}

static bool is_overruled_rule(const struct party *party)
{
	return party->first->rule && party->first->domain != party->ballot->target;
}

static bool is_winner(const struct party *party)
{
	return party->first->domain == party->ballot->target;
}

/* All parties that TEST takes, parted by SEPARATOR. Returns how many there are. */
static size_t put_parties(FILE *f, const struct ballot *ballot,
			  bool (*test)(const struct party *party),
			  void (*put)(FILE *f, const struct party *party), const char *separator)
{
	struct party party;
	size_t n = 0;

	for (size_t i = 0; next_party(ballot, &i, &party);)
		if (test(&party)) {
			if (n++ > 0)
				fputs(separator, f);
			put(f, &party);
		}

	return n;
}

/* Devices without a rule whose type is raised by the others' rules. */
static void put_followers(FILE *f, const struct ballot *ballot)
{
	struct party party;

	for (size_t i = 0; next_party(ballot, &i, &party);)
		if (!party.first->rule && !is_winner(&party)) {
			fputs("; ", f);
			put_addresses(f, &party);
			fprintf(f, ", which no rule matches, %s along",
				party.n > 1 ? "go" : "goes");
		}
}

static void put_vote(FILE *f, const struct ballot *ballot)
{
	size_t n = put_parties(f, ballot, is_overruled_rule, put_wisher, " and ");

	if (n > 0) {
		fprintf(f, " %s overruled by ", n > 1 ? "are" : "is");
		put_parties(f, ballot, is_winner, put_overruler, " and by ");
	} else {
		put_parties(f, ballot, is_winner, put_wisher, " and ");
	}

	put_followers(f, ballot);
}

static bool is_auto_without_boot_type(const struct ballot *ballot)
{
	if (domain_is_type(ballot->group->boot))
		return false;
	if (ballot->override)
		return ballot->override->domain == DOMAIN_AUTO;

	for (size_t i = 0; i < ballot->n_votes; i++)
		if (ballot->votes[i].rule && ballot->votes[i].rule->domain == DOMAIN_AUTO)
			return true;

	return false;
}

static void put_refusal(FILE *f, const struct ballot *ballot, enum refusal refusal)
{
	const struct vote *vote = ballot->untrusted;

	fprintf(f, "%s is refused because ", domain_to_string(ballot->target));
	if (refusal == REFUSAL_REQUIRES_DIRECT) {
		fputs("the group has a direct reserved region, whose 1:1 mapping its firmware needs; ",
		      f);
		return;
	}

	fprintf(f, "%s is %s and ", address_of(vote),
		vote->device->removable ? "removable" : "untrusted");
	if (ballot->override) {
		fputs("force was not given; ", f);
	} else if (vote->rule) {
		put_rule(f, vote->rule);
		fputs(" does not say force; ", f);
	} else {
		fputs("no rule says force; ", f);
	}
}

static bool is_keeper(const struct party *party)
{
	return party->first->domain == DOMAIN_NONE;
}

static bool is_known(const struct party *party)
{
	return party->first->domain != DOMAIN_NONE;
}

static void put_unknown_keeper(FILE *f, const struct party *party)
{
	if (party->first->rule) {
		put_rule(f, party->first->rule);
		fputs(" keeps it for ", f);
		put_addresses(f, party);
	} else {
		put_addresses(f, party);
		fprintf(f, ", which no rule matches, %s it", party->n > 1 ? "keep" : "keeps");
	}
}

static void put_undecidable(FILE *f, const struct ballot *ballot)
{
	fputs("the type that the group has is not known", f);
	if (ballot->override) {
		fprintf(f, ", so %s has no meaning", domain_to_string(ballot->override->domain));
		return;
	}

	fputs(", and ", f);
	put_parties(f, ballot, is_keeper, put_unknown_keeper, " and ");
	if (ballot->target != DOMAIN_NONE) {
		fputs("; nothing is done for ", f);
		put_parties(f, ballot, is_known, put_wisher, " and ");
	}
}

static void put_unmanaged(FILE *f, const struct ballot *ballot)
{
	size_t n_voting = 0;

	for (size_t i = 0; i < ballot->n_votes; i++)
		n_voting += is_voting(&ballot->votes[i]);

	if (ballot->undecidable)
		put_undecidable(f, ballot);
	else if (ballot->n_votes == 0)
		fputs("the group has no PCI device", f);
	else if (n_voting == 0)
		fputs("the group has only bridges, and no rule names one of them", f);
	else
		fputs("no rule matches a device of the group", f);
}

static void put_decided(FILE *f, const struct ballot *ballot, enum refusal refusal)
{
	if (refusal != REFUSAL_NONE)
		put_refusal(f, ballot, refusal);

	if (!ballot->override)
		put_vote(f, ballot);
	else if (ballot->override->domain == ballot->target)
		fprintf(f, "%s was set at run time", domain_to_string(ballot->target));
	else
		fprintf(f, "%s (%s) was set at run time",
			domain_to_string(ballot->override->domain),
			domain_to_string(ballot->target));

	if (is_auto_without_boot_type(ballot) && domain_is_type(ballot->group->current))
		fprintf(f, "; the type at boot is not known, so auto keeps %s",
			domain_to_string(ballot->group->current));
}

char *reason_write(const struct ballot *ballot, enum verdict verdict, enum refusal refusal)
{
	char *text = NULL;
	size_t size;
	bool failed;
	FILE *f;

	f = open_memstream(&text, &size);
	if (!f)
		return NULL;

	if (verdict == VERDICT_UNMANAGED)
		put_unmanaged(f, ballot);
	else
		put_decided(f, ballot, refusal);

	failed = ferror(f);
	failed = fclose(f) != 0 || failed;
	if (failed) {
		free(text);
		return NULL;
	}

	return text;
}
