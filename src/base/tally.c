/* SPDX-License-Identifier: MIT
 *
 * tally.c - a hash table with open addressing. */
#include "base/tally.h"
#include "base/err.h"

#include <stdlib.h>

#define FNV_PRIME 1099511628211u

/* So many texts ahead a place is fetched from memory: to wait for each takes longer than
 * all else. */
#define AHEAD 8

int tally_start(struct tally *t, size_t n)
{
	size_t places = 8;

	if (n > INT32_MAX)
		return HAP_ENOMEM;
	while (places < n + n / 2)
		places *= 2;
	t->texts = malloc((n + 1) * sizeof *t->texts);
	t->places = calloc(places, sizeof *t->places);
	t->mask = places - 1;
	return t->texts && t->places ? 0 : HAP_ENOMEM;
}

static uint64_t hash(uint64_t h, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (uint8_t)s.p[i]) * FNV_PRIME;
	return h;
}

bool tally_equal(struct span text, struct span key, struct span value)
{
	if (!value.p)
		return span_equal(text, key);
	return text.n == key.n + 1 + value.n && memcmp(text.p, key.p, key.n) == 0 &&
	       text.p[key.n] == ' ' && memcmp(text.p + key.n + 1, value.p, value.n) == 0;
}

/* Nobody can choose texts that have one hash: addresses are random. */
static uint32_t hash_pair(const struct tally *t, struct span key, struct span value)
{
	uint64_t h = hash((uintptr_t)t->places, key);

	if (value.p)
		h = hash(hash(h, SPAN_LIT(" ")), value);
	return (uint32_t)(h ^ h >> 32);
}

/* The place of the text, or the free one that it would get. */
static struct tally_place *find(const struct tally *t, uint32_t bits, struct span key,
				struct span value)
{
	for (size_t i = bits & t->mask;; i = (i + 1) & t->mask) {
		struct tally_place *place = &t->places[i];

		if (place->number == 0 ||
		    (place->hash == bits &&
		     tally_equal(t->texts[place->number - 1].text, key, value)))
			return place;
	}
}

void tally_add(struct tally *t, struct span text)
{
	uint32_t bits = hash_pair(t, text, (struct span){0});

	t->texts[t->n++] = (struct tally_text){text, bits, 0};
}

void tally_count(struct tally *t)
{
	for (size_t i = 0; i < t->n; i++) {
		struct tally_text *text = &t->texts[i];

		if (i + AHEAD < t->n)
			__builtin_prefetch(&t->places[text[AHEAD].hash & t->mask]);
		struct tally_place *place =
			find(t, text->hash, text->text, (struct span){0});

		if (place->number == 0)
			*place = (struct tally_place){text->hash, (uint32_t)i + 1};
		t->texts[place->number - 1].left++;
	}
}

bool tally_take(struct tally *t, struct span key, struct span value)
{
	uint32_t number = find(t, hash_pair(t, key, value), key, value)->number;

	if (number == 0 || t->texts[number - 1].left == 0)
		return false;
	t->texts[number - 1].left--;
	return true;
}

void tally_free(struct tally *t)
{
	free(t->texts);
	free(t->places);
	*t = (struct tally){0};
}
