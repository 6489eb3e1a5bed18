/* SPDX-License-Identifier: MIT */
/*
 * Optimal string alignment distance by dynamic programming over three rows. Names are short
 * and this runs once, on the way to an error, so nothing cleverer pays.
 */
#include "traces/nearest.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Longer words are nobody's typing mistake. */
enum { LONGEST = 64, PREFIX = 3 };

static unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static int fold(char c)
{
	return tolower((unsigned char)c);
}

static unsigned int distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned int rows[3][LONGEST + 1];
	unsigned int *older = rows[0], *old = rows[1], *now = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		old[j] = (unsigned int)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned int *oldest = older;

		now[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned int differs = fold(a[i - 1]) != fold(b[j - 1]);

			now[j] = min(min(old[j], now[j - 1]) + 1, old[j - 1] + differs);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
			    fold(a[i - 2]) == fold(b[j - 1]))
				now[j] = min(now[j], older[j - 2] + 1);
		}
		older = old;
		old = now;
		now = oldest;
	}
	return old[b_len];
}

const char *nearest_name(const char *word, const char *(*name_at)(size_t index))
{
	size_t len = strlen(word);
	unsigned int best = (unsigned int)(len < 6 ? 1 : len / 3) + 1;
	const char *nearest = NULL;
	const char *name;

	if (!len || len > LONGEST)
		return NULL;
	for (size_t i = 0; (name = name_at(i)); i++) {
		size_t name_len = strlen(name);
		unsigned int far;

		if (name_len > LONGEST)
			continue;
		far = distance(word, len, name, name_len);
		if (len >= PREFIX && len < name_len && !strncasecmp(word, name, len))
			far = 1;
		/* A word of one letter shares nothing with a name one letter away. */
		if (far < best && far < len) {
			best = far;
			nearest = name;
		}
	}
	return nearest;
}
