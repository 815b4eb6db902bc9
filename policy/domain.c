/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/domain.h"

#include <stddef.h>

#include "policy/text.h"

static const char *const words[] = {
	[DOMAIN_NONE] = "",
	[DOMAIN_KEEP] = "keep",
	[DOMAIN_AUTO] = "auto",
	[DOMAIN_IDENTITY] = "identity",
	[DOMAIN_DMA_FQ] = "DMA-FQ",
	[DOMAIN_DMA] = "DMA",
	[DOMAIN_BLOCKED] = "blocked",
};

const char *domain_to_string(enum domain domain)
{
	if ((size_t)domain >= sizeof(words) / sizeof(words[0]))
		return "";

	return words[domain];
}

enum domain domain_from_string(const char *word)
{
	for (size_t i = DOMAIN_NONE + 1; i < sizeof(words) / sizeof(words[0]); i++)
		if (text_equal_fold(word, words[i]))
			return (enum domain)i;

	return DOMAIN_NONE;
}

bool domain_is_type(enum domain domain)
{
	return domain >= DOMAIN_IDENTITY && domain <= DOMAIN_BLOCKED;
}
