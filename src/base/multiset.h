/* SPDX-License-Identifier: MIT
 *
 * tally.h - how often each of many texts is there: what two long lists have in common.
 * Texts are copied, one behind the other, and found by a hash that only this process can
 * foretell.
 * Pure: no sockets, no Lua, no clock. Running out of memory is a code, never an abort. */
#ifndef HAP_TALLY_H
#define HAP_TALLY_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct tally_text {
	size_t at, n; /* its bytes in `bytes` */
	uint32_t hash;
	uint32_t left; /* how often it is there */
};

struct tally {
	struct buf bytes;         /* owned */
	struct tally_text *texts; /* owned; `n` are used */
	uint32_t *slots; /* owned; mask + 1: 0, or the number of a text, from 1 */
	size_t n, most, mask;
	uint64_t seed;
};

/* Begin, with room for `most` texts; {0} before. `seed` is a number that nobody outside
 * knows. 0, HAP_ENOMEM, or HAP_ELIMIT where they are over 2^30; either way tally_free()
 * must follow. */
int tally_start(struct tally *t, size_t most, uint64_t seed);

/* Count a text once more. Not more than `most` times. 0 or HAP_ENOMEM. */
int tally_add(struct tally *t, struct span text);

/* Count it once less. False: it is not there (any more). */
bool tally_take(struct tally *t, struct span text);

void tally_free(struct tally *t);

#endif
