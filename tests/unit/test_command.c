/* SPDX-License-Identifier: MIT
 *
 * test_command.c - encoding words and judging raw commands; for lines see test_batch.c.
 */
/* link: --wrap=malloc --wrap=realloc */
#define UNIT_OOM
#include "unit.h"
#include "protocol/command.h"
#include "base/err.h"
#include "model.h"

/* Make a command of a text, and free it again. */
static int check(struct span text)
{
	struct command c = {0};
	int rc = command_from_text(&c, text);

	command_free(&c);
	return rc;
}

/* One word. */

static void plain_words_are_sent_as_they_are(void **state)
{
	static const char *const words[] = {
		"#9999",      "@1",         "/etc/haproxy/a.lst", "^.*$",
		"a,b=c!d?",   "k\x80\xffv", "\x01\x7f",           "a\rb",
		"a>b|c&d(e)", "#0x55d0",
	};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		out.n = 0;
		assert_int_equal(command_word(&out, span_of(words[i])), 0);
		assert_text(buf_span(&out), words[i]);
	}
	buf_free(&out);
}

static void special_bytes_are_escaped(void **state)
{
	static const struct {
		const char *word, *sent;
	} cases[] = {
		{" ", "\\ "},           {"a b", "a\\ b"},
		{"\ta\t", "\\\ta\\\t"}, {"^/\\d+$", "^/\\\\d+$"},
		{"\\", "\\\\"},         {"a;b", "a\\;b"},
		{"<<", "\\<\\<"},       {"<<EOF", "\\<\\<EOF"},
		{"x<", "x\\<"},         {"\"'", "\\\"\\'"},
		{"\\;", "\\\\\\;"},
	};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		out.n = 0;
		assert_int_equal(command_word(&out, span_of(cases[i].word)), 0);
		assert_text(buf_span(&out), cases[i].sent);
	}
	buf_free(&out);
}

static void words_that_cannot_be_sent(void **state)
{
	static const struct {
		struct span word;
		int rc;
	} cases[] = {
		{{"", 0}, HAP_EEMPTY},
		{{NULL, 0}, HAP_EEMPTY},
		{{"a\n", 2}, HAP_ENEWLINE},
		{{"\n", 1}, HAP_ENEWLINE},
		{{"a\nclear acl #1", 14}, HAP_ENEWLINE},
		{{"a\0b", 3}, HAP_ENUL},
		{{"\0", 1}, HAP_ENUL},
	};
	struct buf out = {0};

	(void)state;
	assert_int_equal(buf_add_str(&out, "kept"), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(command_word(&out, cases[i].word), cases[i].rc);
		assert_text(buf_span(&out), "kept");
	}
	buf_free(&out);
}

/* Several words. */

static void words_are_joined_by_one_space(void **state)
{
	struct span words[] = {SPAN_LIT("add"), SPAN_LIT("acl"), SPAN_LIT("#9999"),
			       SPAN_LIT("^/a b$")};
	struct command c = {0};

	(void)state;
	assert_int_equal(command_from_words(&c, words, 4, NULL), 0);
	assert_text(c.text, "add acl #9999 ^/a\\ b$");
	assert_int_equal(c.n, 4);
	assert_text(c.words[3], "^/a b$");
	assert_string_equal(c.grammar->command, "add acl");
	assert_null(c.payload.p);
	command_free(&c);
}

static void a_last_cr_is_kept_from_being_eaten(void **state)
{
	struct span words[] = {SPAN_LIT("add"), SPAN_LIT("x\r")};
	struct command c = {0};

	(void)state;
	assert_int_equal(command_from_words(&c, words, 2, NULL), 0);
	assert_text(c.text, "add x\r ");
	command_free(&c);
}

static void the_word_at_fault_is_named(void **state)
{
	struct span many[HAP_WORDS_MAX + 1],
		words[3] = {SPAN_LIT("add"), SPAN_LIT("acl")};
	static char text[HAP_COMMAND_MAX];
	struct command c = {0};
	size_t bad = 99;

	(void)state;
	words[2] = SPAN_LIT("a\nb");
	assert_int_equal(command_from_words(&c, words, 3, &bad), HAP_ENEWLINE);
	assert_int_equal(bad, 2);
	words[1] = SPAN_LIT("");
	assert_int_equal(command_from_words(&c, words, 3, &bad), HAP_EEMPTY);
	assert_int_equal(bad, 1);
	assert_int_equal(command_from_words(&c, words, 0, &bad), HAP_EEMPTY);
	assert_int_equal(bad, 0);
	for (size_t i = 0; i <= HAP_WORDS_MAX; i++)
		many[i] = SPAN_LIT("w");
	assert_int_equal(command_from_words(&c, many, HAP_WORDS_MAX + 1, &bad),
			 HAP_EWORDS);
	assert_int_equal(bad, HAP_WORDS_MAX);
	memset(text, 'x', sizeof text);
	words[1] = (struct span){text, sizeof text - 3};
	assert_int_equal(command_from_words(&c, words, 2, &bad), HAP_ELONG);
	assert_int_equal(bad, 1);
	assert_int_equal(command_from_words(&c, many, HAP_WORDS_MAX, &bad), 0);
	words[1].n--;
	assert_int_equal(command_from_words(&c, words, 2, &bad), 0);
	assert_int_equal(c.text.n, HAP_COMMAND_MAX);
	command_free(&c);
}

/* Whole commands given by users. */

static void commands_that_may_be_sent(void **state)
{
	static const char *const cases[] = {
		"show info",
		"  show\tinfo ",
		"add acl #9999 ^/a\\ b$",
		"add acl #9999 a\\;b",
		"add acl #9999 a\\\\",
		"add acl #9999 a\\\\\\ ",
		"add acl #9999 \\<\\<",
		"add acl #9999 \\<\\<EOF",
		"add acl #9999 a<<b",
		"add acl #9999 a<",
		"add acl #9999 < <",
		"add acl #9999 x\r",
		"@1 show info",
		"#comment",
		"\\ ",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (check(span_of(cases[i])) != 0)
			fail_msg("\"%s\" gave %d", cases[i], check(span_of(cases[i])));
}

static void commands_that_may_not(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{"", HAP_EEMPTY},
		{" ", HAP_EEMPTY},
		{" \t ", HAP_EEMPTY},
		{"show info\n", HAP_ENEWLINE},
		{"show info\r\n", HAP_ENEWLINE},
		{"show info\nclear acl #1", HAP_ENEWLINE},
		/* On 2.2 this runs what follows. */
		{"add acl #1 a\\\nclear acl #1", HAP_ENEWLINE},
		{"show info;clear acl #1", HAP_ESECOND},
		{"show info;", HAP_ESECOND},
		{";", HAP_ESECOND},
		{"a\\\\;b", HAP_ESECOND},
		{"add map #1 <<", HAP_EMARK},
		{"add map #1 a<<", HAP_EMARK},
		{"add map #1 \\<<", HAP_EMARK},
		{"add map #1 a\\ <<", HAP_EMARK},
		{"add map #1 << ", HAP_EMARK},
		{"add map #1 <<\t", HAP_EMARK},
		{"add map #1 a<<\r", HAP_EMARK},
		{"add map #1 a<<\r ", HAP_EMARK},
		{"add map #1 <<EOF", HAP_EMARK},
		{"add map #1 a\\ <<EOF", HAP_EMARK},
		{"add map #1 a\\\t<<EOF", HAP_EMARK},
		{"add map #1 <<EOF x", HAP_EMARK},
		{"<<", HAP_EMARK},
		{"<<x", HAP_EMARK},
		{"add acl #1 a\\", HAP_EESCAPE},
		{"add acl #1 a\\\\\\", HAP_EESCAPE},
		{"\\", HAP_EESCAPE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct span text = span_of(cases[i].text);
		char *p = exact_copy(text);
		int rc = check((struct span){p, text.n});

		if (rc != cases[i].rc)
			fail_msg("\"%s\" gave %d, not %d", cases[i].text, rc,
				 cases[i].rc);
		free(p);
	}
	assert_int_equal(check(SPAN_LIT("show\0info")), HAP_ENUL);
	assert_int_equal(check((struct span){NULL, 0}), HAP_EEMPTY);
}

static void a_command_has_at_most_64_words_and_15000_bytes(void **state)
{
	static char text[HAP_COMMAND_MAX + 1];

	(void)state;
	memset(text, 'x', sizeof text);
	assert_int_equal(check((struct span){text, HAP_COMMAND_MAX}), 0);
	assert_int_equal(check((struct span){text, sizeof text}), HAP_ELONG);
	for (size_t i = 1; i < 2 * HAP_WORDS_MAX; i += 2)
		text[i] = ' ';
	assert_int_equal(check((struct span){text, 2 * HAP_WORDS_MAX}), 0);
	assert_int_equal(check((struct span){text, 2 * HAP_WORDS_MAX + 1}), HAP_EWORDS);
}

static void splitting_undoes_the_escapes(void **state)
{
	struct command c = {0};

	(void)state;
	assert_int_equal(command_from_text(&c, SPAN_LIT("  a\\ b\t\\\\ \\c\\;\r ")), 0);
	assert_int_equal(c.n, 3);
	assert_text(c.words[0], "a b");
	assert_text(c.words[1], "\\");
	assert_text(c.words[2], "c;\r");
	assert_text(c.text, "  a\\ b\t\\\\ \\c\\;\r ");
	assert_int_equal(command_from_text(&c, SPAN_LIT("s\\how acl x")), 0);
	assert_string_equal(c.grammar->command, "show acl *");
	command_free(&c);
	oom_at = 1;
	assert_int_equal(command_from_text(&c, SPAN_LIT("a")), HAP_ENOMEM);
	oom_at = 0;
}

/* The property that keeps values from becoming commands: whatever the words, HAProxy of
 * any version sees one command with these words and no payload. */

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

static size_t random_words(struct span *words, char *p)
{
	static const char spice[] = " \t\\;<<<\"'\r#@,=.$n0xab";
	size_t n = 1 + random_below(12);

	for (size_t i = 0; i < n; i++) {
		size_t length = 1 + random_below(random_below(20) ? 9 : 200);

		for (size_t k = 0; k < length; k++) {
			uint32_t byte = 1 + random_below(255);

			if (random_below(4))
				byte = (unsigned char)
					spice[random_below(sizeof spice - 1)];
			p[k] = byte == '\n' ? '\\' : (char)byte;
		}
		words[i] = (struct span){p, length};
		p += length;
	}
	return n;
}

static void check_encoded(const struct span *words, size_t n, struct span line)
{
	struct model_command got;
	char *copy = exact_copy(line);

	assert_null(memchr(line.p, '\n', line.n));
	assert_null(memchr(line.p, '\0', line.n));
	assert_int_equal(model_end(line.p, line.n), line.n);
	assert_false(model_marked_old(line.p, line.n));
	assert_false(model_marked_new(line.p, line.n));
	model_split(&got, copy, line.n);
	assert_int_equal(got.n, n);
	for (size_t i = 0; i < n; i++)
		assert_span(got.words[i], words[i]);
	free(copy);
}

static void any_words_come_out_as_they_went_in(void **state)
{
	static char bytes[12 * 200];
	struct command made = {0}, again = {0};
	struct span words[12];

	(void)state;
	random_state = 20260801;
	for (int round = 0; round < 20000; round++) {
		size_t n = random_words(words, bytes);

		assert_int_equal(command_from_words(&made, words, n, NULL), 0);
		check_encoded(words, n, made.text);
		assert_int_equal(command_from_text(&again, made.text), 0);
		assert_int_equal(again.n, n);
		for (size_t i = 0; i < n; i++)
			assert_span(again.words[i], words[i]);
	}
	command_free(&made);
	command_free(&again);
}

/* And what users write themselves: no text that is let through is more than a command. */
static void no_accepted_text_is_two_commands(void **state)
{
	static const char spice[] = "a \t\\;<\r\"b";
	char text[12];

	(void)state;
	random_state = 7;
	for (int round = 0; round < 500000; round++) {
		size_t n = 1 + random_below(sizeof text);

		for (size_t i = 0; i < n; i++)
			text[i] = spice[random_below(sizeof spice - 1)];
		if (check((struct span){text, n}) < 0)
			continue;
		assert_int_equal(model_end(text, n), n);
		assert_false(model_marked_old(text, n));
		assert_false(model_marked_new(text, n));
		assert_true(text[n - 1] != '\\' || model_end(text, n - 1) == n - 1);
	}
}

/* Fail each allocation in turn. */
static void no_memory_is_a_failure(void **state)
{
	struct span words[] = {SPAN_LIT("add"), SPAN_LIT("acl"), SPAN_LIT("a b c\r")};
	static char text[9000];

	(void)state;
	memset(text, 'x', sizeof text);
	words[1] = (struct span){text, sizeof text};
	for (size_t at = 1; at < 4; at++) {
		struct command c = {0};

		oom_at = at;
		int rc = command_from_words(&c, words, 3, NULL);

		assert_int_equal(rc, oom_at ? 0 : HAP_ENOMEM);
		oom_at = 0;
		command_free(&c);
	}
}

static void more_words_are_as_if_they_had_been_there(void **state)
{
	struct span words[] = {SPAN_LIT("add"), SPAN_LIT("map\r"), SPAN_LIT("a b"),
			       SPAN_LIT("c\r")};
	struct span many[HAP_WORDS_MAX];
	struct command all = {0}, parts = {0};
	size_t bad = 0;

	(void)state;
	assert_int_equal(command_from_words(&all, words, 4, NULL), 0);
	assert_int_equal(command_from_words(&parts, words, 2, NULL), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(command_more(&parts, words + 2, 2, NULL), 0);
		assert_span(parts.text, all.text);
		assert_int_equal(parts.n, 4);
	}
	words[3] = SPAN_LIT("\n");
	assert_int_equal(command_more(&parts, words + 2, 2, &bad), HAP_ENEWLINE);
	assert_int_equal(bad, 1);
	assert_int_equal(command_more(&parts, words + 2, 1, NULL), 0);
	assert_text(parts.text, "add map\r a\\ b");
	for (size_t i = 0; i < HAP_WORDS_MAX; i++)
		many[i] = SPAN_LIT("w");
	assert_int_equal(command_more(&parts, many, HAP_WORDS_MAX - 2, NULL), 0);
	assert_int_equal(command_more(&parts, many, HAP_WORDS_MAX - 1, NULL), HAP_EWORDS);
	/* What command_more() finds is looked up with all words. */
	words[0] = SPAN_LIT("show");
	words[1] = SPAN_LIT("acl");
	assert_int_equal(command_from_words(&parts, words, 1, NULL), 0);
	assert_string_equal(parts.grammar->command, "show");
	assert_int_equal(command_more(&parts, words + 1, 1, NULL), 0);
	assert_string_equal(parts.grammar->command, "show acl");
	words[1] = SPAN_LIT("map");
	assert_int_equal(command_more(&parts, words + 1, 1, NULL), 0);
	assert_string_equal(parts.grammar->command, "show map");
	command_free(&all);
	command_free(&parts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_words_are_as_if_they_had_been_there),
		cmocka_unit_test(plain_words_are_sent_as_they_are),
		cmocka_unit_test(special_bytes_are_escaped),
		cmocka_unit_test(words_that_cannot_be_sent),
		cmocka_unit_test(words_are_joined_by_one_space),
		cmocka_unit_test(a_last_cr_is_kept_from_being_eaten),
		cmocka_unit_test(the_word_at_fault_is_named),
		cmocka_unit_test(commands_that_may_be_sent),
		cmocka_unit_test(commands_that_may_not),
		cmocka_unit_test(a_command_has_at_most_64_words_and_15000_bytes),
		cmocka_unit_test(splitting_undoes_the_escapes),
		cmocka_unit_test(any_words_come_out_as_they_went_in),
		cmocka_unit_test(no_accepted_text_is_two_commands),
		cmocka_unit_test(no_memory_is_a_failure),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
