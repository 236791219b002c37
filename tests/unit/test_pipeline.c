/* SPDX-License-Identifier: MIT
 *
 * test_pipeline.c - series of commands: how they are packed into requests, and how the
 * answers are taken apart. The test is the HAProxy. */
/* link: --wrap=malloc --wrap=realloc */
#define UNIT_OOM
#include "requests.h"
#include "net/pipeline.h"

#define PRELUDE "set severity-output number"

static struct pipeline pipeline;
static struct pipeline_reply reply;

static int add(const char *text)
{
	struct command c = {0};
	int rc = command_from_text(&c, span_of(text));

	if (rc == 0)
		rc = pipeline_add(&pipeline, &c);
	command_free(&c);
	return rc;
}

/* Begin a series of these commands, with '|' between them. */
static void start(const char *commands)
{
	struct span rest = span_of(commands), one;
	char text[200];

	pipeline = (struct pipeline){.wake = wake};
	assert_int_equal(pipeline_start(&pipeline, target, 5), 0);
	while (span_word(&rest, '|', &one)) {
		snprintf(text, sizeof text, "%.*s", (int)one.n, one.p);
		assert_int_equal(add(text), 0);
	}
}

/* The next reply must be this one. */
static void next_is(size_t index, int rc, const char *text)
{
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_REPLY);
	assert_int_equal(reply.index, index);
	assert_int_equal(reply.rc, rc);
	assert_text(reply.text, text);
	assert_null(reply.phase);
}

/* Accept a connection, over which this request comes. */
static int request_is(const char *text)
{
	int fd = accept_now(listener);

	assert_return_code(fd, errno);
	expect(fd, text);
	return fd;
}

static void answer(int fd, const char *text)
{
	say(fd, text);
	close(fd);
	turn();
}

static void commands_share_a_line(void **state)
{
	(void)state;
	start("show cli level|add acl #1 a|show info");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	int fd = request_is(PRELUDE ";show cli level;add acl #1 a;show info\n");

	/* Each reply is given out as soon as it is whole. */
	say(fd, "\n[6]: admin\n\n\nName: HA");
	next_is(0, 0, "admin");
	next_is(1, 0, "");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	answer(fd, "Proxy\n\n");
	next_is(2, 0, "Name: HAProxy");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_END);
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_END);
	pipeline_free(&pipeline);
	pipeline_free(&pipeline);
}

static void no_commands_need_no_request(void **state)
{
	(void)state;
	pipeline = (struct pipeline){.wake = wake};
	assert_int_equal(pipeline_start(&pipeline, target, 5), 0);
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_END);
	assert_int_equal(accept_now(listener), -1);
	pipeline_free(&pipeline);
}

/* An answer that is cut anywhere is no success. */
static void an_answer_that_is_cut_is_a_failure(void **state)
{
	static const char whole[] = "\n\n0x1 a\n0x2 b\n\n";

	(void)state;
	for (size_t n = 0; n < sizeof whole; n++) {
		start("add acl #1 a|show acl #1");
		assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
		int fd = request_is(PRELUDE ";add acl #1 a;show acl #1\n");

		assert_int_equal(write(fd, whole, n), n);
		close(fd);
		turn();
		if (n >= 2)
			next_is(0, 0, "");
		int rc = pipeline_next(&pipeline, &reply);

		if (n + 1 == sizeof whole) {
			assert_int_equal(rc, PIPELINE_REPLY);
			assert_int_equal(reply.rc, 0);
			assert_text(reply.text, "0x1 a\n0x2 b");
		} else if (rc == PIPELINE_REPLY) {
			/* All but its closing line is there: judged as a reply. */
			assert_int_equal(reply.rc, HAP_EPROTOCOL);
		} else {
			assert_int_equal(rc, HAP_EPROTOCOL);
			assert_string_equal(reply.phase, "read");
			assert_int_equal(reply.index, n >= 2);
			assert_int_equal(reply.in_doubt, n < 2);
		}
		pipeline_free(&pipeline);
	}
}

static void a_prelude_that_is_refused_is_a_failure(void **state)
{
	(void)state;
	start("show info");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	answer(request_is(PRELUDE ";show info\n"),
	       "Unknown command. Please\n\nName: x\n\n");
	assert_int_equal(pipeline_next(&pipeline, &reply), HAP_EREFUSED);
	assert_null(reply.phase);
	pipeline_free(&pipeline);
}

static void a_refusal_is_given_out_and_the_rest_read(void **state)
{
	(void)state;
	start("add acl #1 a|add acl #1 (|add acl #1 b|add server x|add acl #1 c");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	answer(request_is(PRELUDE
			  ";add acl #1 a;add acl #1 (;add acl #1 b;add server x\n"),
	       "\n\n[3]: regex '(' is invalid\n\n\n[3]: No.\n\n");
	next_is(0, 0, "");
	next_is(1, HAP_EREFUSED, "regex '(' is invalid");
	pipeline_stop(&pipeline);
	next_is(2, 0, "");
	next_is(3, HAP_EREFUSED, "No.");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_END);
	assert_int_equal(accept_now(listener), -1);
	pipeline_free(&pipeline);
}

/* A change goes out when all before it have their replies; readers go side by side. */
static void readers_go_side_by_side(void **state)
{
	int fd[4];

	(void)state;
	start("show env|show env|show info json|show env a|show info json|show env b");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	fd[0] = request_is(PRELUDE ";show env;show env;show info json\n");
	fd[1] = request_is(PRELUDE ";show env a;show info json\n");
	fd[2] = request_is(PRELUDE ";show env b\n");
	answer(fd[2], "\nb=1\n\n");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	answer(fd[0], "\nx=1\n\nx=1\n\n[]\n\n");
	next_is(0, 0, "x=1");
	next_is(1, 0, "x=1");
	next_is(2, 0, "[]");
	answer(fd[1], "\na=1\n\n[]\n\n");
	for (size_t i = 3; i < 6; i++)
		assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_REPLY);
	assert_text(reply.text, "b=1");
	pipeline_free(&pipeline);

	start("set weight a/b 1|set weight a/c 1");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	fd[0] = request_is(PRELUDE ";set weight a/b 1\n");
	assert_int_equal(accept_now(listener), -1);
	answer(fd[0], "\n\n");
	next_is(0, 0, "");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	answer(request_is(PRELUDE ";set weight a/c 1\n"), "\n\n");
	next_is(1, 0, "");
	pipeline_free(&pipeline);
}

/* Where an empty line is inside a reply, each RAW command is asked again by itself. */
static void ambiguous_answers_are_asked_for_again(void **state)
{
	(void)state;
	start("show env|get acl #1 a");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	answer(request_is(PRELUDE ";show env;get acl #1 a\n"),
	       "\nx=1\n\n2\n\ntype=reg\n\n");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	answer(request_is(PRELUDE ";show env\n"), "\nx=1\n\n2\n\n");
	answer(request_is(PRELUDE ";get acl #1 a\n"), "\ntype=reg\n\n");
	next_is(0, 0, "x=1\n\n2");
	next_is(1, 0, "type=reg");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_END);
	pipeline_free(&pipeline);
}

static void a_payload_goes_behind_its_command(void **state)
{
	struct command c = {0};

	(void)state;
	pipeline = (struct pipeline){.wake = wake};
	assert_int_equal(pipeline_start(&pipeline, target, 5), 0);
	assert_int_equal(command_from_text(&c, SPAN_LIT("add map #1 ")), 0);
	assert_int_equal(command_payload(&c, SPAN_LIT("a 1\nb 2\n")), 0);
	assert_int_equal(pipeline_add(&pipeline, &c), 0);
	command_free(&c);
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	answer(request_is(PRELUDE ";add map #1 <<\na 1\nb 2\n\n"), "\n\n");
	next_is(0, 0, "");
	pipeline_free(&pipeline);
}

static void a_long_timeout_is_haproxys_too(void **state)
{
	(void)state;
	pipeline = (struct pipeline){.wake = wake};
	assert_int_equal(pipeline_start(&pipeline, target, 60), 0);
	assert_int_equal(add("show info"), 0);
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	answer(request_is(PRELUDE ";set timeout cli 60;show info\n"), "\n\nName: x\n\n");
	next_is(0, 0, "Name: x");
	pipeline_free(&pipeline);
}

/* Sent twice is what reads, and nothing else. */
static void only_what_reads_is_sent_again(void **state)
{
	(void)state;
	start("show info");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	close(accept_now(listener));
	turn();
	answer(request_is(PRELUDE ";show info\n"), "\nName: x\n\n");
	next_is(0, 0, "Name: x");
	pipeline_free(&pipeline);

	start("show info|add acl #1 a|add acl #1 b");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	close(accept_now(listener));
	turn();
	assert_int_equal(pipeline_next(&pipeline, &reply), -ECONNRESET);
	assert_string_equal(reply.phase, "read");
	assert_int_equal(reply.index, 0);
	assert_int_equal(reply.in_doubt, 2);
	assert_int_equal(pipeline_in_doubt(&pipeline), 2);
	assert_int_equal(accept_now(listener), -1);
	pipeline_free(&pipeline);
}

static void what_was_not_sent_is_not_in_doubt(void **state)
{
	(void)state;
	unlink(path);
	start("add acl #1 a");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	advance(1);
	assert_int_equal(pipeline_next(&pipeline, &reply), -ENOENT);
	assert_string_equal(reply.phase, "connect");
	assert_int_equal(reply.in_doubt, 0);
	pipeline_free(&pipeline);
}

/* One text may refuse the whole line: the worker is not there. */
static void the_master_may_not_reach_its_worker(void **state)
{
	(void)state;
	target_unref(target);
	open_target(path, "@1");
	start("add acl #1 a|add acl #1 b");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	answer(request_is("@1 add acl #1 a;@1 add acl #1 b\n"),
	       "Can't connect to the target CLI!\n");
	assert_int_equal(pipeline_next(&pipeline, &reply), HAP_EWORKER);
	assert_text(reply.text, "Can't connect to the target CLI!");
	assert_int_equal(reply.in_doubt, 0);
	pipeline_free(&pipeline);
}

/* HAProxy may refuse a line as a whole, with one text: then it has done nothing. */
static void a_refusal_of_the_whole_line_leaves_no_doubt(void **state)
{
	(void)state;
	start("add acl #1 a|add acl #1 b");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	answer(request_is("set severity-output number;add acl #1 a;add acl #1 b\n"),
	       "[3]: Unknown ACL identifier. Please use #<id> or <file>.\n");
	assert_int_equal(pipeline_next(&pipeline, &reply), HAP_EREFUSED);
	assert_int_equal(reply.in_doubt, 0);
	pipeline_free(&pipeline);
}

/* Of an answer that breaks off an error shows a part. */
static void a_part_of_a_broken_answer_is_shown(void **state)
{
	static char text[20000];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	start("show info");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	int fd = request_is(PRELUDE ";show info\n");

	say(fd, "\n");
	say(fd, text);
	advance(6);
	assert_int_equal(pipeline_next(&pipeline, &reply), HAP_ETIMEOUT);
	assert_string_equal(reply.phase, "read");
	assert_int_equal(reply.text.n, 16384);
	close(fd);
	pipeline_free(&pipeline);
}

static void what_may_not_be_sent_is_refused(void **state)
{
	static const struct permit reads = {.read_only = true};

	(void)state;
	start("show info");
	target->permit = &reads;
	assert_int_equal(add("add acl #1 a"), HAP_EREADONLY);
	assert_int_equal(add("show info"), 0);
	assert_int_equal(pipeline.n, 2);
	assert_text(pipeline_command(&pipeline, 1), "show info");
	pipeline_free(&pipeline);
	target->permit = &all_is_permitted;
	target_unref(target);
	open_target(path, "@1");
	start("show info");
	assert_int_equal(add("@2 show info"), HAP_EROUTE);
	pipeline_free(&pipeline);
}

static void a_series_may_be_freed_under_way(void **state)
{
	(void)state;
	start("show info|show env|show info json|show env");
	assert_int_equal(pipeline_next(&pipeline, &reply), PIPELINE_WAIT);
	int fd = accept_now(listener);

	pipeline_free(&pipeline);
	wakes = 0;
	turn();
	close(fd);
	turn();
	assert_int_equal(wakes, 0);
	assert_int_equal(target->connections, 0);
}

/* Fail each allocation in turn. What was added before stays as it was. */
static void no_memory_is_a_failure(void **state)
{
	static char text[5000] = "add acl #1 ";

	(void)state;
	memset(text + strlen(text), 'x', sizeof text - strlen(text) - 1);
	for (size_t at = 1; at < 5; at++) {
		struct command c = {0};

		start("show info");
		assert_int_equal(command_from_text(&c, span_of(text)), 0);
		oom_at = at;
		int rc = 0;

		for (int i = 0; rc == 0 && i < 400; i++)
			rc = pipeline_add(&pipeline, &c);
		assert_int_equal(rc, HAP_ENOMEM);
		oom_at = 0;
		assert_int_equal(pipeline_add(&pipeline, &c), 0);
		assert_text(pipeline_command(&pipeline, 0), "show info");
		for (size_t i = 1; i < pipeline.n; i++)
			assert_text(pipeline_command(&pipeline, i), text);
		command_free(&c);
		pipeline_free(&pipeline);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(commands_share_a_line),
		TEST(no_commands_need_no_request),
		TEST(an_answer_that_is_cut_is_a_failure),
		TEST(a_prelude_that_is_refused_is_a_failure),
		TEST(a_refusal_is_given_out_and_the_rest_read),
		TEST(readers_go_side_by_side),
		TEST(ambiguous_answers_are_asked_for_again),
		TEST(a_payload_goes_behind_its_command),
		TEST(a_long_timeout_is_haproxys_too),
		TEST(only_what_reads_is_sent_again),
		TEST(what_was_not_sent_is_not_in_doubt),
		TEST(the_master_may_not_reach_its_worker),
		TEST(a_refusal_of_the_whole_line_leaves_no_doubt),
		TEST(a_part_of_a_broken_answer_is_shown),
		TEST(what_may_not_be_sent_is_refused),
		TEST(a_series_may_be_freed_under_way),
		TEST(no_memory_is_a_failure),
	};

	return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
