/* SPDX-License-Identifier: MIT
 *
 * multiset.h - a set of texts that counts how often each is in it: compares long lists.
 * Texts are copied, one behind the other, and found by a hash with a seed, so that nobody
 * can choose texts whose hashes collide.
 * Pure: no sockets, no Lua, no clock. Running out of memory is a code, never an abort. */
#ifndef HAP_MULTISET_H
#define HAP_MULTISET_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct multiset_text {
	size_t at, n; /* its bytes in `bytes` */
	uint32_t hash;
	uint32_t left; /* how often it is in the set */
};

struct multiset {
	struct buf bytes;            /* owned */
	struct multiset_text *texts; /* owned; `n` are used */
	uint32_t *slots; /* owned; mask + 1: 0, or the number of a text, from 1 */
	size_t n, most, mask;
	uint64_t seed;
};

/* A seed that nobody outside of this process knows. 0 or UV_*. */
int multiset_seed(uint64_t *seed);

/* Begin, with room for `most` texts; {0} before. 0, HAP_ENOMEM, or HAP_ELIMIT where they
 * are over 2^30; either way multiset_free() must follow. */
int multiset_start(struct multiset *t, size_t most, uint64_t seed);

/* Count a text once more. Not more than `most` times. 0 or HAP_ENOMEM. */
int multiset_add(struct multiset *t, struct span text);

/* Count it once less. False: it is not in the set, or was taken as often as it was. */
bool multiset_take(struct multiset *t, struct span text);

/* Free the memory; the set is {0} afterwards. */
void multiset_free(struct multiset *t);

#endif
