/* SPDX-License-Identifier: MIT
 *
 * shift.c - a wall clock that a test can set, for one process. A library for LD_PRELOAD.
 *
 *     CLOCK_SHIFT=FILE  holds the seconds that the clock is ahead, as 8 bytes in this
 *                       machine's order. The test may write it at any time
 *
 * Monotonic time is not changed. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t shift(void)
{
	static const volatile int64_t *seconds;
	static const int64_t none = 0;
	const char *path = getenv("CLOCK_SHIFT");

	if (!seconds) {
		int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		void *map = fd < 0 ? MAP_FAILED
				   : mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED,
					  fd, 0);

		if (fd >= 0)
			close(fd);
		seconds = map == MAP_FAILED ? &none : map;
	}
	return *seconds;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += shift();
	return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;
	int rc = clock_gettime(CLOCK_REALTIME, &ts);

	(void)zone;
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return rc;
}

time_t time(time_t *at)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (at)
		*at = ts.tv_sec;
	return ts.tv_sec;
}
