/* SPDX-License-Identifier: MIT
 *
 * test_memory.c - the Lua state's memory: blocks of every size, as a Lua state asks. */
/* link: --wrap=malloc */
#include "unit.h"
#include "memory.h"

#include <stdbool.h>
#include <stdint.h>

#define BLOCKS 400

static bool starved;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);

void *__wrap_malloc(size_t n)
{
	return starved ? NULL : __real_malloc(n);
}

/* Blocks that are filled with a byte of their own never lie in one another. */
struct blocks {
	struct memory m;
	unsigned char *p[BLOCKS];
	size_t n[BLOCKS];
};

static void check(const struct blocks *b)
{
	for (size_t i = 0; i < BLOCKS; i++)
		for (size_t k = 0; k < b->n[i]; k++)
			assert_int_equal(b->p[i][k], i & 0xff);
}

/* Give block i another size; what both sizes have is kept. */
static void resize(struct blocks *b, size_t i, size_t size)
{
	size_t kept = size < b->n[i] ? size : b->n[i];
	unsigned char *p = memory_resize(&b->m, b->p[i], b->n[i], size);

	assert_true((p != NULL) == (size > 0));
	assert_int_equal((uintptr_t)p % MEMORY_GRAIN, 0);
	for (size_t k = 0; k < kept; k++)
		assert_int_equal(p[k], i & 0xff);
	if (size > kept)
		memset(p + kept, (int)(i & 0xff), size - kept);
	b->p[i] = p;
	b->n[i] = size;
}

static void let_all_go(struct blocks *b)
{
	for (size_t i = 0; i < BLOCKS; i++)
		resize(b, i, 0);
	memory_free(&b->m);
	assert_null(b->m.chunks);
}

static void blocks_of_all_sizes_lie_apart(void **state)
{
	static struct blocks b;
	unsigned random = 1;

	(void)state;
	for (int turn = 0; turn < 8000; turn++) {
		random = random * 1103515245 + 12345;
		size_t i = (random >> 16) % BLOCKS;

		random = random * 1103515245 + 12345;
		resize(&b, i, (random >> 16) % (turn % 5 ? 700 : 9000));
		if (turn % 500 == 0)
			check(&b);
	}
	check(&b);
	let_all_go(&b);
}

static void nothing_is_let_go(void **state)
{
	struct memory m = {0};

	(void)state;
	assert_null(memory_resize(&m, NULL, 6, 0));
	memory_free(&m);
}

/* Not where the build has each block malloc()ed. */
#if MEMORY_SMALL_MAX > 0
static void a_small_block_is_used_again(void **state)
{
	struct memory m = {0};
	void *p = memory_resize(&m, NULL, 5, 24), *other = memory_resize(&m, NULL, 0, 24);

	(void)state;
	assert_ptr_not_equal(p, other);
	memory_resize(&m, p, 24, 0);
	assert_ptr_equal(memory_resize(&m, NULL, 0, 23), p);
	assert_ptr_equal(memory_resize(&m, p, 23, 17), p);
	memory_free(&m);
}

/* Lua relies on it that a block can always become smaller. */
static void without_memory_a_block_stays(void **state)
{
	struct memory m = {0};
	char *large = memory_resize(&m, NULL, 0, MEMORY_SMALL_MAX + 1);

	(void)state;
	memset(large, 'x', MEMORY_SMALL_MAX + 1);
	starved = true;
	assert_null(memory_resize(&m, NULL, 0, 8));
	assert_ptr_equal(memory_resize(&m, large, MEMORY_SMALL_MAX + 1, 8), large);
	assert_int_equal(large[7], 'x');
	starved = false;
	free(large);

	char *small = memory_resize(&m, NULL, 0, 8);

	starved = true;
	assert_null(memory_resize(&m, small, 8, MEMORY_SMALL_MAX + 1));
	starved = false;
	memory_free(&m);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_all_sizes_lie_apart),
		cmocka_unit_test(nothing_is_let_go),
#if MEMORY_SMALL_MAX > 0
		cmocka_unit_test(a_small_block_is_used_again),
		cmocka_unit_test(without_memory_a_block_stays),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
