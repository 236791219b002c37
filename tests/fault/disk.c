/* SPDX-License-Identifier: MIT
 *
 * disk.c - a disk that is full, broken, or read-only, for one process: LD_PRELOAD.
 *
 *     DISK_FULL=N       from the Nth write to a regular file on, none succeeds
 *     DISK_BROKEN=N     the Nth wait for the disk fails
 *     DISK_READONLY=S   no file whose path has S in it is opened for writing
 *     DISK_TOLD=FILE    made when something has failed
 *     DISK_ROOM=FILE    while there is this file, nothing fails
 *
 * Counts from 1. Not for threads that write at the same time: counts may then differ. */
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

/* The function of this name that we stand in for. Assigning through a data pointer, as
 * ISO C knows no way from one kind of pointer to the other. */
#define NEXT(name) (*(void **)&next = dlsym(RTLD_NEXT, #name))

static void tell(void)
{
	const char *path = getenv("DISK_TOLD");

	if (path)
		close((int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY, 0600));
}

static bool fails(int error)
{
	const char *room = getenv("DISK_ROOM");

	if (room && access(room, F_OK) == 0)
		return false;
	tell();
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

/* The mode of a file that is made; there is none without O_CREAT, and then it is not
 * looked at. */
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
