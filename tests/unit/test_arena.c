/* SPDX-License-Identifier: MIT
 *
 * test_arena.c - objects keep their bytes, and none lies in another. */
/* link: --wrap=malloc --wrap=realloc */
#define UNIT_OOM
#include "unit.h"
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { OBJECTS = 500, STEPS = 200000, MOST = 600 };

struct object {
	unsigned char *p;
	size_t size;
	unsigned char byte;
};

static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* The first `n` bytes are those of this object. */
static void check(const struct object *o, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (o->p[i] != o->byte)
			fail_msg("byte %zu of %zu is another's", i, o->size);
}

static void objects_keep_their_bytes(void **state)
{
	static struct object objects[OBJECTS];
	static struct arena a; /* an arena keeps its memory: no leak */
	uint32_t random = 1;

	(void)state;
	for (int i = 0; i < STEPS; i++) {
		struct object *o = &objects[next(&random) % OBJECTS];
		size_t size = next(&random) % 4 == 0 ? 0 : next(&random) % MOST;

		check(o, o->size);
		o->p = arena_resize(&a, o->p, o->size, size);
		assert_true((o->p == NULL) == (size == 0));
		assert_int_equal((uintptr_t)o->p % ARENA_STEP, 0);
		check(o, size < o->size ? size : o->size);
		o->size = size;
		o->byte = (unsigned char)next(&random);
		if (size > 0)
			memset(o->p, o->byte, size);
	}
	for (int i = 0; i < OBJECTS; i++) {
		check(&objects[i], objects[i].size);
		assert_null(arena_resize(&a, objects[i].p, objects[i].size, 0));
	}
}

static void what_was_freed_is_used_again(void **state)
{
	static struct arena a; /* an arena keeps its memory: no leak */

	(void)state;
	void *p = arena_resize(&a, NULL, 0, 33);

	assert_ptr_equal(arena_resize(&a, p, 33, 48), p);
	arena_resize(&a, p, 48, 0);
	assert_ptr_not_equal(arena_resize(&a, NULL, 0, 49), p);
	assert_ptr_equal(arena_resize(&a, NULL, 0, 40), p);
	assert_null(arena_resize(&a, NULL, 0, 0));
	oom_at = 1;
	assert_null(arena_resize(&a, NULL, 0, 100000));
	oom_at = 1;
	assert_null(arena_resize(&a, p, 40, 100000));
	oom_at = 0;
	assert_ptr_equal(arena_resize(&a, p, 40, 48), p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_keep_their_bytes),
		cmocka_unit_test(what_was_freed_is_used_again),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
