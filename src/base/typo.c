/* SPDX-License-Identifier: MIT
 *
 * typo.c - the edit distance with exchanged neighbours, three rows of its table. */
#include "base/typo.h"

#include <ctype.h>

#define NAME_BYTES_MAX 64

static int letter(struct span s, size_t i)
{
	return s.p[i] == '-' ? '_' : tolower((unsigned char)s.p[i]);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t typo_distance(struct span typed, struct span meant)
{
	/* rows[i % 3][k]: edits that make the first k letters of `meant` of the first i
	 * of `typed` */
	size_t rows[3][NAME_BYTES_MAX + 1];
	size_t longer = typed.n > meant.n ? typed.n : meant.n;

	if (typed.n == 0 || meant.n == 0 || longer > NAME_BYTES_MAX)
		return TYPO_FAR;
	for (size_t k = 0; k <= meant.n; k++)
		rows[0][k] = k;
	for (size_t i = 1; i <= typed.n; i++) {
		const size_t *two_back = rows[(i + 1) % 3], *back = rows[(i + 2) % 3];
		size_t *row = rows[i % 3];

		row[0] = i;
		for (size_t k = 1; k <= meant.n; k++) {
			int a = letter(typed, i - 1), b = letter(meant, k - 1);

			row[k] = least(back[k - 1] + (a != b),
				       least(back[k], row[k - 1]) + 1);
			if (i > 1 && k > 1 && a == letter(meant, k - 2) &&
			    letter(typed, i - 2) == b)
				row[k] = least(row[k], two_back[k - 2] + 1);
		}
	}
	size_t edits = rows[typed.n % 3][meant.n];

	return edits <= (longer + 2) / 3 && edits < least(typed.n, meant.n) ? edits
									    : TYPO_FAR;
}

static const char *name_of(const void *entry)
{
	return *(const char *const *)entry;
}

const void *typo_exact(const char *name, const void *names, size_t size)
{
	for (const char *entry = names; name_of(entry); entry += size)
		if (strcmp(name_of(entry), name) == 0)
			return entry;
	return NULL;
}

const char *typo_nearest(const char *typed, const void *names, size_t size)
{
	const char *nearest = NULL;
	size_t least_edits = TYPO_FAR;

	for (const char *entry = names; name_of(entry); entry += size) {
		size_t edits = typo_distance(span_of(typed), span_of(name_of(entry)));

		if (edits < least_edits) {
			least_edits = edits;
			nearest = name_of(entry);
		}
	}
	return nearest;
}
