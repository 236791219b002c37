/* SPDX-License-Identifier: MIT
 *
 * disk.c - a full, broken or read-only disk for one process. A library for LD_PRELOAD.
 *
 *     DISK_FULL=N       the Nth write to a regular file and all later ones fail: ENOSPC
 *     DISK_BROKEN=N     the Nth fsync() or fdatasync() fails: EIO
 *     DISK_READONLY=S   a file whose path contains S cannot be opened for writing: EROFS
 *     DISK_FAILED=FILE  make this file at the first failure
 *     DISK_ROOM=FILE    while this file exists, nothing fails
 *
 * Counts begin at 1. They are not exact if several threads write at the same time. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Set `next` to the function of this name that this library replaces. The assignment goes
 * through a data pointer: ISO C has no conversion from one to a function pointer. */
#define NEXT(name) (*(void **)&next = dlsym(RTLD_NEXT, #name))

static void note(void)
{
	const char *path = getenv("DISK_FAILED");

	if (path)
		close((int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY, 0600));
}

static bool fails(int error)
{
	const char *room = getenv("DISK_ROOM");

	if (room && access(room, F_OK) == 0)
		return false;
	note();
	errno = error;
	return true;
}

static bool is_full(int fd)
{
	static long count;
	const char *first = getenv("DISK_FULL");
	struct stat st;

	if (!first || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	return ++count >= atol(first) && fails(ENOSPC);
}

static bool is_broken(void)
{
	static long count;
	const char *which = getenv("DISK_BROKEN");

	return which && ++count == atol(which) && fails(EIO);
}

static bool is_readonly(const char *path, int flags)
{
	const char *part = getenv("DISK_READONLY");

	if (!part || !strstr(path, part) || (flags & O_ACCMODE) == O_RDONLY)
		return false;
	return fails(EROFS);
}

ssize_t write(int fd, const void *p, size_t n)
{
	ssize_t (*next)(int, const void *, size_t);

	NEXT(write);
	return is_full(fd) ? -1 : next(fd, p, n);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	ssize_t (*next)(int, const void *, size_t, off64_t);

	NEXT(pwrite64);
	return is_full(fd) ? -1 : next(fd, p, n, at);
}

int fsync(int fd)
{
	int (*next)(int);

	NEXT(fsync);
	return is_broken() ? -1 : next(fd);
}

int fdatasync(int fd)
{
	int (*next)(int);

	NEXT(fdatasync);
	return is_broken() ? -1 : next(fd);
}

/* Define `mode` from the optional argument, which is given with O_CREAT only. */
#define TAKE_MODE()                                                                      \
	va_list rest;                                                                    \
	va_start(rest, flags);                                                           \
	mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                        \
	va_end(rest)

int open(const char *path, int flags, ...)
{
	int (*next)(const char *, int, ...);

	TAKE_MODE();
	NEXT(open);
	return is_readonly(path, flags) ? -1 : next(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	int (*next)(const char *, int, ...);

	TAKE_MODE();
	NEXT(open64);
	return is_readonly(path, flags) ? -1 : next(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
	int (*next)(int, const char *, int, ...);

	TAKE_MODE();
	NEXT(openat);
	return is_readonly(path, flags) ? -1 : next(folder, path, flags, mode);
}
