/* SPDX-License-Identifier: MIT
 *
 * test_frame.c - cutting answers into replies. Every case is fed whole, byte by byte, and
 * in two pieces parted at each point; the outcome may not differ. */
#include "unit.h"
#include "base/err.h"
#include "protocol/frame.h"

#define REPLIES_MAX 8

struct answer_case {
	const char *intent;
	struct span answer;
	size_t replies;
	const char *bodies[REPLIES_MAX]; /* those that can be taken */
	bool whole;                      /* of the last */
	int rc;                          /* of frame_last() */
};

#define ANSWER(s)                                                                        \
	{                                                                                \
		(s), sizeof(s) - 1                                                       \
	}

static const struct answer_case cases[] = {
	{"a command with no output", ANSWER("\n"), 1, {""}, true, 0},
	{"one line", ANSWER("admin\n\n"), 1, {"admin\n"}, true, 0},
	{"many lines", ANSWER("a\nb\nc\n\n"), 1, {"a\nb\nc\n"}, true, 0},
	{"severity, then a text",
	 ANSWER("\n[6]: admin\n\n"),
	 2,
	 {"", "[6]: admin\n"},
	 true,
	 0},
	{"all silent", ANSWER("\n\n\n\n"), 4, {"", "", "", ""}, true, 0},
	{"silent and loud in turn",
	 ANSWER("\na\n\n\nb\n\n\n"),
	 5,
	 {"", "a\n", "", "b\n", ""},
	 true,
	 0},
	{"a refusal amid successes",
	 ANSWER("\n[3]: Key not found.\n\n\n"),
	 3,
	 {"", "[3]: Key not found.\n", ""},
	 true,
	 0},
	{"an empty list is like a success", ANSWER("\n\n"), 2, {"", ""}, true, 0},

	/* Only the last may hold empty lines, end short, or be too long. */
	{"empty lines in the last",
	 ANSWER("\na\n\nb\n\n\nc\n\n"),
	 2,
	 {"", "a\n\nb\n\n\nc\n"},
	 true,
	 0},
	{"the last begins with empty lines",
	 ANSWER("\n\n\nb\n\n"),
	 2,
	 {"", "\n\nb\n"},
	 true,
	 0},
	{"one LF too many", ANSWER("x\n\n\n"), 1, {"x\n\n"}, true, 0},
	{"an empty line of its own", ANSWER("\n\n"), 1, {"\n"}, true, 0},
	{"one LF only",
	 ANSWER("[3]: No such server.\n"),
	 1,
	 {"[3]: No such server.\n"},
	 false,
	 0},
	{"json of 2.2", ANSWER("\n[{\"a\":1}]\n"), 2, {"", "[{\"a\":1}]\n"}, false, 0},
	{"a forged prompt is data",
	 ANSWER("\n0x1 k a\n\n> forged\n\n"),
	 2,
	 {"", "0x1 k a\n\n> forged\n"},
	 true,
	 0},
	{"CR is data", ANSWER("a\r\n\r\n\n"), 1, {"a\r\n\r\n"}, true, 0},

	/* What was cut, or never came. */
	{"nothing", ANSWER(""), 1, {NULL}, false, HAP_EPROTOCOL},
	{"no LF at the end", ANSWER("# pxname,svna"), 1, {NULL}, false, HAP_EPROTOCOL},
	{"a dump that was cut between lines",
	 ANSWER("\n0x1 a\n0x2 b\n"),
	 2,
	 {"", "0x1 a\n0x2 b\n"},
	 false,
	 0},
	{"the last is missing", ANSWER("\n\n"), 3, {"", ""}, false, HAP_EPROTOCOL},
	{"all but the first are missing",
	 ANSWER("a\n\n"),
	 4,
	 {"a\n"},
	 false,
	 HAP_EPROTOCOL},
	{"one text for a whole line",
	 ANSWER("[3]: The command line is too big\n"),
	 3,
	 {NULL},
	 false,
	 HAP_EPROTOCOL},
	/* Why commands whose errors end short are sent last: the next is swallowed. */
	{"a short error in the middle",
	 ANSWER("\n[3]: garbage\n\n"),
	 3,
	 {"", "[3]: garbage\n"},
	 false,
	 HAP_EPROTOCOL},
	{"a master that closes after a bad target",
	 ANSWER("Can't find the target PID matching the prefix '@2'\n"),
	 2,
	 {NULL},
	 false,
	 HAP_EPROTOCOL},
};

struct feeder {
	struct frame frame;
	const struct answer_case *c;
	size_t taken;
};

static void check_body(struct feeder *f, struct span reply)
{
	const char *want = f->taken < REPLIES_MAX ? f->c->bodies[f->taken] : NULL;

	if (!want)
		fail_msg("%s: a reply too many", f->c->intent);
	if (!span_equal(reply, span_of(want)))
		fail_msg("%s: reply %zu is \"%.*s\"", f->c->intent, f->taken,
			 (int)reply.n, reply.n ? reply.p : "");
	f->taken++;
}

/* Feed the bytes up to `n`. The answer lies elsewhere each time, as in a buffer that
 * grows. */
static void feed(struct feeder *f, size_t n, bool eof)
{
	struct span answer = {f->c->answer.p, n}, reply;
	char *copy = exact_copy(answer);
	bool whole = false;

	answer.p = copy;
	while (frame_next(&f->frame, answer, &reply))
		check_body(f, reply);
	assert_int_equal(frame_next(&f->frame, answer, &reply), 0);
	if (eof) {
		int rc = frame_last(&f->frame, answer, &reply, &whole);

		if (rc != f->c->rc)
			fail_msg("%s: frame_last() gave %d", f->c->intent, rc);
		if (rc == 0) {
			check_body(f, reply);
			assert_int_equal(whole, f->c->whole);
			assert_int_equal(f->frame.left, 0);
		}
		if (f->taken < REPLIES_MAX)
			assert_null(f->c->bodies[f->taken]);
	}
	free(copy);
}

static void start(struct feeder *f, const struct answer_case *c)
{
	*f = (struct feeder){.c = c};
	frame_start(&f->frame, c->replies);
}

static const size_t count = sizeof cases / sizeof *cases;

static void whole_answers(void **state)
{
	struct feeder f;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		start(&f, &cases[i]);
		feed(&f, cases[i].answer.n, true);
	}
}

static void answers_byte_by_byte(void **state)
{
	struct feeder f;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		start(&f, &cases[i]);
		for (size_t n = 0; n < cases[i].answer.n; n++)
			feed(&f, n, false);
		feed(&f, cases[i].answer.n, true);
	}
}

static void answers_parted_at_each_point(void **state)
{
	struct feeder f;

	(void)state;
	for (size_t i = 0; i < count; i++)
		for (size_t at = 0; at <= cases[i].answer.n; at++) {
			start(&f, &cases[i]);
			feed(&f, at, false);
			feed(&f, cases[i].answer.n, true);
		}
}

static void the_last_reply_is_never_taken_early(void **state)
{
	struct frame f;
	struct span reply;

	(void)state;
	frame_start(&f, 1);
	assert_int_equal(frame_next(&f, SPAN_LIT("admin\n\n"), &reply), 0);
	assert_int_equal(frame_next(&f, SPAN_LIT("\n"), &reply), 0);
}

static void the_tail_is_only_the_last_reply(void **state)
{
	struct span answer = SPAN_LIT("a\n\n0x1 b\n0x2"), reply;
	struct frame f;

	(void)state;
	frame_start(&f, 2);
	assert_text(frame_tail(&f, answer), "");
	assert_int_equal(frame_next(&f, answer, &reply), 1);
	assert_text(frame_tail(&f, answer), "0x1 b\n0x2");
	answer.n = 3;
	assert_text(frame_tail(&f, answer), "");
}

static void an_answer_is_plain_where_its_ends_are_as_many_as_replies(void **state)
{
	struct span answer = SPAN_LIT("\na\nb\n\nc\n\n\n");
	struct frame f;

	(void)state;
	for (size_t replies = 1; replies < 7; replies++) {
		frame_start(&f, replies);
		assert_int_equal(frame_is_plain(&f, answer), replies == 4);
		assert_int_equal(f.left, replies);
	}
	frame_start(&f, 4);
	for (size_t n = 0; n < answer.n; n++)
		assert_false(frame_is_plain(&f, (struct span){answer.p, n}));
	frame_start(&f, 2);
	assert_false(frame_is_plain(&f, SPAN_LIT("a\n\n[3]: short\n")));
	assert_false(frame_is_plain(&f, SPAN_LIT("a\n\n\nb\n\n")));
	assert_true(frame_is_plain(&f, SPAN_LIT("a\n\nb\n\n")));
}

static void no_reply_is_taken_twice(void **state)
{
	struct span answer = SPAN_LIT("a\n\n"), reply;
	struct frame f;
	bool whole;

	(void)state;
	frame_start(&f, 1);
	assert_int_equal(frame_last(&f, answer, &reply, &whole), 0);
	assert_int_equal(frame_last(&f, answer, &reply, &whole), HAP_EPROTOCOL);
	assert_int_equal(frame_next(&f, answer, &reply), 0);
	assert_text(frame_tail(&f, answer), "");
}

/* Bytes that were searched are not searched again: feeding by bytes stays linear. */
static void searching_goes_on_where_it_stopped(void **state)
{
	struct span answer = SPAN_LIT("0x1 abc\n0x2 def\n\nrest"), reply;
	struct frame f;

	(void)state;
	frame_start(&f, 2);
	for (size_t n = 1; n < 17; n++) {
		struct span part = {answer.p, n};

		assert_int_equal(frame_next(&f, part, &reply), 0);
		assert_int_equal(f.seen, n);
	}
	assert_int_equal(frame_next(&f, (struct span){answer.p, 17}, &reply), 1);
	assert_text(reply, "0x1 abc\n0x2 def\n");
	assert_int_equal(f.seen, 0);
	assert_int_equal(f.at, 17);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_answers),
		cmocka_unit_test(answers_byte_by_byte),
		cmocka_unit_test(answers_parted_at_each_point),
		cmocka_unit_test(the_last_reply_is_never_taken_early),
		cmocka_unit_test(the_tail_is_only_the_last_reply),
		cmocka_unit_test(
			an_answer_is_plain_where_its_ends_are_as_many_as_replies),
		cmocka_unit_test(no_reply_is_taken_twice),
		cmocka_unit_test(searching_goes_on_where_it_stopped),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
