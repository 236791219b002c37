/* SPDX-License-Identifier: MIT
 *
 * multiset.c - a hash table with open addressing, never more than half full. */
#include "base/multiset.h"
#include "base/err.h"

#include <stdlib.h>
#include <uv.h>

#define TEXTS_MAX ((size_t)1 << 30)

/* The product, its upper half folded onto the lower. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t hash_of(const struct multiset *t, struct span text)
{
	uint64_t h = t->seed ^ text.n, word;

	for (; text.n >= sizeof word; text.p += sizeof word, text.n -= sizeof word) {
		memcpy(&word, text.p, sizeof word);
		h = fold(h ^ word, 0x9e3779b97f4a7c15U ^ t->seed);
	}
	word = 0;
	if (text.n > 0)
		memcpy(&word, text.p, text.n);
	h = fold(h ^ word, 0xd6e8feb86659fd93U);
	return (uint32_t)(h ^ h >> 32);
}

/* The slot of the text, or the free slot that the text would get. */
static uint32_t *find(const struct multiset *t, struct span text, uint32_t hash)
{
	for (size_t i = hash & t->mask;; i = (i + 1) & t->mask) {
		uint32_t *slot = &t->slots[i];
		const struct multiset_text *has = &t->texts[*slot - (*slot > 0)];

		if (*slot == 0 ||
		    (has->hash == hash &&
		     span_equal((struct span){t->bytes.p + has->at, has->n}, text)))
			return slot;
	}
}

int multiset_seed(uint64_t *seed)
{
	return uv_random(NULL, NULL, seed, sizeof *seed, 0, NULL);
}

int multiset_start(struct multiset *t, size_t most, uint64_t seed)
{
	size_t slots = 2;

	if (most > TEXTS_MAX)
		return HAP_ELIMIT;
	while (slots < 2 * most)
		slots *= 2;
	t->seed = seed;
	t->most = most;
	t->mask = slots - 1;
	t->texts = malloc((most ? most : 1) * sizeof *t->texts);
	t->slots = calloc(slots, sizeof *t->slots);
	return t->texts && t->slots ? 0 : HAP_ENOMEM;
}

int multiset_add(struct multiset *t, struct span text)
{
	uint32_t hash = hash_of(t, text), *slot = find(t, text, hash);

	if (*slot > 0) {
		t->texts[*slot - 1].left++;
		return 0;
	}
	size_t at = t->bytes.n;
	int rc = buf_add_span(&t->bytes, text);

	if (rc < 0)
		return rc;
	t->texts[t->n++] = (struct multiset_text){at, text.n, hash, 1};
	*slot = (uint32_t)t->n;
	return 0;
}

bool multiset_take(struct multiset *t, struct span text)
{
	uint32_t slot = *find(t, text, hash_of(t, text));

	if (slot == 0 || t->texts[slot - 1].left == 0)
		return false;
	t->texts[slot - 1].left--;
	return true;
}

void multiset_free(struct multiset *t)
{
	buf_free(&t->bytes);
	free(t->texts);
	free(t->slots);
	*t = (struct multiset){0};
}
