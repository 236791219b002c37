/* SPDX-License-Identifier: MIT
 *
 * oom.c - preloaded into a program: allocations number $OOM_AT and the one after it fail.
 * Two, because Lua tries a second time after it has collected its garbage. Says at the
 * end on descriptor $OOM_FD how many there were. Programs started by this one are spared.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { IN_A_ROW = 2 };

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

static atomic_long count;
static long first_failure; /* 0: none */
static int report_fd = -1;

static int fails(void)
{
	long n = ++count;

	if (!first_failure || n < first_failure || n >= first_failure + IN_A_ROW)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}

__attribute__((constructor)) static void begin(void)
{
	const char *at = getenv("OOM_AT"), *fd = getenv("OOM_FD");

	if (fd)
		report_fd = atoi(fd);
	unsetenv("LD_PRELOAD");
	count = 0; /* what the loader took does not count */
	first_failure = at ? atol(at) : 0;
}

__attribute__((destructor)) static void end(void)
{
	if (report_fd >= 0)
		dprintf(report_fd, "%ld\n", (long)count);
}
