/* SPDX-License-Identifier: MIT
 *
 * test_request_queue.c - the target's connection limit and the queue before it; requests
 * that end early, in each phase. */
/* link: --wrap=getaddrinfo --wrap=single_write_prepare */
#include "requests.h"
#include "net/connect.h"

#include <pthread.h>
#include <sys/resource.h>

/* No name is ever found. */
int __wrap_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **found);

static pthread_mutex_t never = PTHREAD_MUTEX_INITIALIZER;

int __wrap_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **found)
{
	(void)host, (void)service, (void)found;
	if (!(hints->ai_flags & AI_NUMERICHOST)) {
		pthread_mutex_lock(&never);
		pthread_mutex_unlock(&never);
	}
	return EAI_NONAME;
}

/* A request of any size may be sent. */
int __wrap_single_write_prepare(int fd, bool local, struct span bytes);

int __wrap_single_write_prepare(int fd, bool local, struct span bytes)
{
	(void)fd, (void)local, (void)bytes;
	return 0;
}

/* The connection limit. */

static void four_connections_are_open_at_a_time(void **state)
{
	struct request *r[7];
	int fd[7];

	(void)state;
	for (int i = 0; i < 7; i++)
		r[i] = begin("a\n", 5);
	for (int i = 0; i < 4; i++)
		assert_return_code(fd[i] = accept_now(listener), errno);
	assert_int_equal(accept_now(listener), -1);
	for (int i = 4; i < 7; i++)
		assert_int_equal(r[i]->state, REQUEST_QUEUED);
	/* One ends: the oldest follows, and no other. */
	close(fd[2]);
	turn();
	assert_return_code(fd[2] = accept_now(listener), errno);
	assert_int_equal(accept_now(listener), -1);
	assert_int_equal(r[4]->state, REQUEST_READING);
	assert_int_equal(r[5]->state, REQUEST_QUEUED);
	/* One that waits is dropped, and one that is under way. */
	request_drop(r[5]);
	request_drop(r[0]);
	turn();
	assert_int_equal(r[6]->state, REQUEST_READING);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	for (int i = 1; i < 7; i++)
		if (i != 5)
			request_drop(r[i]);
	close(accept_now(listener));
	assert_int_equal(target->connections, 0);
	assert_true(TAILQ_EMPTY(&target->queue));
}

/* Requests leave the queue from its ends and its middle. */
static void the_queue_keeps_its_order(void **state)
{
	struct request *r[10];
	int fd[4];

	(void)state;
	for (int i = 0; i < 10; i++)
		r[i] = begin("a\n", i == 6 ? 1 : 5);
	for (int i = 0; i < 4; i++)
		fd[i] = accept_now(listener);
	request_drop(r[9]);
	r[9] = begin("a\n", 5);
	request_drop(r[4]);
	advance(2);
	check_done(r[6], HAP_ETIMEOUT, "queue");
	for (int i = 0, next[] = {5, 7, 8, 9}; i < 4; i++) {
		close(fd[i]);
		turn();
		assert_int_equal(r[next[i]]->state, REQUEST_READING);
		assert_int_equal(target->connections, 4);
	}
	for (int i = 0; i < 10; i++)
		if (i != 4)
			request_drop(r[i]);
	for (int i = 0; i < 4; i++)
		close(accept_now(listener));
}

/* Each that fails at once makes room for the next. The stack has room for no recursion.
 */
static void sixty_thousand_may_fail_at_once(void **state)
{
	enum { MANY = 60000 };
	struct rlimit stack;
	struct request **r = calloc(MANY + 4, sizeof(struct request *));
	size_t failed = 0;

	(void)state;
	assert_non_null(r);
	getrlimit(RLIMIT_STACK, &stack);
	stack.rlim_cur = 1 << 20;
	setrlimit(RLIMIT_STACK, &stack);
	for (int i = 0; i < MANY + 4; i++)
		r[i] = begin("a\n", 5);
	/* The socket's place is taken by a folder that is none. */
	snprintf(target->address.path, sizeof target->address.path, "%s/x", path);
	unlink(path);
	fclose(fopen(path, "w"));
	request_drop(r[0]);
	for (int i = 4; i < MANY + 4; i++)
		failed += r[i]->state == REQUEST_DONE && r[i]->rc == -ENOTDIR;
	assert_int_equal(failed, MANY);
	for (int i = 1; i < MANY + 4; i++)
		request_drop(r[i]);
	free(r);
}

/* Deadlines and drops, in each phase. */

static struct request *in_phase(const char *phase, int *fd)
{
	static const char long_line[] = "set severity-output number;show info\n";

	*fd = -1;
	if (strcmp(phase, "queue") == 0)
		target->connections_max = 0;
	if (strcmp(phase, "connect") == 0)
		unlink(path);
	if (strcmp(phase, "resolve") == 0) {
		target_unref(target);
		open_target("never.test:1", "");
	}
	struct request *r = make(long_line);

	if (strcmp(phase, "write") == 0) {
		buf_reserve(&r->out, 4000000);
		memset(r->out.p, 'x', 4000000);
		r->out.n = 4000000;
	}
	request_start(r, clock_after(&now, 0.04), wake, r);
	if (strcmp(phase, "write") == 0 || strcmp(phase, "read") == 0)
		*fd = accept_now(listener);
	turn();
	return r;
}

static void each_phase(void (*end)(struct request *, const char *))
{
	static const char *const phases[] = {"queue", "resolve", "connect", "write",
					     "read"};
	int fd;

	pthread_mutex_lock(&never);
	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
		struct request *r = in_phase(phases[i], &fd);

		assert_int_not_equal(r->state, REQUEST_DONE);
		wakes = 0;
		end(r, phases[i]);
		if (fd >= 0)
			close(fd);
		assert_int_equal(target->connections, 0);
		assert_true(TAILQ_EMPTY(&target->queue));
		close(listener);
		unlink(path);
		target_unref(target);
		listener = listen_at(path, 10);
		open_target(path, "");
	}
	/* The loop is closed before the look-up has ended. */
	turn();
	assert_false(uv_loop_alive(&loop));
	pthread_mutex_unlock(&never);
}

static void end_by_deadline(struct request *r, const char *phase)
{
	advance(1);
	check_done(r, HAP_ETIMEOUT, phase);
	assert_int_equal(wakes, 1);
	request_drop(r);
}

static void a_deadline_ends_each_phase(void **state)
{
	(void)state;
	each_phase(end_by_deadline);
}

static void end_by_drop(struct request *r, const char *phase)
{
	(void)phase;
	request_drop(r);
	advance(1);
	assert_int_equal(wakes, 0);
}

static void a_request_may_be_dropped_in_each_phase(void **state)
{
	(void)state;
	each_phase(end_by_drop);
}

/* A request that waits for a free descriptor fails with that, not with a timeout. */
static void at_the_deadline_what_is_lacking_is_the_error(void **state)
{
	struct request *r;

	(void)state;
	target->connections_max = 0;
	r = begin("a\n", 5);
	r->connection.lacks = -EMFILE;
	advance(6);
	check_done(r, -EMFILE, "queue");
	request_drop(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(four_connections_are_open_at_a_time),
		TEST(the_queue_keeps_its_order),
		TEST(sixty_thousand_may_fail_at_once),
		TEST(a_deadline_ends_each_phase),
		TEST(a_request_may_be_dropped_in_each_phase),
		TEST(at_the_deadline_what_is_lacking_is_the_error),
	};

	int failed = cmocka_run_group_tests_name("request_queue", tests, NULL, NULL);

	wait_for_threads();
	return failed;
}
