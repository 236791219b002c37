/* SPDX-License-Identifier: MIT
 *
 * memory.h - the memory of the Lua state: many small objects, made fast and let go fast.
 * Small blocks are cut from chunks, and one that is let go waits in a list for the next
 * of its size; large ones are malloc()'s. No block has a header, for Lua knows the sizes.
 * Chunks go back only at the end.
 * Pure: no sockets, no Lua, no clock. */
#ifndef HAP_MEMORY_H
#define HAP_MEMORY_H

#include <stddef.h>

/* The largest small block. A build that looks for faults in the use of memory sets it to
 * 0: then each block is malloc()'s, where tools can watch it. */
#ifndef MEMORY_SMALL_MAX
#define MEMORY_SMALL_MAX 512
#endif
/* Sizes are multiples of this. */
#define MEMORY_GRAIN 8

struct memory_block;
struct memory_chunk;

/* {0} is valid: no chunk yet. */
struct memory {
	struct memory_chunk *chunks; /* owned */
	char *at;    /* of the newest chunk: where the next block is cut */
	size_t left; /* bytes from there on */
	struct memory_block *waiting[MEMORY_SMALL_MAX / MEMORY_GRAIN + 1]; /* by size */
};

/* What a Lua state asks of its allocator: `p` has `old` bytes (NULL: none, `old` does not
 * count) and is to have `size`; 0 lets it go. NULL where there is no memory, with the
 * block as it was; never when it was to become smaller. */
void *memory_resize(struct memory *m, void *p, size_t old, size_t size);

/* Give back the chunks, and with them all small blocks. */
void memory_free(struct memory *m);

#endif
