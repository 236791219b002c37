/* SPDX-License-Identifier: MIT
 *
 * test_request.c - one request's way over a connection, whose other end the test holds;
 * for the queue and for ends in each phase see test_request_queue.c. */
/* link: --wrap=single_write_prepare --wrap=malloc --wrap=realloc */
#define UNIT_OOM
#include "requests.h"
#include "net/connect.h"

/* What single_write_prepare() is asked, and what it answers. */
int __real_single_write_prepare(int fd, bool local, struct span bytes);
int __wrap_single_write_prepare(int fd, bool local, struct span bytes);

static int prepared, prepare_rc;
static bool any_size;

int __wrap_single_write_prepare(int fd, bool local, struct span bytes)
{
	char byte;

	prepared++;
	assert_true(local && fd >= 0 && bytes.n > 0);
	/* Nothing was sent yet: the other end, which is not accepted, has nothing. */
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	if (any_size || prepare_rc)
		return prepare_rc;
	return __real_single_write_prepare(fd, local, bytes);
}

static size_t traced[2];

static void trace(const struct target *t, enum target_way way, struct span bytes)
{
	assert_ptr_equal(t, target);
	traced[way] += bytes.n;
}

/* Have the answer come, and see that -v would show it. */
static void answer_is_traced(const struct request *r, int fd)
{
	target->trace = trace;
	traced[TARGET_RECEIVED] = 0;
	say(fd, "one");
	close(fd);
	turn();
	assert_int_equal(r->state, REQUEST_DONE);
	assert_int_equal(traced[TARGET_RECEIVED], 3);
}

static void a_request_is_written_and_read_to_the_end(void **state)
{
	prepared = 0;
	target->trace = trace;
	traced[TARGET_SENT] = 0;
	struct request *r = begin("a\n", 5);
	int fd = accept_now(listener);

	(void)state;
	expect(fd, "a\n");
	assert_int_equal(traced[TARGET_SENT], 2);
	assert_int_equal(r->written, 2);
	assert_int_equal(prepared, 1);
	wakes = 0;
	say(fd, "one ");
	assert_text(buf_span(&r->in), "one ");
	assert_true(wakes > 0);
	assert_int_equal(r->state, REQUEST_READING);
	say(fd, "two");
	close(fd);
	turn();
	check_done(r, 0, NULL);
	assert_text(buf_span(&r->in), "one two");
	request_drop(r);
}

/* Not from within request_start(), where the caller has no reference yet. */
static void wake_comes_from_the_loop(void **state)
{
	(void)state;
	unlink(path);
	fclose(fopen(path, "w"));
	struct request *r = begin("a\n", 0.5);

	assert_int_equal(wakes, 0);
	advance(1);
	assert_int_equal(wakes, 1);
	check_done(r, HAP_ETIMEOUT, "connect");
	request_drop(r);
}

static void a_request_leaves_in_one_piece_or_not_at_all(void **state)
{
	prepared = 0;
	prepare_rc = UV_EMSGSIZE;
	struct request *r = begin("a\n", 5);
	int fd = accept_now(listener);

	(void)state;
	assert_int_equal(prepared, 1);
	check_done(r, UV_EMSGSIZE, "write");
	assert_int_equal(r->written, 0);
	expect(fd, "");
	close(fd);
	request_drop(r);
	prepare_rc = 0;
}

/* A payload over TCP may leave in parts: no version minds. */
static void what_the_system_does_not_take_at_once_is_written_later(void **state)
{
	static char got[1 << 16];
	struct request *r = make("a\n");
	size_t all = 4000000, n = 0;

	(void)state;
	assert_int_equal(buf_reserve(&r->out, all), 0);
	memset(r->out.p, 'x', all);
	r->out.n = all;
	any_size = true;
	request_start(r, clock_after(&now, 5), wake, r);
	any_size = false;
	int fd = accept_now(listener);

	assert_int_equal(r->state, REQUEST_WRITING);
	while (n < all) {
		ssize_t more = recv(fd, got, sizeof got, MSG_DONTWAIT);

		assert_true(more > 0);
		n += (size_t)more;
		turn();
	}
	assert_int_equal(n, all);
	assert_int_equal(r->state, REQUEST_READING);
	answer_is_traced(r, fd);
	request_drop(r);
}

/* The master waits for the end of the request; a worker would break off its `wait`. */
static void behind_a_route_the_writing_side_is_closed(void **state)
{
	char byte;

	(void)state;
	for (int routed = 0; routed < 2; routed++) {
		target_unref(target);
		open_target(path, routed ? "@1" : "");
		struct request *r = begin("a\n", 5);
		int fd = accept_now(listener);

		expect(fd, "a\n");
		assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), routed ? 0 : -1);
		close(fd);
		turn();
		check_done(r, 0, NULL);
		request_drop(r);
	}
}

static void an_answer_has_a_limit(void **state)
{
	static const struct {
		const char *answer;
		int rc;
	} cases[] = {{"123456789", 0}, {"1234567890", 0}, {"12345678901", HAP_ELIMIT}};

	(void)state;
	target->answer_max = 10;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct request *r = begin("a\n", 5);
		int fd = accept_now(listener);

		expect(fd, "a\n");
		say(fd, cases[i].answer);
		close(fd);
		turn();
		check_done(r, cases[i].rc, cases[i].rc ? "read" : NULL);
		assert_true(r->in.n <= 11);
		request_drop(r);
	}
}

/* More than the first buffer has room for, in pieces of all sizes. */
static void a_long_answer_comes_whole(void **state)
{
	static char text[9001];
	struct request *r = begin("a\n", 5);
	int fd = accept_now(listener);
	size_t total = 0;

	(void)state;
	expect(fd, "a\n");
	memset(text, 'x', sizeof text - 1);
	for (size_t n = 1; n < sizeof text - 1; n += 911) {
		say(fd, text + n - 1);
		total += sizeof text - n;
	}
	close(fd);
	turn();
	check_done(r, 0, NULL);
	assert_int_equal(r->in.n, total);
	request_drop(r);
}

/* A reload closes what waits in the old worker's queue, unread. */
static void a_reset_before_the_answer_is_tried_again(void **state)
{
	(void)state;
	struct request *r = make("a\n");

	prepared = 0;
	r->repeatable = true;
	request_start(r, clock_after(&now, 5), wake, r);
	close(accept_now(listener));
	turn();
	assert_int_equal(r->state, REQUEST_READING);
	int fd = accept_now(listener);

	expect(fd, "a\n");
	assert_int_equal(prepared, 2);
	say(fd, "x");
	close(fd);
	turn();
	check_done(r, 0, NULL);
	assert_text(buf_span(&r->in), "x");
	request_drop(r);
}

static void a_reset_is_tried_again_for_a_second(void **state)
{
	(void)state;
	struct request *r = make("a\n");

	r->repeatable = true;
	request_start(r, clock_after(&now, 5), wake, r);
	close(accept_now(listener));
	turn();
	assert_int_equal(r->state, REQUEST_READING);
	advance(1.1);
	close(accept_now(listener));
	turn();
	check_done(r, -ECONNRESET, "read");
	request_drop(r);
}

static void a_reset_is_final_for_what_may_not_be_sent_twice(void **state)
{
	struct request *r = begin("a\n", 5);

	(void)state;
	close(accept_now(listener));
	turn();
	check_done(r, -ECONNRESET, "read");
	request_drop(r);
	/* And where an answer has begun. */
	r = make("a\n");
	r->repeatable = true;
	request_start(r, clock_after(&now, 5), wake, r);
	int fd = accept_now(listener);

	say(fd, "x");
	close(fd);
	turn();
	check_done(r, -ECONNRESET, "read");
	assert_text(buf_span(&r->in), "x");
	request_drop(r);
}

/* Fake transports. */

static struct request *asked;
static int times_asked;

static void fake(struct request *r)
{
	asked = request_ref(r);
	times_asked++;
}

static void a_fake_transport_answers(void **state)
{
	(void)state;
	target->fake_transport = fake;
	struct request *r = begin("a\n", 5);

	assert_ptr_equal(asked, r);
	request_answer(r, SPAN_LIT("x"), 0);
	check_done(r, 0, NULL);
	assert_text(buf_span(&r->in), "x");
	request_drop(r);
	/* over the limit */
	target->answer_max = 1;
	r = begin("a\n", 5);
	request_answer(r, SPAN_LIT("xy"), 0);
	check_done(r, HAP_ELIMIT, "connect");
	request_drop(r);
	/* put off, asked again, over time */
	r = begin("a\n", 5);
	times_asked = 0;
	request_ask_later(r, clock_after(&now, 1));
	assert_true(r->put_off);
	advance(2);
	assert_int_equal(times_asked, 1);
	request_ask_later(r, CLOCK_NEVER);
	advance(9);
	assert_int_equal(times_asked, 1);
	check_done(r, HAP_ETIMEOUT, "read");
	request_drop(r);
}

static void a_fake_transport_may_fail_and_be_late(void **state)
{
	(void)state;
	target->fake_transport = fake;
	struct request *r = begin("a\n", 5);

	/* ECONNREFUSED is tried again for a second. */
	times_asked = 0;
	request_answer(r, (struct span){0}, -ECONNREFUSED);
	advance(0.1);
	assert_int_equal(times_asked, 1);
	advance(2);
	request_answer(asked, (struct span){0}, -ECONNREFUSED);
	check_done(r, -ECONNREFUSED, "connect");
	request_drop(r);
	/* The request was dropped before the answer came. */
	r = begin("a\n", 5);
	request_drop(r);
	request_answer(asked, SPAN_LIT("x"), 0);
	r = begin("a\n", 5);
	request_drop(r);
	request_ask_later(asked, clock_after(&now, 1));
	advance(2);
}

static void no_memory_is_a_failure(void **state)
{
	(void)state;
	struct request *r = make("a\n");

	oom_at = 1; /* for the deadline's timer */
	request_start(r, clock_after(&now, 5), wake, r);
	check_done(r, HAP_ENOMEM, NULL);
	request_drop(r);
	r = begin("a\n", 5);
	int fd = accept_now(listener);

	expect(fd, "a\n");
	oom_at = 1; /* for the answer */
	say(fd, "x");
	close(fd);
	check_done(r, HAP_ENOMEM, "read");
	request_drop(r);
	assert_int_equal(oom_at, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_written_and_read_to_the_end),
		TEST(wake_comes_from_the_loop),
		TEST(a_request_leaves_in_one_piece_or_not_at_all),
		TEST(what_the_system_does_not_take_at_once_is_written_later),
		TEST(behind_a_route_the_writing_side_is_closed),
		TEST(an_answer_has_a_limit),
		TEST(a_long_answer_comes_whole),
		TEST(a_reset_before_the_answer_is_tried_again),
		TEST(a_reset_is_tried_again_for_a_second),
		TEST(a_reset_is_final_for_what_may_not_be_sent_twice),
		TEST(a_fake_transport_answers),
		TEST(a_fake_transport_may_fail_and_be_late),
		TEST(no_memory_is_a_failure),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
