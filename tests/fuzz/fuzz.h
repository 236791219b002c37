/* SPDX-License-Identifier: MIT
 *
 * fuzz.h - shared by the fuzz drivers. They check properties with CHECK(); the sanitizers
 * find the rest. */
#ifndef HAP_FUZZ_H
#define HAP_FUZZ_H

#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Abort unless `ok`. Unlike assert(), it is there with NDEBUG, too. */
#define CHECK(ok)                                                                        \
	do {                                                                             \
		if (!(ok)) {                                                             \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #ok);         \
			abort();                                                         \
		}                                                                        \
	} while (0)

/* Does s lie inside `whole`? */
static inline int inside(struct span s, struct span whole)
{
	return s.n == 0 || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n);
}

/* Take the first byte of the input, by which a driver chooses what to do. */
static inline uint8_t fuzz_byte(struct span *input)
{
	if (input->n == 0)
		return 0;
	input->n--;
	return (uint8_t)*input->p++;
}

#endif
