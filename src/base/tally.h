/* SPDX-License-Identifier: MIT
 *
 * tally.h - how often each text occurs: to compare the entries of a list with others.
 * A text is compared with a key and a value: it is "KEY VALUE", or "KEY" where value.p is
 * NULL. */
#ifndef HAP_TALLY_H
#define HAP_TALLY_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct tally_text {
	struct span text; /* borrowed */
	uint32_t hash, left;
};

struct tally_place {
	uint32_t hash, number; /* number: of the text, from 1; 0: free */
};

/* {0} at first; tally_free() may always be called. */
struct tally {
	struct tally_text *texts;   /* owned */
	struct tally_place *places; /* owned; a power of two, a third of them free */
	size_t n, mask;
};

/* Make room for n texts, fewer than 2^31. 0 or HAP_ENOMEM. */
int tally_start(struct tally *t, size_t n);

/* Add a text, which is borrowed. */
void tally_add(struct tally *t, struct span text);

/* Count the texts, once all are added. */
void tally_count(struct tally *t);

/* Take a text away once. False: there is none left. */
bool tally_take(struct tally *t, struct span key, struct span value);

void tally_free(struct tally *t);

/* Is it this text? */
bool tally_equal(struct span text, struct span key, struct span value);

#endif
