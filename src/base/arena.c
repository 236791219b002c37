/* SPDX-License-Identifier: MIT
 *
 * arena.c - small objects from large blocks, and a list of free ones for each size. */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 32768

static size_t class_of(size_t size)
{
	return (size - 1) / ARENA_STEP;
}

static void *take(struct arena *a, size_t size)
{
	size_t class = class_of(size), bytes = (class + 1) * ARENA_STEP;
	void *p = a->free[class];

	if (p) {
		memcpy(&a->free[class], p, sizeof p);
		return p;
	}
	if (a->left < bytes) {
		char *block = malloc(BLOCK);

		if (!block)
			return NULL;
		memcpy(block, &a->blocks, sizeof a->blocks);
		a->blocks = block;
		a->next = block + ARENA_STEP; /* what is left of the old one is lost */
		a->left = BLOCK - ARENA_STEP;
	}
	p = a->next;
	a->next += bytes;
	a->left -= bytes;
	return p;
}

static void give_back(struct arena *a, void *p, size_t size)
{
	size_t class = class_of(size);

	memcpy(p, &a->free[class], sizeof p);
	a->free[class] = p;
}

/* One of the two sizes is small, or both are in different classes. */
static void *move(struct arena *a, void *p, size_t old, size_t size)
{
	void *to = size <= ARENA_SMALL ? take(a, size) : malloc(size);

	if (!to) /* an object may always shrink: a larger place will do */
		return size < old ? p : NULL;
	memcpy(to, p, old < size ? old : size);
	if (old <= ARENA_SMALL)
		give_back(a, p, old);
	else
		free(p);
	return to;
}

void *arena_resize(struct arena *a, void *p, size_t old, size_t size)
{
	if (!p)
		return size == 0             ? NULL
		       : size <= ARENA_SMALL ? take(a, size)
					     : malloc(size);
	if (size == 0) {
		if (old <= ARENA_SMALL)
			give_back(a, p, old);
		else
			free(p);
		return NULL;
	}
	if (old > ARENA_SMALL && size > ARENA_SMALL)
		return realloc(p, size);
	if (old <= ARENA_SMALL && size <= ARENA_SMALL && class_of(old) == class_of(size))
		return p;
	return move(a, p, old, size);
}
