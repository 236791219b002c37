/* SPDX-License-Identifier: MIT
 *
 * test_multiset.c - counting texts, against a count by looking at each. */
/* link: --wrap=malloc --wrap=realloc --wrap=calloc */
#include "unit.h"
#include "base/err.h"
#include "base/multiset.h"

#include <stdio.h>

static int starved; /* the allocation that fails, counted from now; 0: none */

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

static bool has_memory(void)
{
	return starved == 0 || --starved > 0;
}

void *__wrap_malloc(size_t n)
{
	return has_memory() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return has_memory() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *p, size_t n)
{
	return has_memory() ? __real_realloc(p, n) : NULL;
}

static void a_text_is_there_as_often_as_it_was_added(void **state)
{
	struct multiset t = {0};

	(void)state;
	assert_int_equal(multiset_start(&t, 4, 1), 0);
	assert_false(multiset_take(&t, SPAN_LIT("a")));
	assert_int_equal(multiset_add(&t, SPAN_LIT("a")), 0);
	assert_int_equal(multiset_add(&t, SPAN_LIT("")), 0);
	assert_int_equal(multiset_add(&t, SPAN_LIT("a")), 0);
	assert_int_equal(multiset_add(&t, SPAN_LIT("a\0")), 0);
	assert_true(multiset_take(&t, SPAN_LIT("a")));
	assert_true(multiset_take(&t, SPAN_LIT("a")));
	assert_false(multiset_take(&t, SPAN_LIT("a")));
	assert_true(multiset_take(&t, (struct span){NULL, 0}));
	assert_false(multiset_take(&t, SPAN_LIT("")));
	assert_true(multiset_take(&t, SPAN_LIT("a\0")));
	assert_false(multiset_take(&t, SPAN_LIT("b")));
	multiset_free(&t);
}

enum { MANY = 1000 };

/* Write the i-th of many texts, of every length up to 40; some are the same. */
static struct span text_of(char *store, unsigned i)
{
	int n = sprintf(store, "%0*u", (int)(i % 37 + 4), i * 7919 % 700);

	return (struct span){store, (size_t)n};
}

/* How many of the texts [0, end) are the i-th, in steps of `step`? */
static unsigned count(const struct span *texts, unsigned i, unsigned end, unsigned step)
{
	unsigned n = 0;

	for (unsigned k = 0; k < end; k += step)
		n += (unsigned)span_equal(texts[i], texts[k]);
	return n;
}

/* Every second text is added, and each is taken. */
static void many_are_counted_with_every_seed(void **state)
{
	static char stores[MANY][64];
	struct span texts[MANY];
	bool is_left[MANY];

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		texts[i] = text_of(stores[i], i);
	for (unsigned i = 0; i < MANY; i++)
		is_left[i] = count(texts, i, i, 1) < count(texts, i, MANY, 2);
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct multiset t = {0};

		assert_int_equal(multiset_start(&t, MANY, seed * 0x123456789abcdefU), 0);
		for (unsigned i = 0; i < MANY; i += 2)
			assert_int_equal(multiset_add(&t, texts[i]), 0);
		for (unsigned i = 0; i < MANY; i++)
			assert_int_equal(multiset_take(&t, texts[i]), is_left[i]);
		multiset_free(&t);
	}
}

static void one_of_no_texts_has_none(void **state)
{
	struct multiset t = {0};

	(void)state;
	assert_int_equal(multiset_start(&t, 0, 7), 0);
	assert_false(multiset_take(&t, SPAN_LIT("a")));
	multiset_free(&t);
	multiset_free(&t);
}

static void seeds_differ(void **state)
{
	uint64_t a = 0, b = 0;

	(void)state;
	assert_int_equal(multiset_seed(&a), 0);
	assert_int_equal(multiset_seed(&b), 0);
	assert_true(a != b);
}

static void without_memory_there_is_a_code(void **state)
{
	struct multiset t = {0};

	(void)state;
	assert_int_equal(multiset_start(&t, SIZE_MAX, 7), HAP_ELIMIT);
	multiset_free(&t);
	for (int i = 1; i <= 2; i++) {
		starved = i;
		assert_int_equal(multiset_start(&t, 1, 7), HAP_ENOMEM);
		starved = 0;
		multiset_free(&t);
	}
	assert_int_equal(multiset_start(&t, 1, 7), 0);
	starved = 1;
	assert_int_equal(multiset_add(&t, SPAN_LIT("a")), HAP_ENOMEM);
	starved = 0;
	assert_false(multiset_take(&t, SPAN_LIT("a")));
	assert_int_equal(multiset_add(&t, SPAN_LIT("a")), 0);
	assert_true(multiset_take(&t, SPAN_LIT("a")));
	multiset_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_there_as_often_as_it_was_added),
		cmocka_unit_test(many_are_counted_with_every_seed),
		cmocka_unit_test(one_of_no_texts_has_none),
		cmocka_unit_test(seeds_differ),
		cmocka_unit_test(without_memory_there_is_a_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
