/* SPDX-License-Identifier: MIT
 *
 * test_tally.c - how often each text occurs, beside a model that looks through all. */
#include "unit.h"
#include "base/err.h"
#include "base/tally.h"

#include <stdio.h>

static const struct span none = {NULL, 0};

static void texts_are_taken_as_often_as_they_were_added(void **state)
{
	struct tally t = {0};

	(void)state;
	assert_int_equal(tally_start(&t, 4), 0);
	tally_add(&t, SPAN_LIT("a"));
	tally_add(&t, SPAN_LIT(""));
	tally_add(&t, SPAN_LIT("a"));
	tally_add(&t, SPAN_LIT("a\0b"));
	tally_count(&t);
	assert_true(tally_take(&t, SPAN_LIT("a"), none));
	assert_true(tally_take(&t, SPAN_LIT("a"), none));
	assert_false(tally_take(&t, SPAN_LIT("a"), none));
	assert_true(tally_take(&t, SPAN_LIT(""), none));
	assert_false(tally_take(&t, SPAN_LIT(""), none));
	assert_true(tally_take(&t, SPAN_LIT("a\0b"), none));
	assert_false(tally_take(&t, SPAN_LIT("b"), none));
	tally_free(&t);
	tally_free(&t);
}

static void a_value_stands_behind_a_space(void **state)
{
	static const struct {
		const char *key, *value;
		bool equal;
	} pairs[] = {
		{"a", "b c", true},   {"a b", "c", true},    {"a b c", NULL, true},
		{"", "a b c", false}, {"a b c", "", false},  {"a", "bc", false},
		{"a b", "c ", false}, {"a b ", NULL, false},
	};
	struct tally t = {0};

	(void)state;
	assert_int_equal(tally_start(&t, 3), 0);
	for (int i = 0; i < 3; i++)
		tally_add(&t, SPAN_LIT("a b c"));
	tally_count(&t);
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct span key = span_of(pairs[i].key);
		struct span value = pairs[i].value ? span_of(pairs[i].value) : none;

		assert_int_equal(tally_equal(SPAN_LIT("a b c"), key, value),
				 pairs[i].equal);
		assert_int_equal(tally_take(&t, key, value), pairs[i].equal);
	}
	tally_free(&t);
}

/* Numbers in decimal, some of them several times: all that were added are there. */
static void many_texts_are_counted(void **state)
{
	enum { TEXTS = 5000, DIFFERENT = 3000 };
	static char texts[TEXTS][8];
	struct tally t = {0};
	int left[DIFFERENT] = {0};

	(void)state;
	assert_int_equal(tally_start(&t, TEXTS), 0);
	for (unsigned i = 0; i < TEXTS; i++) {
		unsigned n = i * 7919 % DIFFERENT;

		snprintf(texts[i], sizeof texts[i], "%u", n);
		tally_add(&t, span_of(texts[i]));
		left[n]++;
	}
	tally_count(&t);
	for (int n = 0; n < DIFFERENT; n++) {
		char text[16];

		snprintf(text, sizeof text, "%d", n);
		for (; left[n] > 0; left[n]--)
			assert_true(tally_take(&t, span_of(text), none));
		assert_false(tally_take(&t, span_of(text), none));
	}
	tally_free(&t);
}

static void nothing_is_there_at_first(void **state)
{
	struct tally t = {0};

	(void)state;
	assert_int_equal(tally_start(&t, 0), 0);
	tally_count(&t);
	assert_false(tally_take(&t, SPAN_LIT("a"), none));
	tally_free(&t);
	assert_int_equal(tally_start(&t, SIZE_MAX), HAP_ENOMEM);
	tally_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_taken_as_often_as_they_were_added),
		cmocka_unit_test(a_value_stands_behind_a_space),
		cmocka_unit_test(many_texts_are_counted),
		cmocka_unit_test(nothing_is_there_at_first),
	};

	return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
