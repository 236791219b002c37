/* SPDX-License-Identifier: MIT
 *
 * loop.h - what the unit tests of src/net share: a loop, a clock that is set by hand, and
 * a local socket whose other end the test holds. Everything is in one thread: a test has
 * the loop turn, and then looks at what has arrived. */
#ifndef HAP_UNIT_LOOP_H
#define HAP_UNIT_LOOP_H

#include "unit.h"
#include "os/clock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static uv_loop_t loop;
static struct clock now;
static char folder[] = "/tmp/haplua-unit-XXXXXX";
static char path[sizeof folder + 8]; /* of the socket */

/* Listen at `path`; the queue has room for `backlog` and one. */
static inline int listen_at(const char *where, int backlog)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", where);
	assert_return_code(bind(fd, (struct sockaddr *)&sa, sizeof sa), errno);
	assert_return_code(listen(fd, backlog), errno);
	return fd;
}

/* After the last test: wait until the threads of look-ups have ended, too. What a thread
 * that runs has allocated counts as a leak for valgrind. */
static inline void wait_for_threads(void)
{
	struct stat tasks;

	while (stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink > 3)
		usleep(1000);
}

/* For cmocka: before and after each test. A test that does not end is killed. */
static inline int loop_open(void **state)
{
	(void)state;
	alarm(120);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(clock_init(&now, &loop), 0);
	clock_manual(&now, CLOCK_SECOND, 0);
	strcpy(folder + sizeof folder - 7, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/s", folder);
	return 0;
}

/* Nothing may be left open. */
static inline int loop_close(void **state)
{
	(void)state;
	unlink(path);
	rmdir(folder);
	clock_close(&now);
	for (int i = 0; i < 4; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return 0;
}

/* Have the loop do all that it can do without waiting. */
static inline void turn(void)
{
	for (int i = 0; i < 4; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
}

/* Have the loop turn until `done`, which other threads or the network bring about. It
 * sleeps in between: valgrind runs one thread at a time, and one that never sleeps
 * starves the others. */
static inline void turn_until(bool (*done)(void))
{
	while (!done()) {
		usleep(1000);
		uv_run(&loop, UV_RUN_NOWAIT);
	}
}

static inline void advance(double seconds)
{
	clock_advance(&now, clock_after(&now, seconds));
	turn();
}

static inline void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	turn();
}

/* What has arrived at the other end must be this text. */
static inline void expect(int fd, const char *text)
{
	char got[4096];
	ssize_t n = recv(fd, got, sizeof got, MSG_DONTWAIT);

	assert_text(((struct span){got, n > 0 ? (size_t)n : 0}), text);
}

/* Is there a connection that was not accepted yet? */
static inline int accept_now(int listener)
{
	struct timeval none = {0, 1};

	turn();
	setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
	return accept(listener, NULL, NULL);
}

#endif
