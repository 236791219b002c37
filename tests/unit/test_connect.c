/* SPDX-License-Identifier: MIT
 *
 * test_connect.c - ways to a connected socket, and to none. */
/* link: --wrap=getaddrinfo --wrap=socket --wrap=uv_async_send --wrap=pthread_create */
#include "loop.h"
#include "base/err.h"
#include "net/connect.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>

/* A resolver of the test's own: a name is "b0" and up (does not answer before
 * let_answers()), "none" (no such name), or "two" (nobody listens at its first address).
 */

int __real_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **found);
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int blocked, answers, signals_blocked; /* under the lock */

int __wrap_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **found)
{
	if (hints->ai_flags & AI_NUMERICHOST)
		return __real_getaddrinfo(host, service, hints, found);
	if (strcmp(host, "none") == 0)
		return EAI_NONAME;
	if (*host == 'b') {
		sigset_t mask;

		/* Signals are for the loop's thread. */
		pthread_sigmask(SIG_BLOCK, NULL, &mask);
		pthread_mutex_lock(&lock);
		signals_blocked = sigismember(&mask, SIGTERM);
		blocked++;
		while (!answers)
			pthread_cond_wait(&changed, &lock);
		blocked--;
		pthread_mutex_unlock(&lock);
	}
	struct addrinfo *first;
	int rc = __real_getaddrinfo("127.0.0.1", service, hints, found);

	if (rc == 0 && strcmp(host, "two") == 0) {
		rc = __real_getaddrinfo("127.0.0.2", service, hints, &first);
		first->ai_next = *found;
		*found = first;
	}
	return rc;
}

static void let_answers(int yes)
{
	pthread_mutex_lock(&lock);
	answers = yes;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static int wanted_blocked;

static bool is_blocked(void)
{
	pthread_mutex_lock(&lock);
	bool is = blocked == wanted_blocked;

	pthread_mutex_unlock(&lock);
	return is;
}

static void wait_for_blocked(int n)
{
	wanted_blocked = n;
	turn_until(is_blocked);
}

/* socket() fails with this for so many times. */
static int socket_errno, socket_failures;

int __wrap_socket(int domain, int type, int protocol)
{
	if (socket_failures > 0) {
		socket_failures--;
		errno = socket_errno;
		return -1;
	}
	return __real_socket(domain, type, protocol);
}

/* How often a thread has woken the loop. */
int __real_uv_async_send(uv_async_t *async);
int __wrap_uv_async_send(uv_async_t *async);

static int sent; /* under the lock */

int __wrap_uv_async_send(uv_async_t *async)
{
	int rc = __real_uv_async_send(async);

	pthread_mutex_lock(&lock);
	sent++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return rc;
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*run)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*run)(void *), void *argument);

static bool no_threads;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*run)(void *), void *argument)
{
	if (no_threads)
		return EAGAIN;
	return __real_pthread_create(thread, attributes, run, argument);
}

static struct address address;
static struct connection c;
static int result;
static int calls;

static void on_done(struct connection *of, int rc)
{
	assert_ptr_equal(of, &c);
	result = rc;
	calls++;
}

static bool is_done(void)
{
	return calls > 0;
}

static int start(const char *to)
{
	assert_int_equal(address_parse(&address, span_of(to)), 0);
	connect_init(&c, &address, &now, &loop, on_done);
	calls = 0;
	return connect_start(&c);
}

/* Listen on the loopback; returns the socket, and its port in *port. */
static int listen_tcp(unsigned *port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t n = sizeof sa;
	int fd = __real_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_return_code(bind(fd, (struct sockaddr *)&sa, sizeof sa), errno);
	assert_return_code(listen(fd, 10), errno);
	getsockname(fd, (struct sockaddr *)&sa, &n);
	*port = ntohs(sa.sin_port);
	return fd;
}

/* Is c connected to this listener? */
static void check_connected(int listener)
{
	int fd = accept_now(listener);

	assert_return_code(fd, errno);
	assert_int_equal(send(c.fd, "x", 1, 0), 1);
	expect(fd, "x");
	close(fd);
}

static void a_local_socket_is_connected_at_once(void **state)
{
	int listener = listen_at(path, 10);
	char abstract[64];

	(void)state;
	assert_int_equal(start(path), CONNECT_DONE);
	check_connected(listener);
	connect_close(&c);
	connect_close(&c);
	assert_int_equal(calls, 0);
	close(listener);
	/* HAProxy's abstract names are filled up with NULs. */
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	snprintf(abstract, sizeof abstract, "abns@%s", path);
	strcpy(sa.sun_path + 1, path);
	listener = __real_socket(AF_UNIX, SOCK_STREAM, 0);
	assert_return_code(bind(listener, (struct sockaddr *)&sa, sizeof sa), errno);
	assert_return_code(listen(listener, 1), errno);
	assert_int_equal(start(abstract), CONNECT_DONE);
	check_connected(listener);
	connect_close(&c);
	close(listener);
}

static void a_missing_socket_is_waited_for_a_moment(void **state)
{
	(void)state;
	assert_int_equal(start(path), CONNECT_PENDING);
	advance(0.02);
	assert_int_equal(calls, 0);
	advance(0.04);
	assert_int_equal(calls, 1);
	assert_int_equal(result, -ENOENT);
	connect_close(&c);

	assert_int_equal(start(path), CONNECT_PENDING);
	int listener = listen_at(path, 10);

	advance(0.002);
	assert_int_equal(result, CONNECT_DONE);
	check_connected(listener);
	connect_close(&c);
	close(listener);
}

static void a_socket_without_listener_is_tried_for_a_second(void **state)
{
	(void)state;
	close(listen_at(path, 1));
	assert_int_equal(start(path), CONNECT_PENDING);
	advance(0.9);
	assert_int_equal(calls, 0);
	advance(0.2);
	assert_int_equal(calls, 1);
	assert_int_equal(result, -ECONNREFUSED);
	connect_close(&c);
	/* Closed in between: nothing happens any more. */
	assert_int_equal(start(path), CONNECT_PENDING);
	connect_close(&c);
	advance(5);
	assert_int_equal(calls, 0);
}

static void a_full_queue_is_waited_for(void **state)
{
	int listener = listen_at(path, 0);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int first = __real_socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	strcpy(sa.sun_path, path);
	assert_return_code(connect(first, (struct sockaddr *)&sa, sizeof sa), errno);
	assert_int_equal(start(path), CONNECT_PENDING);
	advance(100);
	assert_int_equal(calls, 0);
	close(accept_now(listener));
	advance(0.002);
	assert_int_equal(calls, 1);
	assert_int_equal(result, CONNECT_DONE);
	check_connected(listener);
	connect_close(&c);
	close(first);
	close(listener);
}

static void other_failures_are_final(void **state)
{
	char below[64];

	(void)state;
	fclose(fopen(path, "w"));
	snprintf(below, sizeof below, "%s/x", path);
	assert_int_equal(start(below), -ENOTDIR);
	connect_close(&c);
	assert_int_equal(c.fd, -1);
}

static void a_descriptor_that_is_lacking_is_waited_for(void **state)
{
	int listener = listen_at(path, 10);
	unsigned port;
	char to[64];

	(void)state;
	socket_errno = EMFILE;
	socket_failures = 2;
	assert_int_equal(start(path), CONNECT_PENDING);
	assert_int_equal(c.lacks, -EMFILE);
	advance(0.002);
	assert_int_equal(calls, 0);
	advance(0.002);
	assert_int_equal(calls, 1);
	assert_int_equal(result, CONNECT_DONE);
	assert_int_equal(c.lacks, 0);
	connect_close(&c);
	close(listener);
	/* TCP begins anew with the same address. */
	listener = listen_tcp(&port);
	socket_errno = ENFILE;
	socket_failures = 1;
	snprintf(to, sizeof to, "127.0.0.1:%u", port);
	assert_int_equal(start(to), CONNECT_PENDING);
	assert_int_equal(c.lacks, -ENFILE);
	advance(0.002);
	turn_until(is_done);
	assert_int_equal(result, CONNECT_DONE);
	connect_close(&c);
	close(listener);
}

static void a_number_needs_no_look_up(void **state)
{
	unsigned port;
	int listener = listen_tcp(&port);
	char to[64];

	(void)state;
	snprintf(to, sizeof to, "127.0.0.1:%u", port);
	assert_int_equal(start(to), CONNECT_PENDING);
	assert_false(c.resolves);
	turn_until(is_done);
	assert_int_equal(result, CONNECT_DONE);
	check_connected(listener);
	connect_close(&c);
	close(listener);
	int rc = start(to);

	if (rc == CONNECT_PENDING) {
		turn_until(is_done);
		rc = result;
	}
	assert_int_equal(rc, -ECONNREFUSED);
	connect_close(&c);
}

static void the_next_address_is_tried(void **state)
{
	unsigned port;
	int listener = listen_tcp(&port);
	char to[64];

	(void)state;
	snprintf(to, sizeof to, "two:%u", port);
	assert_int_equal(start(to), CONNECT_PENDING);
	assert_true(c.resolves);
	turn_until(is_done);
	assert_int_equal(result, CONNECT_DONE);
	assert_false(c.resolves);
	check_connected(listener);
	connect_close(&c);
	close(listener);
}

static void a_name_that_is_not_found_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(start("none:1"), CONNECT_PENDING);
	turn_until(is_done);
	assert_int_equal(result, UV_EAI_NONAME);
	assert_true(c.resolves);
	connect_close(&c);
}

/* The loop is closed, and the test ends, while names are still being looked up. */
static void a_look_up_is_left_behind(void **state)
{
	(void)state;
	assert_int_equal(start("b0:1"), CONNECT_PENDING);
	wait_for_blocked(1);
	assert_true(signals_blocked);
	connect_close(&c);
	turn();
	assert_int_equal(calls, 0);
	assert_false(uv_loop_alive(&loop));
	let_answers(1);
	wait_for_blocked(0);
	let_answers(0);
	assert_int_equal(calls, 0);
}

/* So many look-ups hang that others have to wait: they may be cancelled, too. */
static void waiting_look_ups_can_be_cancelled(void **state)
{
	enum { MANY = 40 };
	static struct connection many[MANY];

	(void)state;
	assert_int_equal(address_parse(&address, SPAN_LIT("b1:1")), 0);
	for (int i = 0; i < MANY; i++) {
		connect_init(&many[i], &address, &now, &loop, on_done);
		assert_int_equal(connect_start(&many[i]), CONNECT_PENDING);
	}
	wait_for_blocked(32);
	connect_close(&many[35]);       /* waits, in the middle */
	connect_close(&many[MANY - 1]); /* waits, the last */
	connect_close(&many[0]);        /* runs */
	assert_int_equal(start("none:1"), CONNECT_PENDING);
	turn();
	assert_int_equal(calls, 0);
	connect_close(&c);
	assert_int_equal(start("none:1"), CONNECT_PENDING);
	for (int i = 1; i < MANY - 1; i++)
		if (i != 35)
			connect_close(&many[i]);
	let_answers(1);
	turn_until(is_done);
	assert_int_equal(result, UV_EAI_NONAME);
	connect_close(&c);
	wait_for_blocked(0);
	let_answers(0);
}

static void an_answer_that_has_come_may_be_thrown_away(void **state)
{
	(void)state;
	sent = 0;
	assert_int_equal(start("two:1"), CONNECT_PENDING);
	pthread_mutex_lock(&lock);
	while (!sent)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	connect_close(&c);
	turn();
	assert_int_equal(calls, 0);
}

static void without_a_thread_a_look_up_fails_or_waits(void **state)
{
	struct connection other;

	(void)state;
	no_threads = true;
	assert_int_equal(start("none:1"), -EAGAIN);
	assert_true(c.resolves);
	connect_close(&c);
	no_threads = false;
	assert_int_equal(address_parse(&address, SPAN_LIT("b2:1")), 0);
	connect_init(&other, &address, &now, &loop, on_done);
	assert_int_equal(connect_start(&other), CONNECT_PENDING);
	wait_for_blocked(1);
	no_threads = true;
	assert_int_equal(start("none:1"), CONNECT_PENDING);
	connect_close(&other);
	let_answers(1);
	turn_until(is_done);
	assert_int_equal(result, UV_EAI_NONAME);
	connect_close(&c);
	no_threads = false;
	let_answers(0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, loop_open, loop_close)
	const struct CMUnitTest tests[] = {
		TEST(a_local_socket_is_connected_at_once),
		TEST(a_missing_socket_is_waited_for_a_moment),
		TEST(a_socket_without_listener_is_tried_for_a_second),
		TEST(a_full_queue_is_waited_for),
		TEST(other_failures_are_final),
		TEST(a_descriptor_that_is_lacking_is_waited_for),
		TEST(a_number_needs_no_look_up),
		TEST(the_next_address_is_tried),
		TEST(a_name_that_is_not_found_is_an_error),
		TEST(a_look_up_is_left_behind),
		TEST(waiting_look_ups_can_be_cancelled),
		TEST(an_answer_that_has_come_may_be_thrown_away),
		TEST(without_a_thread_a_look_up_fails_or_waits),
	};

	int failed = cmocka_run_group_tests_name("connect", tests, NULL, NULL);

	wait_for_threads();
	return failed;
}
