/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_ARRAY_H
#define POLICY_ARRAY_H

#include <stdlib.h>

/*
 * Makes room for one more item in ARRAY, which holds N of SIZE bytes. The room
 * doubles whenever N reaches a power of two, so that no capacity has to be
 * kept. Returns the array, which may have moved, or NULL when out of memory
 * (ARRAY is then as before).
 */
static inline void *array_grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;

	return reallocarray(array, n ? n * 2 : 1, size);
}

#endif
