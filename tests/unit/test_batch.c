/* SPDX-License-Identifier: MIT
 *
 * test_batch.c - joining commands to lines, and payloads behind them. */
/* link: --wrap=malloc --wrap=realloc */
#define UNIT_OOM
#include "unit.h"
#include "protocol/batch.h"
#include "base/err.h"

#define PRELUDE "set severity-output number"

/* Make a command, check it and add it. Returns as batch_add() does. */
static int add_payload(struct batch *b, struct span text, struct span payload)
{
	struct command c = {0};
	int rc = command_from_text(&c, text);

	if (rc == 0 && payload.p)
		rc = command_payload(&c, payload);
	if (rc == 0)
		rc = batch_check(b, &c);
	if (rc == 0)
		rc = batch_add(b, c.text, c.payload);
	command_free(&c);
	return rc;
}

static int add(struct batch *b, struct span text)
{
	return add_payload(b, text, (struct span){0});
}

static void every_line_begins_with_the_prelude(void **state)
{
	struct batch b = {0};

	(void)state;
	assert_int_equal(batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX, 1), 0);
	assert_int_equal(b.prelude_replies, 1);
	assert_int_equal(add(&b, SPAN_LIT("show info")), 1);
	assert_int_equal(add(&b, SPAN_LIT("add acl #1 a")), 1);
	assert_int_equal(b.count, 2);
	assert_int_equal(batch_finish(&b), 0);
	assert_text(buf_span(&b.bytes), PRELUDE ";show info;add acl #1 a\n");
	batch_free(&b);
	batch_free(&b);
}

static void a_long_timeout_is_in_the_prelude(void **state)
{
	struct batch b = {0};

	(void)state;
	assert_int_equal(batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX, 59.2), 0);
	assert_int_equal(b.prelude_replies, 2);
	assert_int_equal(add(&b, SPAN_LIT("wait 50s")), 1);
	assert_int_equal(batch_finish(&b), 0);
	assert_text(buf_span(&b.bytes), PRELUDE ";set timeout cli 60;wait 50s\n");
	assert_int_equal(batch_start(&b, SPAN_LIT("@1"), HAP_COMMAND_MAX, 60), 0);
	assert_int_equal(b.prelude_replies, 0);
	assert_int_equal(add(&b, SPAN_LIT("wait 50s")), 1);
	assert_text(buf_span(&b.bytes), "@1 wait 50s");
	batch_free(&b);
}

static void a_route_precedes_every_command(void **state)
{
	static const char *const astray[] = {"@1 show info", "@",      " @2 x",
					     "\t@master x",  "\\@1 x", "@@1"};
	struct batch b = {0};

	(void)state;
	assert_int_equal(batch_start(&b, SPAN_LIT("@1"), HAP_COMMAND_MAX, 1), 0);
	assert_int_equal(b.prelude_replies, 0);
	assert_int_equal(add(&b, SPAN_LIT("show info")), 1);
	for (size_t i = 0; i < sizeof astray / sizeof *astray; i++)
		assert_int_equal(add(&b, span_of(astray[i])), HAP_EROUTE);
	assert_int_equal(add(&b, SPAN_LIT("add acl @1 #1 a")), 1);
	assert_int_equal(batch_finish(&b), 0);
	assert_text(buf_span(&b.bytes), "@1 show info;@1 add acl @1 #1 a\n");
	assert_int_equal(batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX, 1), 0);
	assert_int_equal(add(&b, SPAN_LIT("@1 show info")), 1);
	batch_free(&b);
}

static void a_cr_is_guarded_wherever_the_command_stands(void **state)
{
	struct batch b = {0};

	(void)state;
	assert_int_equal(batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX, 1), 0);
	assert_int_equal(add(&b, SPAN_LIT("add acl #1 a\r")), 1);
	assert_int_equal(add(&b, SPAN_LIT("add acl #1 b\r ")), 1);
	assert_int_equal(batch_finish(&b), 0);
	assert_text(buf_span(&b.bytes), PRELUDE ";add acl #1 a\r ;add acl #1 b\r \n");
	batch_free(&b);
}

static void the_limit_is_for_joining(void **state)
{
	struct batch b = {0};
	size_t room = sizeof PRELUDE + sizeof "show info";

	(void)state;
	/* A first command may be longer than the limit. */
	assert_int_equal(batch_start(&b, SPAN_LIT(""), 5, 1), 0);
	assert_int_equal(add(&b, SPAN_LIT("show info")), 1);
	assert_int_equal(add(&b, SPAN_LIT("a")), 0);
	assert_int_equal(b.count, 1);
	/* What joins must fit it, the line's LF included. */
	assert_int_equal(batch_start(&b, SPAN_LIT(""), room + 2, 1), 0);
	assert_int_equal(add(&b, SPAN_LIT("show info")), 1);
	assert_int_equal(add(&b, SPAN_LIT("abc")), 0);
	assert_int_equal(add(&b, SPAN_LIT("b\r")), 0);
	assert_int_equal(add(&b, SPAN_LIT("a")), 1);
	assert_int_equal(add(&b, SPAN_LIT("a")), 0);
	assert_int_equal(batch_finish(&b), 0);
	assert_int_equal(b.bytes.n, room + 2);
	batch_free(&b);
}

static void no_line_is_over_15000_bytes(void **state)
{
	static char text[HAP_COMMAND_MAX];
	static const struct span none;
	size_t most = HAP_COMMAND_MAX - sizeof PRELUDE - 1;
	struct batch b = {0};

	(void)state;
	memset(text, 'x', sizeof text);
	assert_int_equal(batch_start(&b, SPAN_LIT(""), SIZE_MAX, 1), 0);
	assert_int_equal(add(&b, (struct span){text, most + 1}), HAP_ELONG);
	assert_int_equal(batch_add(&b, (struct span){text, most + 1}, none), HAP_ELONG);
	assert_int_equal(add(&b, (struct span){text, most}), 1);
	/* A full line takes nothing, but says that the command as such would fit. */
	assert_int_equal(add(&b, SPAN_LIT("a")), 0);
	assert_int_equal(add(&b, (struct span){text, most + 1}), HAP_ELONG);
	assert_int_equal(batch_finish(&b), 0);
	assert_int_equal(b.bytes.n, HAP_COMMAND_MAX);
	assert_int_equal(batch_start(&b, SPAN_LIT("@1"), SIZE_MAX, 1), 0);
	assert_int_equal(add(&b, (struct span){text, HAP_COMMAND_MAX - 3}), HAP_ELONG);
	assert_int_equal(add(&b, (struct span){text, HAP_COMMAND_MAX - 4}), 1);
	assert_int_equal(batch_finish(&b), 0);
	assert_int_equal(b.bytes.n, HAP_COMMAND_MAX);
	batch_free(&b);
}

static void a_closed_line_takes_nothing(void **state)
{
	struct batch b = {0};

	(void)state;
	assert_int_equal(batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX, 1), 0);
	assert_int_equal(add(&b, SPAN_LIT("show acl #1")), 1);
	b.closed = true;
	assert_int_equal(add(&b, SPAN_LIT("a")), 0);
	assert_int_equal(add_payload(&b, SPAN_LIT("a"), SPAN_LIT("b")), 0);
	assert_int_equal(batch_finish(&b), 0);
	assert_text(buf_span(&b.bytes), PRELUDE ";show acl #1\n");
	assert_int_equal(batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX, 1), 0);
	assert_int_equal(add(&b, SPAN_LIT("a")), 1);
	batch_free(&b);
}

/* Payloads. */

static void a_payload_ends_with_an_empty_line(void **state)
{
	static const struct {
		const char *command, *payload, *line;
	} cases[] = {
		{"add map #1", "/a 1\n/b 2\n", "add map #1 <<\n/a 1\n/b 2\n\n"},
		{"add map #1", "/a 1", "add map #1 <<\n/a 1\n\n"},
		{"set ssl ca-file x", " ", "set ssl ca-file x <<\n \n\n"},
		{"add map #1 \t", "/a 1", "add map #1 <<\n/a 1\n\n"},
		{"add map x\\ ", "/a 1", "add map x\\  <<\n/a 1\n\n"},
		{"add map x\r", "/a 1", "add map x\r <<\n/a 1\n\n"},
		{"add map #1", "a;b \\ <<\n<<x 1", "add map #1 <<\na;b \\ <<\n<<x 1\n\n"},
		{"add map #1", "/a \r1", "add map #1 <<\n/a \r1\n\n"},
	};
	struct batch b = {0};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(batch_start(&b, SPAN_LIT("@1"), HAP_COMMAND_MAX, 1), 0);
		assert_int_equal(add_payload(&b, span_of(cases[i].command),
					     span_of(cases[i].payload)),
				 1);
		assert_true(b.closed);
		assert_int_equal(add(&b, SPAN_LIT("a")), 0);
		assert_int_equal(batch_finish(&b), 0);
		assert_memory_equal(b.bytes.p, "@1 ", 3);
		assert_text(((struct span){b.bytes.p + 3, b.bytes.n - 3}), cases[i].line);
	}
	batch_free(&b);
}

static void payloads_that_would_run_as_commands(void **state)
{
	static const struct {
		struct span payload;
		int rc;
	} cases[] = {
		{{"", 0}, HAP_EPAYLOAD},
		{{"\n", 1}, HAP_EPAYLOAD},
		{{"\na 1\n", 5}, HAP_EPAYLOAD},
		{{"a 1\n\n", 5}, HAP_EPAYLOAD},
		{{"a 1\n\nclear map #1\n", 18}, HAP_EPAYLOAD},
		{{"a 1\r\n", 5}, HAP_EPAYLOAD},
		{{"a 1\r", 4}, HAP_EPAYLOAD},
		{{"a 1\n\r\nclear map #1\n", 19}, HAP_EPAYLOAD},
		{{"a 1\0b\n", 6}, HAP_ENUL},
	};
	struct batch b = {0};

	(void)state;
	assert_int_equal(batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX, 1), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(
			add_payload(&b, SPAN_LIT("add map #1"), cases[i].payload),
			cases[i].rc);
	}
	assert_text(buf_span(&b.bytes), PRELUDE);
	assert_false(b.closed);
	batch_free(&b);
}

/* HAProxy joins a line without a value to the next one, and answers with success: "/l"
 * and
 * "/m v" become one key with a newline in it. */
static void pairs_have_a_key_and_a_value(void **state)
{
	static const struct {
		const char *command;
		struct span payload;
		int rc;
	} cases[] = {
		{"add map #1", SPAN_LIT("/a b\n/c d e\n"), 1},
		{"add map @1 #1", SPAN_LIT("/a\tb"), 1},
		{"add map #1", SPAN_LIT("/a \n"), 1},
		{"add map #1", SPAN_LIT("/l\n/m v\n"), HAP_EPAIRS},
		{"add map #1", SPAN_LIT("/a b\n/c"), HAP_EPAIRS},
		{"add map #1", SPAN_LIT(" b\n"), HAP_EPAIRS},
		{"add map #1", SPAN_LIT("/a b\n\n/c d\n"), HAP_EPAYLOAD},
		{"add acl #1", SPAN_LIT("/a b\n"), HAP_ENOLINES},
		{"set ssl cert x", SPAN_LIT("/l\n/m\n"), 1},
	};
	struct batch b = {0};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX, 1), 0);
		assert_int_equal(
			add_payload(&b, span_of(cases[i].command), cases[i].payload),
			cases[i].rc);
	}
	batch_free(&b);
}

static void a_payload_command_holds_no_other_mark(void **state)
{
	struct batch b = {0};

	(void)state;
	assert_int_equal(batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX, 1), 0);
	assert_int_equal(add_payload(&b, SPAN_LIT("add map a<<b"), SPAN_LIT("a 1")),
			 HAP_EMARK);
	assert_int_equal(add_payload(&b, SPAN_LIT("add map \\<\\<b"), SPAN_LIT("a 1")),
			 1);
	batch_free(&b);
}

static void the_mark_needs_a_place_among_the_words(void **state)
{
	static char words[2 * HAP_WORDS_MAX];
	struct span text = {words, sizeof words - 1};
	struct batch b = {0};

	(void)state;
	for (size_t i = 0; i < sizeof words; i++)
		words[i] = i % 2 ? ' ' : 'w';
	assert_int_equal(batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX, 1), 0);
	assert_int_equal(add_payload(&b, text, SPAN_LIT("a 1")), HAP_EWORDS);
	text.n -= 2;
	assert_int_equal(add_payload(&b, text, SPAN_LIT("a 1")), 1);
	assert_int_equal(batch_start(&b, SPAN_LIT("@1"), HAP_COMMAND_MAX, 1), 0);
	assert_int_equal(add_payload(&b, text, SPAN_LIT("a 1")), HAP_EWORDS);
	text.n -= 2;
	assert_int_equal(add_payload(&b, text, SPAN_LIT("a 1")), 1);
	batch_free(&b);
}

/* Exact sizes near 16384 kill 2.2 and 2.6: line and payload together stay far below. */
static void no_payload_is_over_15000_bytes(void **state)
{
	static char text[HAP_COMMAND_MAX + 1];
	size_t most = HAP_COMMAND_MAX - sizeof PRELUDE - strlen("add map #1 <<\n") - 2;
	struct batch b = {0};
	struct span payload = {text, most + 1};

	(void)state;
	memset(text, 'x', sizeof text);
	text[1] = ' ';
	assert_int_equal(batch_start(&b, SPAN_LIT(""), 20, 1), 0);
	assert_int_equal(add_payload(&b, SPAN_LIT("add map #1"), payload), HAP_ELONG);
	payload.n = sizeof text;
	assert_int_equal(add_payload(&b, SPAN_LIT("add map #1"), payload), HAP_ELONG);
	payload.n = most;
	assert_int_equal(add_payload(&b, SPAN_LIT("add map #1"), payload), 1);
	assert_int_equal(batch_finish(&b), 0);
	assert_int_equal(b.bytes.n, HAP_COMMAND_MAX);
	assert_memory_equal(b.bytes.p + b.bytes.n - 3, "x\n\n", 3);
	/* And it joins others only within the limit. */
	assert_int_equal(batch_start(&b, SPAN_LIT(""), 100, 1), 0);
	assert_int_equal(add(&b, SPAN_LIT("show info")), 1);
	assert_int_equal(add_payload(&b, SPAN_LIT("add map #1"), payload), 0);
	payload.n = 10;
	assert_int_equal(add_payload(&b, SPAN_LIT("add map #1"), payload), 1);
	batch_free(&b);
}

/* Fail each allocation in turn. */
static void no_memory_leaves_the_line_as_it_was(void **state)
{
	static const struct span none;
	static char text[9000];

	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t at = 1; at < 6; at++) {
		struct batch b = {0};

		oom_at = at;
		int rc = batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX, 30);

		if (rc == 0)
			rc = batch_add(&b, (struct span){text, 3000}, none);
		size_t before = b.bytes.n;

		if (rc == 1)
			rc = batch_add(&b, SPAN_LIT("add map #1"),
				       (struct span){text, sizeof text});
		assert_true(rc == 1 || (rc == HAP_ENOMEM && b.bytes.n == before));
		oom_at = 0;
		batch_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_begins_with_the_prelude),
		cmocka_unit_test(a_long_timeout_is_in_the_prelude),
		cmocka_unit_test(a_route_precedes_every_command),
		cmocka_unit_test(a_cr_is_guarded_wherever_the_command_stands),
		cmocka_unit_test(the_limit_is_for_joining),
		cmocka_unit_test(no_line_is_over_15000_bytes),
		cmocka_unit_test(a_closed_line_takes_nothing),
		cmocka_unit_test(a_payload_ends_with_an_empty_line),
		cmocka_unit_test(payloads_that_would_run_as_commands),
		cmocka_unit_test(pairs_have_a_key_and_a_value),
		cmocka_unit_test(a_payload_command_holds_no_other_mark),
		cmocka_unit_test(the_mark_needs_a_place_among_the_words),
		cmocka_unit_test(no_payload_is_over_15000_bytes),
		cmocka_unit_test(no_memory_leaves_the_line_as_it_was),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
