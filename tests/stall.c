/* SPDX-License-Identifier: MIT
 *
 * stall.c - make processes stop for a while at random, as on an overloaded machine. A
 * library for LD_PRELOAD: `make check-stalls` finds tests that depend on being quick.
 *
 *     STALL_EVERY=N     one call in N stalls, at random; default 50
 *     STALL_MOST=MS     the longest stall in milliseconds; default 30
 *     STALL_SEED=N      seed of the random numbers; default 1
 *     STALL_FIRST=PID   number processes from this one. If the same processes start in
 *                       the same order, the same seed makes the same calls stall
 *
 * Calls that read the clock, wait for events, connect or send stall, in every process
 * that inherits LD_PRELOAD. Alarms ring up to 50 us late. */
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static uint32_t every = 50, most = 30, seed = 1, first;

static uint32_t setting(const char *name, uint32_t otherwise)
{
	const char *text = getenv(name);
	long n = text ? atol(text) : 0;

	return n > 0 ? (uint32_t)n : otherwise;
}

__attribute__((constructor)) static void begin(void)
{
	every = setting("STALL_EVERY", every);
	most = setting("STALL_MOST", most);
	seed = setting("STALL_SEED", seed);
	first = setting("STALL_FIRST", first);
}

/* The next random number; each thread has its own sequence (Marsaglia's xorshift). */
static uint32_t any(void)
{
	static _Thread_local uint32_t x;
	static atomic_uint threads;

	if (!x) {
		x = (uint32_t)getpid() - first;
		x = (x << 8 ^ atomic_fetch_add(&threads, 1)) * 2654435761u;
		x = (x ^ seed) * 2246822519u;
		x ^= x >> 15;
		x += !x;
	}
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static void stall(void)
{
	if (any() % every == 0) {
		uint32_t us = any() % (most * 1000);
		struct timespec time = {us / 1000000, us % 1000000 * 1000};

		syscall(SYS_nanosleep, &time, NULL);
	}
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	stall();
	return (int)syscall(SYS_clock_gettime, id, ts);
}

int epoll_pwait(int fd, struct epoll_event *events, int n, int ms,
		const sigset_t *signals)
{
	stall();
	return (int)syscall(SYS_epoll_pwait, fd, events, n, ms, signals, 8);
}

int epoll_wait(int fd, struct epoll_event *events, int n, int ms)
{
	return epoll_pwait(fd, events, n, ms, NULL);
}

int poll(struct pollfd *fds, nfds_t n, int ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000L};

	stall();
	return (int)syscall(SYS_ppoll, fds, n, ms < 0 ? NULL : &time, NULL, 8);
}

int setitimer(__itimer_which_t which, const struct itimerval *restrict new,
	      struct itimerval *restrict old)
{
	struct itimerval late = *new;

	if (timerisset(&late.it_value)) {
		struct timeval more = {.tv_usec = any() % 50};

		timeradd(&late.it_value, &more, &late.it_value);
	}
	return (int)syscall(SYS_setitimer, which, &late, old);
}

int connect(int fd, const struct sockaddr *address, socklen_t n)
{
	stall();
	return (int)syscall(SYS_connect, fd, address, n);
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	stall();
	return syscall(SYS_write, fd, bytes, n);
}

ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
	stall();
	return syscall(SYS_sendto, fd, bytes, n, flags, NULL, 0);
}
