/* SPDX-License-Identifier: MIT
 *
 * fuzz.h - what the fuzz drivers share. They check properties, not only that nothing
 * crashes; build them with the address and undefined sanitizers. */
#ifndef HAP_FUZZ_H
#define HAP_FUZZ_H

#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Not assert(): NDEBUG must not remove it. */
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

/* The first byte of the input, which steers the driver. */
static inline uint8_t fuzz_byte(struct span *input)
{
	if (input->n == 0)
		return 0;
	input->n--;
	return (uint8_t)*input->p++;
}

#endif
