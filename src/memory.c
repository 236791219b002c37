/* SPDX-License-Identifier: MIT
 *
 * memory.c - blocks by size, cut from chunks. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

/* With what malloc() adds, a whole number of pages; only those that are used cost. */
#define CHUNK_SIZE (65536 - 16)

struct memory_block {
	struct memory_block *next;
};

struct memory_chunk {
	struct memory_chunk *next;
	char bytes[CHUNK_SIZE - sizeof(struct memory_chunk *)];
};

/* Which list has the blocks of this size. Size 0 has none. */
static size_t class_of(size_t size)
{
	return (size + MEMORY_GRAIN - 1) / MEMORY_GRAIN;
}

static void let_go(struct memory *m, void *p, size_t size)
{
	struct memory_block **list = &m->waiting[class_of(size)];
	struct memory_block *block = p;

	block->next = *list;
	*list = block;
}

/* The rest of the chunk before serves as one smaller block. */
static int add_chunk(struct memory *m)
{
	struct memory_chunk *chunk = malloc(sizeof *chunk);

	if (!chunk)
		return 0;
	if (m->left > 0)
		let_go(m, m->at, m->left);
	chunk->next = m->chunks;
	m->chunks = chunk;
	m->at = chunk->bytes;
	m->left = sizeof chunk->bytes;
	return 1;
}

static void *take(struct memory *m, size_t size)
{
	size_t class = class_of(size), n = class * MEMORY_GRAIN;
	struct memory_block *block = m->waiting[class];
	char *p = m->at;

	if (block) {
		m->waiting[class] = block->next;
		return block;
	}
	if (m->left < n) {
		if (!add_chunk(m))
			return NULL;
		p = m->at;
	}
	m->at += n;
	m->left -= n;
	return p;
}

/* From or to a small block, or from nothing. */
static void *move(struct memory *m, void *p, size_t old, size_t size)
{
	void *moved = size <= MEMORY_SMALL_MAX ? take(m, size) : malloc(size);

	if (!moved)
		return p && size <= old ? p : NULL;
	if (!p)
		return moved;
	memcpy(moved, p, old < size ? old : size);
	memory_resize(m, p, old, 0);
	return moved;
}

void *memory_resize(struct memory *m, void *p, size_t old, size_t size)
{
	if (size == 0) {
		if (p && old <= MEMORY_SMALL_MAX)
			let_go(m, p, old);
		else
			free(p);
		return NULL;
	}
	if (p && old > MEMORY_SMALL_MAX && size > MEMORY_SMALL_MAX)
		return realloc(p, size);
	if (p && class_of(old) == class_of(size))
		return p;
	return move(m, p, old, size);
}

void memory_free(struct memory *m)
{
	while (m->chunks) {
		struct memory_chunk *next = m->chunks->next;

		free(m->chunks);
		m->chunks = next;
	}
	*m = (struct memory){0};
}
