/* SPDX-License-Identifier: MIT
 *
 * test_single_write.c - whether the system takes a request in one piece. That it then
 * does: tests/real/writes_test.lua. */
/* link: --wrap=setsockopt */
#include "unit.h"
#include "net/connect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t n);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t n);

/* As if net.core.wmem_max allowed no larger buffer. */
static bool is_fixed;

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t n)
{
	return is_fixed ? 0 : __real_setsockopt(fd, level, name, value, n);
}

static void a_local_buffer_is_made_larger_where_it_may_be(void **state)
{
	static char bytes[15000];
	const struct span all = {bytes, sizeof bytes}, small = {bytes, 2048};
	int fd[2], little = 4096;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(
		__real_setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof little),
		0);
	is_fixed = true;
	assert_int_equal(single_write_prepare(fd[0], true, small), 0);
	assert_int_equal(single_write_prepare(fd[0], true, all), UV_EMSGSIZE);
	is_fixed = false;
	assert_int_equal(single_write_prepare(fd[0], true, all), 0);
	assert_int_equal(send(fd[0], bytes, sizeof bytes, MSG_DONTWAIT), sizeof bytes);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(single_write_prepare(fd[0], true, all), -EBADF);
}

/* Over TCP the first line counts; a payload may follow in other pieces. */
static void a_line_over_tcp_fits_a_segment(void **state)
{
	static char bytes[100000];
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t n = sizeof sa;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0), segment = 0;

	(void)state;
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &n), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, n), 0);
	n = sizeof segment;
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, &n), 0);
	assert_true(segment > 500 && (size_t)segment < sizeof bytes - 1);
	size_t line = (size_t)segment;

	memset(bytes, 'x', sizeof bytes);
	assert_int_equal(single_write_prepare(fd, false, (struct span){bytes, line}), 0);
	assert_int_equal(single_write_prepare(fd, false, (struct span){bytes, line + 1}),
			 UV_EMSGSIZE);
	bytes[line - 1] = '\n';
	assert_int_equal(
		single_write_prepare(fd, false, (struct span){bytes, sizeof bytes}), 0);
	bytes[line - 1] = 'x';
	bytes[line] = '\n';
	assert_int_equal(
		single_write_prepare(fd, false, (struct span){bytes, sizeof bytes}),
		UV_EMSGSIZE);
	close(fd);
	close(listener);
	assert_int_equal(single_write_prepare(fd, false, (struct span){bytes, 1}),
			 -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_local_buffer_is_made_larger_where_it_may_be),
		cmocka_unit_test(a_line_over_tcp_fits_a_segment),
	};

	return cmocka_run_group_tests_name("single_write", tests, NULL, NULL);
}
