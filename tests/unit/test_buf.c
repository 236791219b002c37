/* SPDX-License-Identifier: MIT
 *
 * test_buf.c - spans and the growing buffer. */
/* link: --wrap=malloc --wrap=realloc */
#define UNIT_OOM
#include "unit.h"
#include "base/err.h"

static void begins_compares_only_the_prefix(void **state)
{
	(void)state;
	assert_true(span_begins(SPAN_LIT("show acl"), "show"));
	assert_true(span_begins(SPAN_LIT("show"), "show"));
	assert_true(span_begins(SPAN_LIT("show"), ""));
	assert_true(span_begins((struct span){NULL, 0}, ""));
	assert_false(span_begins(SPAN_LIT("sho"), "show"));
	assert_false(span_begins(SPAN_LIT("Show"), "show"));
	assert_false(span_begins((struct span){NULL, 0}, "s"));
}

static void equal_takes_no_null_for_a_byte(void **state)
{
	(void)state;
	assert_true(span_equal(SPAN_LIT("a\0b"), SPAN_LIT("a\0b")));
	assert_false(span_equal(SPAN_LIT("a\0b"), SPAN_LIT("a\0c")));
	assert_false(span_equal(SPAN_LIT("a"), SPAN_LIT("ab")));
	assert_true(span_equal((struct span){NULL, 0}, SPAN_LIT("")));
}

static void line_waits_for_its_lf(void **state)
{
	struct span rest = SPAN_LIT("one\n\nthr"), line;

	(void)state;
	assert_int_equal(span_line(&rest, &line), 1);
	assert_text(line, "one");
	assert_int_equal(span_line(&rest, &line), 1);
	assert_text(line, "");
	assert_int_equal(span_line(&rest, &line), 0);
	assert_text(rest, "thr");
	rest = (struct span){NULL, 0};
	assert_int_equal(span_line(&rest, &line), 0);
}

static void words_are_one_more_than_separators(void **state)
{
	static const struct {
		const char *text, *words[4];
	} cases[] = {
		{"a b", {"a", "b"}},      {"a", {"a"}},      {"", {""}}, {" ", {"", ""}},
		{"a  b", {"a", "", "b"}}, {"a ", {"a", ""}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct span rest = span_of(cases[i].text), word;
		size_t n = 0;

		for (; n < 4 && cases[i].words[n]; n++) {
			assert_int_equal(span_word(&rest, ' ', &word), 1);
			assert_text(word, cases[i].words[n]);
		}
		assert_int_equal(span_word(&rest, ' ', &word), 0);
		assert_null(rest.p);
	}
}

static void an_empty_buffer_is_usable(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_span(buf_span(&b), SPAN_LIT(""));
	assert_int_equal(buf_reserve(&b, 0), 0);
	assert_null(b.p);
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	assert_int_equal(buf_add_span(&b, (struct span){NULL, 0}), 0);
	assert_int_equal(buf_add_str(&b, ""), 0);
	assert_int_equal(b.n, 0);
	buf_free(&b);
	buf_free(&b);
}

static void content_survives_growing(void **state)
{
	struct buf b = {0};

	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(buf_add_byte(&b, (char)i), 0);
	assert_int_equal(buf_add_str(&b, "tail"), 0);
	assert_int_equal(b.n, 5004);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(b.p[i], (char)i);
	assert_memory_equal(b.p + 5000, "tail", 4);
	buf_free(&b);
	assert_null(b.p);
	assert_int_equal(b.n + b.cap, 0);
}

static void reserved_room_needs_no_further_allocation(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_int_equal(buf_reserve(&b, 1000), 0);
	oom_at = 1;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_add_byte(&b, 'x'), 0);
	assert_int_equal(oom_at, 1);
	oom_at = 0;
	buf_free(&b);
}

static void growing_is_amortised(void **state)
{
	struct buf b = {0};
	size_t calls = 0;

	(void)state;
	for (size_t i = 0; i < 1000000; i++) {
		size_t cap = b.cap;

		assert_int_equal(buf_add_byte(&b, 'x'), 0);
		calls += b.cap != cap;
	}
	assert_in_range(calls, 1, 20);
	buf_free(&b);
}

static void no_memory_keeps_the_content(void **state)
{
	struct buf b = {0};

	(void)state;
	oom_at = 1;
	assert_int_equal(buf_add_str(&b, "x"), HAP_ENOMEM);
	assert_int_equal(b.n, 0);
	assert_int_equal(buf_add_str(&b, "kept"), 0);
	oom_at = 1;
	assert_int_equal(buf_reserve(&b, 100000), HAP_ENOMEM);
	assert_text(buf_span(&b), "kept");
	oom_at = 0;
	assert_int_equal(buf_reserve(&b, SIZE_MAX), HAP_ENOMEM);
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 3), HAP_ENOMEM);
	assert_int_equal(buf_reserve(&b, SIZE_MAX / 2), HAP_ENOMEM);
	assert_text(buf_span(&b), "kept");
	buf_free(&b);
}

/* The length of the first character, if a terminal can show it. */
static size_t printable(const char *text)
{
	char *copy = exact_copy(span_of(text));
	size_t n = span_printable((struct span){copy, strlen(text)});

	free(copy);
	return n;
}

static void what_steers_a_terminal_is_not_printable(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"\x1b[2J",
		"\x7f",
		"\x80",
		"\x9b",
		"\xc2\x9b",
		"\xc2\x80",
		"\xc2",
		"\xc2x",
		"\xc0\xaf",
		"\xe0\x80\x9b",
		"\xe0\x83\xa9", /* "\xc3\xa9" in three bytes */
		"\xe2\x80",
		"\xe2\x80\xae",
		"\xed\xa0\x80",
		"\xe2\x81\xa6",
		"\xff",
		"\xf5\x80\x80\x80",
		"\xf4\x90\x80\x80",
		"\xf0\x80\x80\x80",
		"\xd8\x9c",
		"\xe9t\xe9",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (printable(bad[i]) != 0)
			fail_msg("text %zu is shown", i);
	assert_int_equal(span_printable(SPAN_LIT("\0")), 0);
	assert_int_equal(printable("a\n"), 1);
	assert_int_equal(printable(" "), 1);
	assert_int_equal(printable("\xc2\xa0"), 2);
	assert_int_equal(printable("\xc3\xa9t"), 2);
	assert_int_equal(printable("\xe2\x82\xac"), 3);
	assert_int_equal(printable("\xf0\x9f\x98\x80x"), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_compares_only_the_prefix),
		cmocka_unit_test(equal_takes_no_null_for_a_byte),
		cmocka_unit_test(line_waits_for_its_lf),
		cmocka_unit_test(words_are_one_more_than_separators),
		cmocka_unit_test(an_empty_buffer_is_usable),
		cmocka_unit_test(content_survives_growing),
		cmocka_unit_test(reserved_room_needs_no_further_allocation),
		cmocka_unit_test(what_steers_a_terminal_is_not_printable),
		cmocka_unit_test(growing_is_amortised),
		cmocka_unit_test(no_memory_keeps_the_content),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
