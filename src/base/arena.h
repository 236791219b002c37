/* SPDX-License-Identifier: MIT
 *
 * arena.h - memory for many small objects whose sizes their owner knows: faster than
 * malloc(), and without its bookkeeping beside each. What is freed is used again for
 * objects of about its size, and never goes back to the system. Larger objects are
 * malloc()'s. */
#ifndef HAP_ARENA_H
#define HAP_ARENA_H

#include <stddef.h>

enum { ARENA_SMALL = 256, ARENA_STEP = 16 };

/* {0} at first. */
struct arena {
	void *free[ARENA_SMALL / ARENA_STEP]; /* lists, by size */
	void *blocks; /* a list: tools that look for leaks find the memory by it */
	char *next;   /* of the current block: not given out yet */
	size_t left;  /* bytes from there on */
};

/* Make an object of `old` bytes one of `size` bytes, which may move; NULL and 0 are no
 * object. NULL: it is none now, or there is no memory, and the object is as it was. */
void *arena_resize(struct arena *a, void *p, size_t old, size_t size);

#endif
