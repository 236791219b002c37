/* SPDX-License-Identifier: MIT
 *
 * test_typo.c - which name was meant. */
#include "unit.h"
#include "base/typo.h"

static size_t distance(const char *typed, const char *meant)
{
	return typo_distance(span_of(typed), span_of(meant));
}

static const struct {
	const char *typed, *meant;
	size_t edits;
} near[] = {
	{"paths", "paths", 0},     {"path", "paths", 1},        {"pathss", "paths", 1},
	{"patks", "paths", 1},     {"srv_nmae", "srv_name", 1}, {"apths", "paths", 1},
	{"PATHS", "paths", 0},     {"dry-run", "dry_run", 0},   {"stdot", "stdout", 1},
	{"msesage", "message", 1}, {"tiemuot", "timeout", 2},   {"ab", "ac", 1},
};

static void edits_are_counted(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
		size_t edits = distance(near[i].typed, near[i].meant);

		if (edits != near[i].edits)
			fail_msg("%s -> %s: %zu", near[i].typed, near[i].meant, edits);
		assert_int_equal(edits, distance(near[i].meant, near[i].typed));
	}
}

static void other_names_are_far(void **state)
{
	char longest[66];

	(void)state;
	memset(longest, 'a', sizeof longest);
	longest[65] = '\0';
	assert_int_equal(distance("timeout", "path"), TYPO_FAR);
	assert_int_equal(distance("t", "n"), TYPO_FAR);
	assert_int_equal(distance("", "n"), TYPO_FAR);
	assert_int_equal(distance("paths", ""), TYPO_FAR);
	assert_int_equal(distance(longest, longest), TYPO_FAR);
	assert_int_equal(distance(longest + 1, longest + 1), 0);
	assert_int_equal(distance(longest + 1, longest + 2), 1);
}

static void the_nearest_is_found(void **state)
{
	static const char *const names[] = {"timeout", "stdin", "stdout", NULL};
	static const char *const none[] = {NULL};

	(void)state;
	assert_string_equal(typo_nearest("stdn", names, sizeof *names), "stdin");
	assert_string_equal(typo_nearest("stdot", names, sizeof *names), "stdout");
	assert_string_equal(typo_nearest("time_out", names, sizeof *names), "timeout");
	assert_null(typo_nearest("environment", names, sizeof *names));
	assert_ptr_equal(typo_exact("stdin", names, sizeof *names), &names[1]);
	assert_null(typo_exact("std", names, sizeof *names));
	assert_null(typo_nearest("stdin", none, sizeof *none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edits_are_counted),
		cmocka_unit_test(other_names_are_far),
		cmocka_unit_test(the_nearest_is_found),
	};

	return cmocka_run_group_tests_name("typo", tests, NULL, NULL);
}
