/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as the record of a transaction: what is read and can be written is read the same again. */
#include <string.h>

#include "daemon/record.h"
#include "daemon/util.h"
#include "tests/fuzz/fuzz-folder.h"
#include "tests/fuzz/fuzz.h"

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void require_same(const struct transaction *a, const struct transaction *b)
{
	require(a->group == b->group && a->step == b->step && a->from == b->from && a->to == b->to);
	require(a->fence == b->fence && a->quarantined == b->quarantined && a->claimed == b->claimed);
	require(a->n_devices == b->n_devices);
	for (size_t i = 0; i < a->n_devices; i++) {
		const struct transaction_device *x = &a->devices[i], *y = &b->devices[i];

		require(x->id == y->id && same(x->address, y->address) && same(x->driver, y->driver));
		require(same(x->override, y->override) && same(x->wanted, y->wanted) && same(x->given, y->given));
		require(x->bridge == y->bridge && x->release == y->release && x->fresh == y->fresh);
		require(x->pinned == y->pinned && x->unbound == y->unbound);
	}
}

/* Sections without a key, which a device with nothing to say is written as, are gone when read. */
static bool says_something(const struct transaction *t)
{
	for (size_t i = 0; i < t->n_devices; i++) {
		const struct transaction_device *d = &t->devices[i];

		if (!d->id && !d->driver && !d->override && !d->wanted && !d->given && !d->bridge &&
		    !d->release && !d->fresh && !d->pinned && !d->unbound)
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct transaction *t = NULL, *again = NULL;

	fuzz_file("12", data, size);
	if (record_read(fuzz_folder(), 12, &t) < 0)
		return 0;
	require(t->group == 12 && t->fence);
	for (size_t i = 0; i < t->n_devices; i++)
		require(address_is_valid(t->devices[i].address));
	t->group = 13;
	if (says_something(t) && record_write(fuzz_folder(), t) >= 0) {
		require(record_read(fuzz_folder(), 13, &again) == 0);
		require_same(t, again);
		transaction_free(again);
	}
	transaction_free(t);
	return 0;
}
